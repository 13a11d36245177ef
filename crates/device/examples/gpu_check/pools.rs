//! Pools, and what happens when memory is short.

use std::time::Instant;

use hippocamp_device::Devices;
use hippocamp_tensor::{MemoryError, Place, PlacedBufferMut, PlacedSlice};

use crate::kit::{self, Checked, Report, resident, text, whole};

pub(crate) fn run(report: &mut Report, devices: &Devices) {
    report.check("the pool gives back what is beyond its size", || pool(devices));
    report.check("the pool keeps nothing for a stream that has ended", || ended(devices));
    report.check("memory beyond all bounds is refused", || refused(devices));
    report.check("a full device refuses, and recovers", || full(devices));
    report.check("exhausted pinned memory is followed by ordinary memory", || pinned(devices));
    report.check("pinned memory of one size makes room for another", || sizes(devices));
    report.check("nothing leaks in 20,000 rounds", || leak(devices));
}

fn pool(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let used = || devices.used_memory(0).map(|(used, _)| used >> 20).map_err(text);
    let pool =
        || devices.device_use(0).map(|of| (of.pool_used >> 20, of.pool_reserved >> 20)).ok_or("no figures");
    let before = (used()?, pool()?);
    let buffers = (0..20).map(|_| memory.allocate(32 << 20).map_err(text)).collect::<Result<Vec<_>, _>>()?;
    let within = (used()?, pool()?);
    drop(buffers);
    // Something that waits, after which the pool gives back.
    let mut small = memory.allocate(1).map_err(text)?;
    small.copy_from(0, PlacedSlice::Host(&[1])).map_err(text)?;
    whole(&*small).to_vec().map_err(text)?;
    small.finish().map_err(text)?;
    let after = (used()?, pool()?);
    let told =
        format!("MiB of the device (used, reserved by the pool): {before:?} -> {within:?} -> {after:?}");
    kit::expect(within.1.0 >= 640 && after.1.0 < 32 && after.1.1 <= 96, &told).map(|_| told)
}

fn ended(devices: &Devices) -> Checked {
    let pool =
        || devices.device_use(0).map(|of| (of.pool_used >> 20, of.pool_reserved >> 20)).ok_or("no figures");
    let stream = devices.stream(0).map_err(text)?;
    let mut buffer = stream.clone().allocator().allocate(48 << 20).map_err(text)?;
    buffer.fill_zeros(0, 48 << 20).map_err(text)?;
    let within = pool()?;
    drop(buffer);
    drop(stream);
    let after = pool()?;
    let told = format!("MiB used and reserved: {within:?} -> {after:?}");
    kit::expect(within.0 >= 48 && after == (0, 0), &told).map(|_| told)
}

fn refused(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let mut told = String::new();
    for size in [1 << 40, usize::MAX / 2, usize::MAX] {
        match memory.allocate(size).map(drop) {
            Err(error @ MemoryError::OutOfMemory { place: Place::Device(0), .. }) => told = error.to_string(),
            other => return Err(format!("{size}: {other:?}")),
        }
    }
    memory.allocate(1 << 20).map_err(text)?;
    Ok(told)
}

fn full(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let begin = Instant::now();
    let mut buffers: Vec<Box<dyn PlacedBufferMut>> = Vec::new();
    let error = loop {
        match memory.allocate(4 << 30) {
            Ok(buffer) => buffers.push(buffer),
            Err(error) => break error,
        }
    };
    let count = buffers.len();
    let expected = MemoryError::OutOfMemory { place: Place::Device(0), size: 4 << 30 };
    kit::expect(error == expected, &format!("{error:?}"))?;
    buffers.pop();
    memory.allocate(4 << 30).map_err(|error| format!("after one was freed: {error}"))?;
    drop(buffers);
    memory.allocate(8 << 30).map_err(|error| format!("after all were freed: {error}"))?;
    Ok(format!("{count} x 4 GiB, {:?}; lost: {:?}", begin.elapsed(), devices.lost(0)))
}

fn pinned(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Pinned).ok_or("no allocator")?;
    let mut places = Vec::new();
    let mut buffers = Vec::new();
    for _ in 0..10 {
        let mut buffer = memory.allocate(40 << 20).map_err(text)?;
        buffer.copy_from(0, PlacedSlice::Host(b"x")).map_err(text)?;
        places.push(buffer.place());
        buffers.push(buffer);
    }
    let full = devices.pinned_use().ok_or("no figures")?;
    let host = places.iter().filter(|place| **place == Place::Host).count();
    let pinned = places.iter().filter(|place| **place == Place::Pinned).count();
    drop(buffers);
    let free = devices.pinned_use().ok_or("no figures")?;
    let again = memory.allocate(100 << 20).map_err(text)?.place();
    let told = format!("{pinned} pinned, {host} not; {full:?} -> {free:?}; 100 MiB then in {again}");
    kit::expect(
        pinned == 6 && host == 4 && full.used <= full.total && free.used == 0 && again == Place::Pinned,
        &told,
    )
    .map(|_| told)
}

fn sizes(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Pinned).ok_or("no allocator")?;
    let before = resident();
    for round in 0..20 {
        let size = (20 + round * 10) << 20;
        let held = (0..3).map(|_| memory.allocate(size).map_err(text)).collect::<Result<Vec<_>, _>>()?;
        kit::expect(held[0].place() == Place::Pinned, &format!("{} MiB are not pinned", size >> 20))?;
    }
    let grown = (resident() as i64 - before as i64) >> 20;
    let told = format!("the host grew by {grown} MiB; {:?}", devices.pinned_use());
    kit::expect(grown <= 300, &told).map(|_| told)
}

fn leak(devices: &Devices) -> Checked {
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let pinned = devices.memory(Place::Pinned).ok_or("no allocator")?;
    let used = || devices.used_memory(0).map(|(used, _)| used).map_err(text);
    let round = |count| {
        for _ in 0..count {
            let stream = devices.stream(0).map_err(text)?;
            let mut buffer = memory.allocate(100_000).map_err(text)?;
            let mut host = pinned.allocate(100_000).map_err(text)?;
            host.copy_from(0, PlacedSlice::Host(&[1; 100])).map_err(text)?;
            buffer.copy_from(0, whole(&*host)).map_err(text)?;
            stream.wait_for(whole(&*buffer)).map_err(text)?;
            stream.used(whole(&*host)).map_err(text)?;
        }
        Ok::<(), String>(())
    };
    round(2000)?;
    let before = (used()?, resident());
    round(20_000)?;
    let after = (used()?, resident());
    let grown = (after.0 as i64 - before.0 as i64, after.1 as i64 - before.1 as i64);
    let told = format!("bytes of the device and the host: {grown:?}");
    kit::expect(grown.0 <= 4 << 20 && grown.1 <= 8 << 20, &told).map(|_| told)
}
