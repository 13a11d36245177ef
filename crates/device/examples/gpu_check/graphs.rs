//! Captured graphs, and what others do meanwhile.

use std::sync::Arc;
use std::thread;

use hippocamp_device::{DeviceError, Devices};
use hippocamp_tensor::{Place, PlacedSlice};

use crate::kit::{self, Checked, Report, fastest, text, whole};
use crate::raw::{self, Capturing};

pub(crate) fn run(report: &mut Report, devices: &Devices) {
    report.check("a graph is captured and launched", || graph(devices));
    report.check("a capture that fails leaves the stream usable", || failed(devices));
    report.check("memory is taken and freed while another thread captures", || meanwhile(devices));
}

fn engine(text: String) -> DeviceError {
    DeviceError::Failed { device: 0, operation: "queue work", reason: text.into() }
}

fn graph(devices: &Devices) -> Checked {
    let stream = devices.stream(0).map_err(text)?;
    let mut buffer = Arc::clone(&stream).allocator().allocate(1 << 16).map_err(text)?;
    let address = devices.address(whole(&*buffer)).ok_or("no address")?;
    buffer.fill_zeros(0, 1 << 16).map_err(text)?;
    let graph = stream
        .capture(&mut || {
            raw::fill(stream.raw(), address, 3, 1 << 15).map_err(engine)?;
            raw::copy(stream.raw(), address + (1 << 15), address, 1 << 15).map_err(engine)
        })
        .map_err(text)?;
    let read = whole(&*buffer).to_vec().map_err(text)?;
    kit::expect(read.iter().all(|&byte| byte == 0), "it ran while it was captured")?;
    for _ in 0..3 {
        buffer.fill_zeros(0, 1 << 16).map_err(text)?;
        graph.launch(&*stream).map_err(text)?;
        stream.used(whole(&*buffer)).map_err(text)?;
        let read = whole(&*buffer).to_vec().map_err(text)?;
        kit::expect(read.iter().all(|&byte| byte == 3), "it did not run")?;
    }
    let took = fastest(50, || {
        graph.launch(&*stream).map_err(text)?;
        stream.synchronize().map_err(text)
    })?;
    Ok(format!("launched and complete in {took:?}"))
}

fn failed(devices: &Devices) -> Checked {
    let stream = devices.stream(0).map_err(text)?;
    let error = stream.capture(&mut || Err(engine("as told".to_owned()))).map(drop);
    kit::expect(error == Err(engine("as told".to_owned())), &format!("{error:?}"))?;
    // Waiting for the stream cannot be captured.
    let unsuitable = stream.capture(&mut || stream.synchronize()).map(drop);
    let mut buffer = Arc::clone(&stream).allocator().allocate(16).map_err(text)?;
    buffer.copy_from(0, PlacedSlice::Host(&[1; 16])).map_err(text)?;
    let read = whole(&*buffer).to_vec().map_err(text)?;
    kit::expect(read == [1; 16], "the stream does not copy any more")?;
    match unsuitable {
        Err(error) => Ok(format!("waiting while capturing: {error}")),
        Ok(()) => Err("waiting was captured".to_owned()),
    }
}

fn meanwhile(devices: &Devices) -> Checked {
    raw::start()?;
    let capturing = Capturing::begin()?;
    let others = || {
        let device = devices.memory(Place::Device(0)).ok_or("no allocator")?;
        let pinned = devices.memory(Place::Pinned).ok_or("no allocator")?;
        for size in [1usize << 20, 48 << 20] {
            let mut buffer = device.allocate(size).map_err(text)?;
            let mut host = pinned.allocate(size).map_err(text)?;
            host.fill_zeros(0, size).map_err(text)?;
            buffer.copy_from(0, whole(&*host)).map_err(text)?;
            host.copy_from(0, whole(&*buffer)).map_err(text)?;
            if host.place() != Place::Pinned {
                return Err(format!("pinned memory is in {}", host.place()));
            }
        }
        devices.stream(0).map_err(text)?.synchronize().map_err(text)?;
        devices.used_memory(0).map(drop).map_err(text)
    };
    let done = thread::scope(|scope| scope.spawn(others).join().map_err(|_| "it panicked".to_owned()));
    let ended = capturing.end();
    done??;
    ended.map(|()| String::new())
}
