//! The order of work on several streams and threads.

use std::sync::Arc;
use std::thread;

use hippocamp_device::{Devices, Stream};
use hippocamp_tensor::{Place, PlacedBufferMut, PlacedSlice};

use crate::kit::{self, Checked, Report, equal, pattern, text, whole};
use crate::raw;

/// Large enough for work on it to run for a while after it was queued.
const LARGE: usize = 1 << 30;

pub(crate) fn run(report: &mut Report, devices: &Devices) {
    report.check("a read waits for the writes of another stream", || read_after_write(devices));
    report.check("work on a stream waits for copies on another", || wait_for(devices));
    report.check("a write waits for announced work on another stream", || used(devices));
    report.check("memory is freed behind announced work", || freed(devices));
    report.check("pinned memory is refilled behind announced work", || pinned(devices));
    report.check("sixteen threads copy at once", || threads(devices));
}

fn all(bytes: &[u8], byte: u8, what: &str) -> Checked {
    kit::expect(bytes.iter().all(|&b| b == byte), what)
}

fn on(stream: &Arc<dyn Stream>, size: usize) -> Result<Box<dyn PlacedBufferMut>, String> {
    Arc::clone(stream).allocator().allocate(size).map_err(text)
}

/// Queues much work on the stream.
fn busy(devices: &Devices, stream: &Arc<dyn Stream>) -> Result<Box<dyn PlacedBufferMut>, String> {
    let large = on(stream, LARGE)?;
    let address = devices.address(whole(&*large)).ok_or("no address")?;
    for byte in 0..20 {
        raw::fill(stream.raw(), address, byte, LARGE)?;
    }
    Ok(large)
}

fn read_after_write(devices: &Devices) -> Checked {
    raw::start()?;
    let (first, second) = (devices.stream(0).map_err(text)?, devices.stream(0).map_err(text)?);
    let mut source = on(&first, 1 << 20)?;
    let _large = busy(devices, &first)?;
    source.copy_from(0, PlacedSlice::Host(&vec![5; 1 << 20])).map_err(text)?;
    let mut target = on(&second, 1 << 20)?;
    target.copy_from(0, whole(&*source)).map_err(text)?;
    all(&whole(&*target).to_vec().map_err(text)?, 5, "the copy came first")?;
    all(&whole(&*source).to_vec().map_err(text)?, 5, "the read came first")
}

fn wait_for(devices: &Devices) -> Checked {
    raw::start()?;
    let (first, second) = (devices.stream(0).map_err(text)?, devices.stream(0).map_err(text)?);
    let mut source = on(&first, 1 << 20)?;
    let target = on(&second, 1 << 20)?;
    let address = |slice| devices.address(slice).ok_or("no address");
    let (from, to) = (address(whole(&*source))?, address(whole(&*target))?);
    let _large = busy(devices, &first)?;
    source.copy_from(0, PlacedSlice::Host(&vec![6; 1 << 20])).map_err(text)?;
    second.wait_for(whole(&*source)).map_err(text)?;
    raw::copy(second.raw(), to, from, 1 << 20)?;
    second.synchronize().map_err(text)?;
    all(&whole(&*target).to_vec().map_err(text)?, 6, "the engine came first")
}

fn used(devices: &Devices) -> Checked {
    raw::start()?;
    let (first, second) = (devices.stream(0).map_err(text)?, devices.stream(0).map_err(text)?);
    let mut source = on(&first, 1 << 20)?;
    let target = on(&second, 1 << 20)?;
    source.copy_from(0, PlacedSlice::Host(&vec![7; 1 << 20])).map_err(text)?;
    let address = |slice| devices.address(slice).ok_or("no address");
    let (from, to) = (address(whole(&*source))?, address(whole(&*target))?);
    second.wait_for(whole(&*source)).map_err(text)?;
    let _large = busy(devices, &second)?;
    raw::copy(second.raw(), to, from, 1 << 20)?;
    second.used(whole(&*source)).map_err(text)?;
    // This write has to come after the copy of the "engine".
    source.copy_from(0, PlacedSlice::Host(&vec![8; 1 << 20])).map_err(text)?;
    second.synchronize().map_err(text)?;
    all(&whole(&*target).to_vec().map_err(text)?, 7, "the write came first")?;
    all(&whole(&*source).to_vec().map_err(text)?, 8, "the write is missing")
}

fn freed(devices: &Devices) -> Checked {
    raw::start()?;
    let (first, second) = (devices.stream(0).map_err(text)?, devices.stream(0).map_err(text)?);
    let target = on(&second, 1 << 20)?;
    let to = devices.address(whole(&*target)).ok_or("no address")?;
    let mut same = 0;
    for _ in 0..5 {
        let mut source = on(&first, 1 << 20)?;
        source.copy_from(0, PlacedSlice::Host(&vec![9; 1 << 20])).map_err(text)?;
        let from = devices.address(whole(&*source)).ok_or("no address")?;
        second.wait_for(whole(&*source)).map_err(text)?;
        let _large = busy(devices, &second)?;
        raw::copy(second.raw(), to, from, 1 << 20)?;
        second.used(whole(&*source)).map_err(text)?;
        drop(source);
        // Likely the same memory.
        let mut next = on(&first, 1 << 20)?;
        same += usize::from(devices.address(whole(&*next)) == Some(from));
        next.copy_from(0, PlacedSlice::Host(&vec![10; 1 << 20])).map_err(text)?;
        second.synchronize().map_err(text)?;
        all(&whole(&*target).to_vec().map_err(text)?, 9, "the memory was reused too early")?;
    }
    Ok(format!("the same memory {same} times of 5"))
}

fn pinned(devices: &Devices) -> Checked {
    raw::start()?;
    let stream = devices.stream(0).map_err(text)?;
    let allocator = devices.memory(Place::Pinned).ok_or("no allocator")?;
    let mut host = allocator.allocate(1 << 20).map_err(text)?;
    let target = on(&stream, 1 << 20)?;
    host.copy_from(0, PlacedSlice::Host(&vec![11; 1 << 20])).map_err(text)?;
    let address = |slice| devices.address(slice).ok_or("no address");
    let (from, to) = (address(whole(&*host))?, address(whole(&*target))?);
    let _large = busy(devices, &stream)?;
    // Unified addressing: pinned memory is copied by its address like device memory.
    raw::copy(stream.raw(), to, from, 1 << 20)?;
    stream.used(whole(&*host)).map_err(text)?;
    host.copy_from(0, PlacedSlice::Host(&vec![12; 1 << 20])).map_err(text)?;
    stream.synchronize().map_err(text)?;
    all(&whole(&*target).to_vec().map_err(text)?, 11, "the host wrote first")
}

fn threads(devices: &Devices) -> Checked {
    let shared = {
        let mut buffer = on(&devices.stream(0).map_err(text)?, 1 << 20)?;
        buffer.copy_from(0, PlacedSlice::Host(&pattern(1 << 20, 1))).map_err(text)?;
        buffer
    };
    let (shared, expected) = (&shared, &pattern(1 << 20, 1));
    let work = |seed: u32| {
        let stream = devices.stream(0).map_err(text)?;
        let mut mine = on(&stream, 1 << 20)?;
        for round in 0..50 {
            let bytes = pattern(1 << 20, seed * 1000 + round);
            mine.copy_from(0, PlacedSlice::Host(&bytes)).map_err(text)?;
            let mut copy = mine.allocate_beside(1 << 20).map_err(text)?.ok_or("nothing beside it")?;
            copy.copy_from(0, whole(&*mine)).map_err(text)?;
            equal(&whole(&*copy).to_vec().map_err(text)?, &bytes, "own")?;
            copy.copy_from(0, whole(&**shared)).map_err(text)?;
            equal(&whole(&*copy).to_vec().map_err(text)?, expected, "shared")?;
        }
        Ok::<(), String>(())
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..16).map(|seed| scope.spawn(move || work(seed))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "it panicked".to_owned())?)
    })?;
    Ok(String::new())
}
