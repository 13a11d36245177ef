#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem::MaybeUninit, os::unix};

use bytes::Bytes;
use hippocamp_backend::{Code, Result};
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_tensor::{AlignedBuffer, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice, TensorData};

use crate::fault::{copy, prepare};
use crate::mapping::Mapping;
use crate::{Lease, Part, SharedMemory, SharedTensors};

/// A shared memory object for one test, removed when dropped.
struct Object {
    path: PathBuf,
    key: String,
    file: File,
}

impl Object {
    fn new(size: u64) -> Object {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let key = format!("/hippocamp-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(format!("/dev/shm{key}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        Object { path, key, file }
    }

    fn with(content: &[u8]) -> Object {
        let object = Object::new(0);
        fs::write(&object.path, content).unwrap();
        object
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path).or_else(|_| fs::remove_dir(&self.path)));
    }
}

/// A lease of a part of a region of the system.
fn leased(shm: &SharedMemory, name: &str, offset: u64, byte_size: u64) -> hippocamp_backend::Result<Lease> {
    match shm.lease(name, offset, byte_size)? {
        Part::System(lease) => Ok(lease),
        Part::Cuda(_) => panic!("region '{name}' is not of the system"),
    }
}

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().message().to_owned()
}

fn read(lease: &Lease) -> Vec<u8> {
    let mut content = Vec::with_capacity(lease.len());
    lease.copy_to_host(0, &mut content.spare_capacity_mut()[..lease.len()]).unwrap();
    #[allow(unsafe_code, reason = "all of it was written")]
    // SAFETY: `copy_to_host` writes every byte.
    unsafe {
        content.set_len(lease.len());
    }
    content
}

#[test]
fn regions_come_and_go_by_name() {
    let object = Object::new(8192);
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("b", &object.key, 4096, 64).unwrap();
    shm.register("a", &object.key, 0, 128).unwrap();
    let twice = shm.register("a", &object.key, 0, 128).unwrap_err();
    assert_eq!(
        (twice.code(), twice.message()),
        (Code::AlreadyExists, "shared memory region 'a' already in manager")
    );
    let all: Vec<_> = shm.status("").unwrap().into_iter().map(|r| (r.name, r.offset, r.byte_size)).collect();
    assert_eq!(all, [("a".to_owned(), 0, 128), ("b".to_owned(), 4096, 64)]);
    assert_eq!(shm.status("b").unwrap()[0].key, object.key);
    shm.unregister("a").unwrap();
    shm.unregister("nobody").unwrap();
    assert_eq!(text(shm.status("a")), "Unable to find system shared memory region: 'a'");
    assert_eq!(text(leased(&shm, "a", 0, 1)), "Unable to find shared memory region: 'a'");
    shm.unregister("").unwrap();
    assert_eq!(shm.status("").unwrap(), []);
}

#[test]
fn nothing_is_registered_unless_that_is_allowed() {
    let object = Object::new(64);
    let shm = SharedMemory::new(false, Devices::none());
    let disabled =
        "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";
    let refused = shm.register("a", &object.key, 0, 64).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unsupported, disabled));
    for refused in [shm.unregister(""), shm.register_cuda("a", &[0; 64], 0, 1), shm.unregister_cuda("")] {
        assert_eq!(text(refused), disabled);
    }
    assert_eq!(shm.status("").unwrap(), []);
    shm.cuda_status("").unwrap();
}

#[test]
fn a_region_lies_within_its_object() {
    let object = Object::new(8192);
    let shm = SharedMemory::new(true, Devices::none());
    let outside = [
        (0, 8193),
        (1, 8192),
        (8193, 1),
        (8192, 1),
        (u64::MAX, 1),
        (1, u64::MAX),
        (u64::MAX, u64::MAX),
        (0, u64::MAX),
        (u64::MAX - 4095, 4096),
        (1 << 63, 1 << 63),
    ];
    for (offset, size) in outside {
        let error = shm.register("r", &object.key, offset, size).unwrap_err();
        let refused = (Code::InvalidArg, "failed to register shared memory region 'r': invalid args");
        assert_eq!((error.code(), error.message()), refused, "{offset} {size}");
    }
    let empty = "failed to register shared memory region 'r': it has no bytes";
    assert_eq!(text(shm.register("r", &object.key, 0, 0)), empty);
    shm.register("r", &object.key, 8191, 1).unwrap();
    shm.register("all", &object.key, 0, 8192).unwrap();
}

#[test]
fn a_lease_lies_within_its_region() {
    let object = Object::new(8192);
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 64, 128).unwrap();
    for (offset, size) in [(128, 0), (128, 1), (129, 1), (u64::MAX, 0), (u64::MAX, u64::MAX), (1 << 63, 1)] {
        let invalid = "Invalid offset for shared memory region: 'r'";
        assert_eq!(text(leased(&shm, "r", offset, size)), invalid, "{offset} {size}");
    }
    for (offset, size) in
        [(0, 129), (127, 2), (1, u64::MAX), (64, u64::MAX - 63), (0, (-4i64).cast_unsigned()), (0, 0), (4, 0)]
    {
        let invalid = "Invalid offset + byte size for shared memory region: 'r'";
        assert_eq!(text(leased(&shm, "r", offset, size)), invalid, "{offset} {size}");
    }
    for (offset, size) in [(0, 128), (127, 1), (64, 64)] {
        assert_eq!(leased(&shm, "r", offset, size).unwrap().len() as u64, size);
    }
}

#[test]
fn only_plain_objects_of_clients_are_opened() {
    let shm = SharedMemory::new(true, Devices::none());
    let outside = Object::new(64);
    for key in
        ["", "/", "/nobody", "/../etc/passwd", "../etc/passwd", "/a/b", ".", "..", "/a\0b", "/dev/null"]
    {
        let error = shm.register("r", key, 0, 1).unwrap_err();
        let unable = format!("Unable to open shared memory region: '{key}'");
        assert_eq!((error.code(), error.message()), (Code::Internal, &*unable));
    }
    let long = "x".repeat(1 << 20);
    assert!(text(shm.register("r", &long, 0, 1)).len() < 1000);
    assert!(text(shm.register(&long, &outside.key, 0, 1)).len() < 1000);
    for reserved in [
        "triton_python_backend_shm_region_1",
        "/triton_python_backend_shm_region_",
        "//triton_python_backend_shm_region_x",
    ] {
        let refused = text(shm.register("r", reserved, 0, 1));
        assert!(
            refused.ends_with("contains the reserved prefix 'triton_python_backend_shm_region_'"),
            "{refused}"
        );
    }
    let nameless = "'region name' is necessary to register system shared memory region";
    assert_eq!(text(shm.require_name("", "system")), nameless);
    shm.require_name("r", "system").unwrap();

    let other = Object::new(0);
    fs::remove_file(&other.path).unwrap();
    fs::create_dir(&other.path).unwrap();
    assert!(text(shm.register("r", &other.key, 0, 1)).starts_with("Unable to open"), "a folder");
    fs::remove_dir(&other.path).unwrap();
    unix::fs::symlink("/etc/passwd", &other.path).unwrap();
    assert!(text(shm.register("r", &other.key, 0, 1)).starts_with("Unable to open"), "a link");
    fs::remove_file(&other.path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&other.path).status().unwrap();
    assert!(made.success());
    let invalid = format!("Invalid shared memory region: '{}'", other.key);
    assert_eq!(text(shm.register("r", &other.key, 0, 1)), invalid, "a pipe is not waited for");
}

#[test]
fn what_would_fill_the_address_space_is_refused() {
    let huge = Object::new(1 << 45);
    let shm = SharedMemory::new(true, Devices::none());
    let refused = text(shm.register("r", &huge.key, 0, 1 << 45));
    assert!(refused.contains("17592186044416 at most are mapped"), "{refused}");
    shm.register("half", &huge.key, 0, 1 << 43).unwrap();
    shm.register("other", &huge.key, 0, 1 << 43).unwrap();
    assert!(text(shm.register("r", &huge.key, 0, 1)).contains("at most are mapped"));
    let too_large = text(SharedTensors::default().input(&shm, "half", 0, 1 << 31));
    assert!(too_large.ends_with("2147483647 bytes at most, got 2147483648"), "{too_large}");
    shm.unregister("half").unwrap();
    shm.register("r", &huge.key, (1 << 45) - 1, 1).unwrap();
}

#[test]
fn a_region_in_use_stays_until_its_last_request_is_done() {
    let object = Object::with(b"content");
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 0, 7).unwrap();
    let lease = leased(&shm, "r", 0, 7).unwrap();
    let data = TensorData::from(Arc::new(leased(&shm, "r", 3, 4).unwrap()) as Arc<dyn PlacedBuffer>);
    shm.unregister("r").unwrap();
    assert_eq!(shm.status("r").unwrap().len(), 1, "it is still there");
    assert!(text(shm.register("r", &object.key, 0, 7)).ends_with("already in manager"));
    assert_eq!(text(leased(&shm, "r", 0, 1)), "Unable to find shared memory region: 'r'");
    fs::remove_file(&object.path).unwrap();
    assert_eq!(read(&lease), b"content", "an object without a name lives as long as it is mapped");
    drop(lease);
    assert_eq!((shm.status("r").unwrap().len(), &data.to_host().unwrap()[..]), (1, &b"tent"[..]));
    drop(data.clone());
    assert_eq!(shm.status("r").unwrap().len(), 1);
    drop(data);
    assert_eq!(shm.status("").unwrap(), []);
}

#[test]
fn a_tensor_is_read_and_written_in_place() {
    let object = Object::with(b"0123456789abcdef");
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 2, 14).unwrap();
    let mut tensors = SharedTensors::default();
    let input = tensors.input(&shm, "r", 1, 4).unwrap();
    tensors.output(&shm, "OUT", "r", 8, 6).unwrap();
    let mut buffer = AlignedBuffer::default();
    buffer.restart(4).unwrap();
    input.copy_to(&mut buffer).unwrap();
    assert_eq!(buffer.as_slice(), b"3456");
    assert!(tensors.has_output("OUT") && !tensors.has_output("OTHER"));
    assert!(!tensors.write("OTHER", &input).unwrap());
    let pieces: TensorData = ["XY", "Z"].into_iter().map(Bytes::from).collect();
    assert!(tensors.write("OUT", &pieces).unwrap());
    assert_eq!(fs::read(&object.path).unwrap(), b"0123456789XYZdef");
    tensors.write("OUT", &input).unwrap();
    assert_eq!(fs::read(&object.path).unwrap(), b"01234567893456ef", "from region to region");
    let too_large = text(tensors.write("OUT", &Bytes::from_static(b"1234567").into()));
    assert_eq!(
        too_large,
        "shared memory size specified with the request for output 'OUT' (6 bytes) should be at least 7 bytes to hold the \
         results"
    );
    tensors.check_inputs().unwrap();
}

#[test]
fn a_truncated_region_fails_its_requests_and_nothing_else() {
    let (cut, whole) = (Object::with(&vec![7; 20_000]), Object::with(&vec![8; 20_000]));
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("cut", &cut.key, 0, 20_000).unwrap();
    shm.register("whole", &whole.key, 0, 20_000).unwrap();
    let mut tensors = SharedTensors::default();
    let input = tensors.input(&shm, "cut", 0, 20_000).unwrap();
    tensors.output(&shm, "OUT", "whole", 0, 20_000).unwrap();
    cut.file.set_len(5000).unwrap();
    tensors.check_inputs().expect("nobody has noticed yet");
    tensors.write("OUT", &input).unwrap();
    let gone = "the memory of shared memory region 'cut' is gone: its object was truncated, or there was no memory for \
                it; unregister the region";
    assert_eq!(text(tensors.check_inputs()), gone);
    let written = fs::read(&whole.path).unwrap();
    assert!(written[..4096].iter().all(|&b| b == 7) && written[8192..].iter().all(|&b| b == 0));
    assert_eq!(text(leased(&shm, "cut", 0, 1)), gone, "it is of no use any more");
    leased(&shm, "whole", 0, 20_000).unwrap().check().unwrap();

    shm.unregister("cut").unwrap();
    assert_eq!(shm.status("cut").unwrap().len(), 1, "the request still has it");
    drop((tensors, input));
    cut.file.set_len(20_000).unwrap();
    shm.register("cut", &cut.key, 0, 20_000).unwrap();
    let mut lease = leased(&shm, "cut", 0, 20_000).unwrap();
    cut.file.set_len(0).unwrap();
    TensorData::from(Bytes::from_static(b"an output")).copy_into(&mut lease, 0).unwrap();
    assert_eq!(text(lease.check()), gone);
}

#[test]
fn many_threads_survive_it_at_once() {
    let object = Object::with(&vec![1; 1 << 20]);
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 0, 1 << 20).unwrap();
    let leases: Vec<Lease> = (0..4).map(|_| leased(&shm, "r", 0, 1 << 20).unwrap()).collect();
    std::thread::scope(|scope| {
        for lease in &leases {
            scope.spawn(|| {
                while lease.check().is_ok() {
                    assert!(read(lease).iter().all(|&b| b <= 1));
                }
            });
        }
        object.file.set_len(0).unwrap();
    });
    assert!(leases.iter().all(|lease| lease.check().is_err()));
}

#[test]
#[allow(unsafe_code, reason = "has to break a process to see that it breaks")]
fn a_fault_that_is_not_a_copys_still_ends_the_process() {
    prepare().unwrap();
    let object = Object::with(&[1; 4096]);
    let mapping = Mapping::new(&object.file, 0, 4096).unwrap();
    object.file.set_len(0).unwrap();
    // SAFETY: the child only calls what is async-signal-safe, and exits.
    let status = unsafe {
        match libc::fork() {
            0 => {
                mapping.address(0).read_volatile();
                libc::_exit(0)
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            }
        }
    };
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGBUS, "{status:#x}");
    let mut byte = MaybeUninit::new(9u8);
    // SAFETY: both ends are valid for one byte.
    unsafe { copy(mapping.address(0), byte.as_mut_ptr(), 1, [Some(&mapping), None]) };
    // SAFETY: the byte was initialised before, too.
    assert_eq!((unsafe { byte.assume_init() }, mapping.is_lost()), (0, true));
}

/// What every buffer does, whoever's memory it is.
fn is_a_placed_buffer(buffer: &mut dyn PlacedBufferMut, other: &dyn PlacedBuffer) {
    let read =
        |buffer: &dyn PlacedBuffer, start, len| PlacedSlice::Placed { buffer, start, len }.to_vec().unwrap();
    buffer.fill_zeros(0, buffer.len()).unwrap();
    buffer.copy_from(1, PlacedSlice::Host(b"host")).unwrap();
    buffer.copy_from(5, PlacedSlice::Placed { buffer: other, start: 2, len: 3 }).unwrap();
    buffer.finish().unwrap();
    assert_eq!(read(buffer, 0, 10), b"\0host234\0\0");
    assert_eq!(read(buffer, 3, 3), b"st2");
}

#[test]
fn shared_memory_and_a_devices_memory_go_through_the_same_trait() {
    let (object, source) = (Object::new(9000), Object::with(b"0123456789"));
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 0, 9000).unwrap();
    shm.register("source", &source.key, 0, 10).unwrap();
    let driver = TestDriver::new(2, 1 << 20);
    let of_device = driver.device(1).allocate_with(b"0123456789").unwrap();
    let of_client = leased(&shm, "source", 0, 10).unwrap();
    let mut buffers: [Box<dyn PlacedBufferMut>; 2] =
        [Box::new(leased(&shm, "r", 0, 9000).unwrap()), Box::new(driver.device(0).allocate(9000).unwrap())];
    assert_eq!(buffers.each_ref().map(|buffer| buffer.place()), [Place::Host, Place::Device(0)]);
    for buffer in &mut buffers {
        is_a_placed_buffer(&mut **buffer, &of_device);
        is_a_placed_buffer(&mut **buffer, &of_client);
        assert!(buffer.as_host().is_none(), "neither is ever borrowed");
    }
}

#[test]
fn an_output_on_a_device_is_written_to_shared_memory() {
    let object = Object::with(b"0123456789");
    let shm = SharedMemory::new(true, Devices::none());
    shm.register("r", &object.key, 0, 10).unwrap();
    let driver = TestDriver::new(1, 1 << 20);
    let memory = driver.device(0).allocate_with(b"device").unwrap();
    let mut tensors = SharedTensors::default();
    tensors.output(&shm, "OUT", "r", 2, 6).unwrap();
    assert!(tensors.write("OUT", &TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>)).unwrap());
    assert_eq!(fs::read(&object.path).unwrap(), b"01device89");
    assert_eq!(driver.device(0).transfers().to_host, 1);
}
