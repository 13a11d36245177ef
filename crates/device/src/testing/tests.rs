use bytes::Bytes;
use hippocamp_tensor::{PlacedBuffer, RefillBuffer, TensorData};

use super::*;
use crate::Devices;

const LIMIT: usize = 64;

fn shared(memory: TestMemory) -> TensorData {
    TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>)
}

fn pieces() -> TensorData {
    ["ab", "c"].into_iter().map(Bytes::from).collect()
}

#[test]
fn a_tensor_is_gathered_from_every_place_to_every_place() {
    let driver = TestDriver::new(2, LIMIT);
    let devices = Devices::of(driver.clone());
    let places = [Place::Host, Place::Pinned, Place::Device(0), Place::Device(1)];
    let sources = || {
        [
            pieces(),
            shared(driver.pinned.allocate_with(b"pin").unwrap()),
            shared(driver.device(0).allocate_with(b"dev").unwrap()),
        ]
    };
    for place in places {
        let memory = devices.memory(place);
        let mut buffer = RefillBuffer::default();
        for _ in 0..2 {
            buffer.restart(13, memory.as_deref()).unwrap();
            for source in sources() {
                buffer.push_tensor(&source).unwrap();
            }
            buffer.push_zeros(1).unwrap();
            buffer.push_repeated(b"x", 2).unwrap();
            buffer.push(PlacedSlice::Host(b"!")).unwrap();
            let whole = buffer.finish().unwrap();
            assert_eq!(whole.place(), place);
            assert_eq!(whole.to_vec().unwrap(), b"abcpindev\0xx!", "in {place}");
        }
    }
    let (first, second) = (driver.device(0).transfers(), driver.device(1).transfers());
    assert_eq!((first.within, first.between), (2, 0), "the device's own tensor");
    assert_eq!((second.within, second.between), (0, 2));
}

#[test]
fn refilling_allocates_once_and_is_refused_beyond_the_limit() {
    let driver = TestDriver::new(1, LIMIT);
    let (device, devices) = (driver.device(0), Devices::of(driver.clone()));
    let memory = devices.memory(Place::Device(0)).unwrap();
    let mut buffer = RefillBuffer::default();
    for size in [LIMIT, 3, LIMIT] {
        buffer.restart(size, Some(&*memory)).unwrap();
    }
    assert_eq!((device.allocations(), device.allocated()), (1, LIMIT));
    let refused = buffer.restart(LIMIT + 1, Some(&*memory));
    let text = "the memory of device 0 has no room for 65 bytes";
    assert_eq!(refused.unwrap_err().to_string(), text);
    assert_eq!(device.allocated(), 0, "the old memory is not kept beside what was wanted");
    buffer.restart(LIMIT, Some(&*memory)).unwrap();
    drop(buffer);
    assert_eq!(device.allocated(), 0);
}

#[test]
fn rows_are_cut_on_the_device() {
    let driver = TestDriver::new(1, LIMIT);
    let device = driver.device(0);
    let cut = shared(device.allocate_with(b"abXcdX").unwrap()).strided(2, 3, 2).unwrap();
    assert_eq!(cut.place(), Place::Device(0));
    assert_eq!(device.transfers(), Transfers { within: 2, ..Transfers::default() });
    assert_eq!(cut.to_host().unwrap(), "abcd");
    assert_eq!(device.transfers().to_host, 1);
}

#[test]
fn pinned_memory_is_borrowed_like_host_memory() {
    let driver = TestDriver::new(0, LIMIT);
    let data = shared(driver.pinned.allocate_with(b"pinned").unwrap());
    assert_eq!((data.place(), data.as_contiguous()), (Place::Pinned, Some(&b"pinned"[..])));
}

#[test]
fn a_stream_takes_over_memory_and_tells_that_its_device_is_lost() {
    let driver = TestDriver::new(1, LIMIT);
    let devices = Devices::of(driver.clone());
    let stream = devices.stream(0).unwrap();
    let memory: Arc<[u8]> = Arc::from(*b"kernel");
    let owner = Box::new(Arc::clone(&memory));
    // SAFETY: the owner keeps the memory, and nobody writes to it.
    let adopted = unsafe { stream.clone().adopt(memory.as_ptr() as u64, 6, owner) }.unwrap();
    let slice = PlacedSlice::Placed { buffer: &*adopted, start: 1, len: 3 };
    assert_eq!((slice.place(), slice.to_vec().unwrap()), (Place::Device(0), b"ern".to_vec()));
    let whole = PlacedSlice::Placed { buffer: &*adopted, start: 0, len: 6 };
    assert_eq!(devices.address(slice), devices.address(whole).map(|first| first + 1));
    stream.synchronize().unwrap();

    let none = devices.stream(1).unwrap_err();
    assert_eq!(none.to_string(), "no driver can create a stream on device 1");
    assert_eq!(Devices::none().stream(1).unwrap_err(), none);

    driver.device(0).lose("GPU is lost");
    assert_eq!(devices.lost(0).as_deref(), Some("GPU is lost"));
    let lost = stream.synchronize().unwrap_err();
    assert_eq!(lost.to_string(), "device 0 is lost: GPU is lost");
    let refused = stream.allocator().allocate(1).unwrap_err();
    assert_eq!(refused, MemoryError::from(lost));
}

/// Writes "done" to an address.
unsafe extern "C" fn write(address: *mut std::ffi::c_void) {
    // SAFETY: four bytes that are there until the stream is waited for.
    unsafe { address.cast::<[u8; 4]>().write(*b"done") };
}

#[test]
fn what_nobody_waits_for_has_not_happened() {
    let driver = TestDriver::new(1, LIMIT);
    let devices = Devices::of(driver.clone());
    let stream = devices.stream(0).unwrap();
    let allocator = Arc::clone(&stream).allocator();
    let mut buffers: Vec<_> = (0..3).map(|_| allocator.allocate(4).unwrap()).collect();
    let whole =
        |buffer: &dyn PlacedBufferMut| PlacedSlice::Placed { buffer, start: 0, len: 4 }.to_vec().unwrap();

    let kernel = |buffer: &dyn PlacedBufferMut| {
        let slice = PlacedSlice::Placed { buffer, start: 0, len: 4 };
        let address = devices.address(slice).unwrap();
        let raw = stream.raw().cast_const().cast::<RawStream>();
        // SAFETY: the handle of a stream of this driver.
        unsafe { ((*raw).put)(raw, write, address as *mut std::ffi::c_void) };
    };

    kernel(&*buffers[0]);
    assert_eq!(whole(&*buffers[0]), [0xA5; 4], "nothing orders a read behind a kernel");
    // A copy comes behind the kernel on the stream, and a read of the copy behind that; the kernel after it is not waited for.
    let (first, rest) = buffers.split_at_mut(1);
    rest[0].copy_from(0, PlacedSlice::Placed { buffer: &*first[0], start: 0, len: 4 }).unwrap();
    kernel(&*buffers[2]);
    assert_eq!(whole(&*buffers[1]), b"done");
    assert_eq!(whole(&*buffers[2]), [0xA5; 4]);
    stream.used(PlacedSlice::Placed { buffer: &*buffers[2], start: 0, len: 4 }).unwrap();
    assert_eq!(whole(&*buffers[2]), b"done", "an announced use is waited for");

    // Memory that is dropped stays until the work before is done.
    let late = allocator.allocate(4).unwrap();
    kernel(&*late);
    drop(late);
    stream.synchronize().unwrap();
    buffers.clear();
    assert_eq!(driver.device(0).allocated(), 0);
}
