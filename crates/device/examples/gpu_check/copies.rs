//! Copies of every kind.

use hippocamp_device::Devices;
use hippocamp_tensor::{Place, PlacedBufferMut, PlacedSlice, RefillBuffer};

use crate::kit::{self, Checked, Foreign, Report, equal, fastest, pattern, rate, text, whole};

pub(crate) fn run(report: &mut Report, devices: &Devices) {
    for size in [0, 1, 4095, 1 << 20, 64 << 20] {
        report.check(&format!("there and back, {size} bytes"), || there_and_back(devices, size));
    }
    report.check("a part of a buffer", || parts(devices));
    report.check("within the device, and beside a buffer", || within(devices));
    report.check("from memory that no driver knows", || foreign(devices));
    report.check("pinned memory in both directions", || pinned(devices));
    report.check("a buffer that is refilled", || refilled(devices));
    report.check("a row that is repeated", || repeated(devices));
    report.check("zeros", || zeros(devices));
    report.check("memory of an engine", || adopted(devices));
    report.check("rates from and to the host", || rates(devices));
    report.check("times of small operations", || small(devices));
    if devices.gpus().count() > 1 {
        report.check("from device to device", || between(devices));
    }
}

fn device(devices: &Devices, size: usize) -> Result<Box<dyn PlacedBufferMut>, String> {
    devices.memory(Place::Device(0)).ok_or("no allocator")?.allocate(size).map_err(text)
}

fn there_and_back(devices: &Devices, size: usize) -> Checked {
    let expected = pattern(size, 1);
    let mut source = expected.clone();
    let mut buffer = device(devices, size)?;
    buffer.copy_from(0, PlacedSlice::Host(&source)).map_err(text)?;
    // The caller may change the source once the call has returned.
    source.fill(0xEE);
    equal(&whole(&*buffer).to_vec().map_err(text)?, &expected, "read")?;
    kit::expect(kit::is_device_memory(&*buffer) && buffer.as_host().is_none(), "it is not on the device")
}

fn parts(devices: &Devices) -> Checked {
    let mut buffer = device(devices, 1000)?;
    buffer.fill_zeros(0, 1000).map_err(text)?;
    buffer.copy_from(10, PlacedSlice::Host(b"middle")).map_err(text)?;
    let read = whole(&*buffer).part(8, 10).to_vec().map_err(text)?;
    equal(&read, b"\0\0middle\0\0", "part")?;
    let address = |slice| devices.address(slice).ok_or("no address");
    kit::expect(
        address(whole(&*buffer).part(10, 1))? == address(whole(&*buffer))? + 10,
        "the address of a part is another",
    )
}

fn within(devices: &Devices) -> Checked {
    let expected = pattern(5000, 2);
    let mut first = device(devices, 5000)?;
    first.copy_from(0, PlacedSlice::Host(&expected)).map_err(text)?;
    let mut second = first.allocate_beside(5000).map_err(text)?.ok_or("nothing beside it")?;
    second.copy_from(0, whole(&*first)).map_err(text)?;
    drop(first);
    equal(&whole(&*second).to_vec().map_err(text)?, &expected, "copy of a buffer that was dropped")?;
    Ok(String::new())
}

fn foreign(devices: &Devices) -> Checked {
    let bytes = Foreign(pattern(100_000, 3));
    let mut buffer = device(devices, 100_000)?;
    buffer.copy_from(0, whole(&bytes)).map_err(text)?;
    equal(&whole(&*buffer).to_vec().map_err(text)?, &bytes.0, "read")?;
    Ok(String::new())
}

fn pinned(devices: &Devices) -> Checked {
    let size = 32 << 20;
    let allocator = devices.memory(Place::Pinned).ok_or("no allocator")?;
    let mut host = allocator.allocate(size).map_err(text)?;
    if host.place() != Place::Pinned {
        return Err(format!("it is in {}", host.place()));
    }
    let mut buffers = Vec::new();
    for seed in 0..4 {
        // Refilled while the copy of the last content may still run.
        host.copy_from(0, PlacedSlice::Host(&pattern(size, seed))).map_err(text)?;
        let mut buffer = device(devices, size)?;
        buffer.copy_from(0, whole(&*host)).map_err(text)?;
        buffers.push(buffer);
    }
    // Freed while a copy may still run; the next block may be the same one.
    drop(host);
    let mut other = allocator.allocate(size).map_err(text)?;
    other.fill_zeros(0, size).map_err(text)?;
    for (seed, buffer) in buffers.iter().enumerate() {
        other.copy_from(0, whole(&**buffer)).map_err(text)?;
        equal(other.as_host().ok_or("not of the host")?, &pattern(size, seed as u32), "content")?;
    }
    Ok(format!("{:?}", devices.pinned_use()))
}

fn refilled(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let mut buffer = RefillBuffer::default();
    for round in 0..20u32 {
        let rows: Vec<Vec<u8>> = (0..32).map(|row| pattern(10_000, round * 100 + row)).collect();
        buffer.restart(320_000, Some(&*memory)).map_err(text)?;
        for row in &rows {
            buffer.push(PlacedSlice::Host(row)).map_err(text)?;
        }
        let read = buffer.finish().map_err(text)?.to_vec().map_err(text)?;
        equal(&read, &rows.concat(), "rows")?;
    }
    Ok(String::new())
}

fn repeated(devices: &Devices) -> Checked {
    for place in [Place::Device(0), Place::Pinned] {
        let memory = devices.memory(place).ok_or("no allocator")?;
        let row = pattern(1000, 9);
        let mut buffer = RefillBuffer::default();
        buffer.restart(7500, Some(&*memory)).map_err(text)?;
        buffer.push(PlacedSlice::Host(&[1; 500])).map_err(text)?;
        buffer.push(PlacedSlice::Host(&row)).map_err(text)?;
        buffer.repeat_last(1000, 6).map_err(text)?;
        let read = buffer.finish().map_err(text)?.to_vec().map_err(text)?;
        equal(&read[500..], &row.repeat(7), "rows")?;
    }
    Ok(String::new())
}

fn zeros(devices: &Devices) -> Checked {
    let mut buffer = device(devices, 1 << 20)?;
    buffer.copy_from(0, PlacedSlice::Host(&pattern(1 << 20, 4))).map_err(text)?;
    buffer.fill_zeros(0, 1 << 20).map_err(text)?;
    let read = whole(&*buffer).to_vec().map_err(text)?;
    kit::expect(read.iter().all(|&byte| byte == 0), "not all are zero")
}

fn adopted(devices: &Devices) -> Checked {
    use std::sync::Arc;
    crate::raw::start()?;
    let stream = devices.stream(0).map_err(text)?;
    let owner = Arc::new(());
    let address = crate::raw::allocate(1 << 20)?;
    crate::raw::fill(stream.raw(), address, 7, 1 << 20)?;
    // SAFETY: the memory is freed below, once the owner is dropped.
    let buffer =
        unsafe { stream.clone().adopt(address, 1 << 20, Box::new(Arc::clone(&owner))) }.map_err(text)?;
    // The write of the "engine" may still run.
    let read = whole(&*buffer).to_vec().map_err(text)?;
    kit::expect(read.iter().all(|&byte| byte == 7), "not all are 7")?;
    let mut copy = device(devices, 1 << 20)?;
    copy.copy_from(0, whole(&*buffer)).map_err(text)?;
    drop(buffer);
    kit::expect(Arc::strong_count(&owner) == 1, "the owner was not dropped")?;
    crate::raw::free(address)?;
    let read = whole(&*copy).to_vec().map_err(text)?;
    kit::expect(read.iter().all(|&byte| byte == 7), "not all of the copy are 7")
}

fn rates(devices: &Devices) -> Checked {
    let size = 157_286_400;
    let pageable = pattern(size, 5);
    let mut buffer = device(devices, size)?;
    let mut host = devices.memory(Place::Pinned).ok_or("no allocator")?.allocate(size).map_err(text)?;
    let gather = fastest(3, || host.copy_from(0, PlacedSlice::Host(&pageable)).map_err(text))?;
    let mut from = |source: PlacedSlice<'_>| {
        fastest(5, || {
            buffer.copy_from(0, source).map_err(text)?;
            buffer.finish().map_err(text)
        })
    };
    let plain = from(PlacedSlice::Host(&pageable))?;
    let locked = from(whole(&*host))?;
    let mut target = Vec::with_capacity(size);
    let to_plain =
        fastest(5, || whole(&*buffer).copy_to_host(&mut target.spare_capacity_mut()[..size]).map_err(text))?;
    let to_locked = fastest(5, || host.copy_from(0, whole(&*buffer)).map_err(text))?;
    let mut beside = device(devices, size)?;
    let within = fastest(5, || {
        beside.copy_from(0, whole(&*buffer)).map_err(text)?;
        beside.finish().map_err(text)
    })?;
    Ok(format!(
        "157 MB in {}: {plain:?} {}, pinned {locked:?} {} ({:?}; gathering {gather:?}), to the host {to_plain:?} {}, to pinned \
         {to_locked:?} {}, within {within:?} {}",
        host.place(),
        rate(size, plain),
        rate(size, locked),
        host.place(),
        rate(size, to_plain),
        rate(size, to_locked),
        rate(size, within)
    ))
}

fn small(devices: &Devices) -> Checked {
    let stream = devices.stream(0).map_err(text)?;
    let allocator = stream.clone().allocator();
    let allocate = fastest(50, || allocator.allocate(1 << 20).map(drop).map_err(text))?;
    let mut buffer = allocator.allocate(1 << 20).map_err(text)?;
    let bytes = pattern(1 << 20, 6);
    let mut queue = |size: usize| {
        let queued = fastest(50, || buffer.copy_from(0, PlacedSlice::Host(&bytes[..size])).map_err(text))?;
        let finished = fastest(50, || {
            buffer.copy_from(0, PlacedSlice::Host(&bytes[..size])).map_err(text)?;
            buffer.finish().map_err(text)
        })?;
        let read = fastest(50, || whole(&*buffer).part(0, size).to_vec().map(drop).map_err(text))?;
        Ok::<_, String>(format!("{size} bytes: queued {queued:?}, finished {finished:?}, read {read:?}; "))
    };
    let (tiny, picture) = (queue(4)?, queue(1 << 20)?);
    let synchronize = fastest(50, || stream.synchronize().map_err(text))?;
    let made = fastest(10, || devices.stream(0).map(drop).map_err(text))?;
    let lost = fastest(50, || kit::expect(devices.lost(0).is_none(), "lost").map(drop))?;
    Ok(format!(
        "allocate and free 1 MiB {allocate:?}; {tiny}{picture}synchronize {synchronize:?}, new stream {made:?}, asking whether it \
         is lost {lost:?}"
    ))
}

fn between(devices: &Devices) -> Checked {
    let size = 64 << 20;
    let expected = pattern(size, 7);
    let mut first = device(devices, size)?;
    first.copy_from(0, PlacedSlice::Host(&expected)).map_err(text)?;
    let memory = devices.memory(Place::Device(1)).ok_or("no allocator")?;
    let mut second = memory.allocate(size).map_err(text)?;
    second.copy_from(0, whole(&*first)).map_err(text)?;
    drop(first);
    equal(&whole(&*second).to_vec().map_err(text)?, &expected, "read")?;
    Ok(String::new())
}
