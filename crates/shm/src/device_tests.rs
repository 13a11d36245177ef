//! Regions in the memory of devices, by the driver for tests.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Code, Result};
use hippocamp_device::Devices;
use hippocamp_device::testing::{TestDriver, Transfers};
use hippocamp_tensor::{Place, PlacedBuffer, TensorData};

use crate::{CudaRegion, SharedMemory, SharedTensors};

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().message().to_owned()
}

fn memory(driver: &Arc<TestDriver>) -> SharedMemory {
    SharedMemory::new(true, Devices::of(driver.clone()))
}

#[test]
fn a_tensor_on_a_device_is_read_and_written_there() {
    let driver = TestDriver::new(2, 1 << 20);
    let shm = memory(&driver);
    let (input, handle) = driver.export(0, b"0123456789");
    let (output, other) = driver.export(0, &[0; 8]);
    shm.register_cuda("in", &handle, 0, 10).unwrap();
    shm.register_cuda("out", &other, 0, 8).unwrap();
    let mut tensors = SharedTensors::default();
    let tensor = tensors.input(&shm, "in", 2, 4).unwrap();
    assert_eq!((tensor.place(), tensor.len()), (Place::Device(0), 4));
    tensors.output(&shm, "OUT", "out", 1, 6).unwrap();
    // What the model computes is on the device, too.
    let computed = driver.device(0).allocate_with(b"result").unwrap();
    assert!(tensors.write("OUT", &TensorData::from(Arc::new(computed) as Arc<dyn PlacedBuffer>)).unwrap());
    assert_eq!(&output.bytes()[..], b"\0result\0");
    tensors.output(&shm, "SAME", "out", 0, 8).unwrap();
    assert!(tensors.write("SAME", &tensor).unwrap());
    assert_eq!(&output.bytes()[..], b"2345ult\0");
    let none_to_the_host = Transfers { within: 2, ..Transfers::default() };
    assert_eq!(driver.device(0).transfers(), none_to_the_host);
    // The client sees what it wrote, and a model in host memory gets it by one transfer.
    input.bytes()[2] = b'x';
    assert_eq!(&tensor.to_host().unwrap()[..], b"x345");
    assert_eq!(driver.device(0).transfers().to_host, 1);
    // A result in host memory goes to the device by one transfer.
    tensors.output(&shm, "HOST", "out", 0, 8).unwrap();
    tensors.write("HOST", &TensorData::from(Bytes::from_static(b"host"))).unwrap();
    assert_eq!(&output.bytes()[..4], b"host");
    let large = text(tensors.write("OUT", &TensorData::from(Bytes::from_static(b"7 bytes"))));
    assert_eq!(
        large,
        "shared memory size specified with the request for output 'OUT' (6 bytes) should be at least 7 bytes to hold the \
         results"
    );
    tensors.check_inputs().unwrap();
}

#[test]
fn what_is_no_memory_of_that_device_is_refused() {
    let driver = TestDriver::new(2, 1 << 20);
    let shm = memory(&driver);
    let (_, handle) = driver.export(1, &[7; 16]);
    let invalid = "failed to register shared memory region: invalid args";
    let cases = [
        (&[0xFF; 64], 1, 16, format!("{invalid}: device 1 failed to open the memory of another process: invalid argument")),
        (
            &handle,
            0,
            16,
            format!("{invalid}: device 0 failed to open the memory of another process: the memory is on another device"),
        ),
        (&handle, 2, 16, format!("{invalid}: there is no GPU 2, only 0, 1")),
        (&handle, u64::MAX, 16, format!("{invalid}: there is no GPU 18446744073709551615, only 0, 1")),
        (
            &handle,
            1,
            17,
            "failed to register shared memory region 'r': invalid args: it has 16 bytes, not 17".to_owned(),
        ),
        (
            &handle,
            1,
            u64::MAX,
            "failed to register shared memory region 'r': invalid args: it has 16 bytes, not 18446744073709551615".to_owned(),
        ),
        (&handle, 1, 0, "failed to register shared memory region 'r': it has no bytes".to_owned()),
    ];
    for (handle, device, size, expected) in cases {
        let error = shm.register_cuda("r", handle, device, size).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArg, &*expected));
    }
    assert_eq!(shm.cuda_status("").unwrap(), []);
    let without = SharedMemory::new(true, Devices::none());
    assert_eq!(text(without.register_cuda("r", &handle, 1, 16)), invalid);
    shm.register_cuda("r", &handle, 1, 16).unwrap();
    let twice = shm.register_cuda("r", &handle, 1, 16).unwrap_err();
    assert_eq!(
        (twice.code(), twice.message()),
        (Code::AlreadyExists, "shared memory region 'r' already in manager")
    );
    for (offset, size) in [(16, 1), (u64::MAX, 1)] {
        assert_eq!(text(shm.lease("r", offset, size)), "Invalid offset for shared memory region: 'r'");
    }
    for (offset, size) in [(0, 17), (15, 2), (0, 0), (1, u64::MAX)] {
        assert_eq!(
            text(shm.lease("r", offset, size)),
            "Invalid offset + byte size for shared memory region: 'r'"
        );
    }
}

#[test]
fn the_kinds_share_their_names_and_nothing_else() {
    let driver = TestDriver::new(1, 1 << 20);
    let shm = memory(&driver);
    let (_, handle) = driver.export(0, &[7; 16]);
    shm.register_cuda("r", &handle, 0, 16).unwrap();
    let region = CudaRegion { name: "r".to_owned(), device_id: 0, byte_size: 16 };
    assert_eq!(shm.cuda_status("r").unwrap(), std::slice::from_ref(&region));
    assert_eq!(
        text(shm.status("r")),
        "The region named 'r' is registered as CUDA shared memory, not system shared memory"
    );
    assert_eq!(text(shm.cuda_status("x")), "Unable to find cuda shared memory region: 'x'");
    assert_eq!(text(shm.register("r", "/nobody", 0, 1)), "shared memory region 'r' already in manager");
    for name in ["r", ""] {
        shm.unregister(name).unwrap();
        assert_eq!((shm.status("").unwrap().len(), shm.cuda_status("").unwrap()), (0, vec![region.clone()]));
    }
    // A region in use stays until its last request is done.
    let part = shm.lease("r", 0, 4).unwrap();
    shm.unregister_cuda("").unwrap();
    assert_eq!((shm.leases("r"), shm.cuda_status("r").unwrap().len()), (1, 1));
    assert_eq!(text(shm.lease("r", 0, 4)), "Unable to find shared memory region: 'r'");
    drop(part);
    assert_eq!(shm.cuda_status("").unwrap(), []);
    shm.register_cuda("r", &handle, 0, 16).unwrap();
    shm.unregister_cuda("r").unwrap();
    assert_eq!(shm.cuda_status("").unwrap(), []);
}

#[test]
fn outputs_on_a_device_are_written_together() {
    let driver = TestDriver::new(1, 1 << 20);
    let shm = memory(&driver);
    let ((first, of_first), (second, of_second)) = (driver.export(0, &[0; 8]), driver.export(0, &[0; 8]));
    shm.register_cuda("first", &of_first, 0, 8).unwrap();
    shm.register_cuda("second", &of_second, 0, 8).unwrap();
    let mut tensors = SharedTensors::default();
    tensors.output(&shm, "A", "first", 0, 8).unwrap();
    tensors.output(&shm, "B", "second", 2, 6).unwrap();
    let computed = |bytes: &[u8]| {
        let memory = driver.device(0).allocate_with(bytes).unwrap();
        TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>)
    };
    let (a, b) = (computed(b"first"), computed(b"second"));
    tensors.write_on_devices(&[("A", &a), ("B", &b), ("C", &a)]).unwrap();
    assert_eq!((&first.bytes()[..], &second.bytes()[..]), (&b"first\0\0\0"[..], &b"\0\0second"[..]));
    // They are there, and are not written again.
    let within = || driver.device(0).transfers().within;
    let written = [("A", &a), ("B", &b), ("C", &a)].map(|(name, data)| tensors.write(name, data).unwrap());
    assert_eq!((written, within()), ([true, true, false], 2));
    // Those of the next response are.
    assert!(tensors.write("A", &b).unwrap());
    assert_eq!((&first.bytes()[..], within()), (&b"second\0\0"[..], 3));
    // What is in host memory is left for later.
    let host = TensorData::from(Bytes::from_static(b"host"));
    tensors.write_on_devices(&[("A", &host)]).unwrap();
    assert_eq!((&first.bytes()[..], within()), (&b"second\0\0"[..], 3));
    assert!(tensors.write("A", &host).unwrap());
    assert_eq!(&first.bytes()[..], b"hostnd\0\0");
    let large = computed(b"7 bytes");
    assert_eq!(
        text(tensors.write_on_devices(&[("B", &large)])),
        "shared memory size specified with the request for output 'B' (6 bytes) should be at least 7 bytes to hold the \
         results"
    );
}
