//! What the checks share.

use std::any::Any;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hippocamp_device::Devices;
use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

pub(crate) type Checked = Result<String, String>;

/// Runs checks, prints what each tells, and counts failures.
#[derive(Debug)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report { passed: 0, failed: 0 }
    }

    pub(crate) fn check(&mut self, what: &str, check: impl FnOnce() -> Checked) {
        let begin = Instant::now();
        let checked = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err("it panicked".to_owned()));
        let took = begin.elapsed();
        match checked {
            Ok(told) => {
                self.passed += 1;
                println!("ok    {what} ({took:?}) {told}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL  {what} ({took:?}) {why}");
            }
        }
    }

    pub(crate) fn end(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub(crate) fn expect(holds: bool, otherwise: &str) -> Checked {
    if holds { Ok(String::new()) } else { Err(otherwise.to_owned()) }
}

/// The text of an error, for `?`.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(crate) fn whole(buffer: &dyn PlacedBuffer) -> PlacedSlice<'_> {
    PlacedSlice::Placed { buffer, start: 0, len: buffer.len() }
}

/// Bytes that differ with their position and the seed.
pub(crate) fn pattern(size: usize, seed: u32) -> Vec<u8> {
    (0..size as u32).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

pub(crate) fn equal(got: &[u8], expected: &[u8], what: &str) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    let at = got.iter().zip(expected).position(|(a, b)| a != b);
    Err(format!("{what}: differs at {at:?} of {}", expected.len()))
}

/// The fastest of several runs.
pub(crate) fn fastest(runs: usize, mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let begin = Instant::now();
        run()?;
        best = best.min(begin.elapsed());
    }
    Ok(best)
}

pub(crate) fn rate(bytes: usize, took: Duration) -> String {
    format!("{:.2} GB/s", bytes as f64 / took.as_secs_f64() / 1e9)
}

pub(crate) fn figures(devices: &Devices) -> Checked {
    let begin = Instant::now();
    let figures = devices.figures(0).ok_or("there are none")?;
    let first = begin.elapsed();
    let again = fastest(5, || devices.figures(0).map(drop).ok_or_else(|| "none".to_owned()))?;
    let used = devices.used_memory(0).map_err(text)?;
    if figures.memory_total.is_none() || figures.power_usage.is_none() {
        return Err(format!("{figures:?}"));
    }
    Ok(format!("{figures:?}, used memory {used:?}, first {first:?}, again {again:?}"))
}

pub(crate) fn first_use(devices: &Devices) -> Checked {
    let before = (devices.used_memory(0).map_err(text)?, resident());
    let begin = Instant::now();
    let memory = devices.memory(Place::Device(0)).ok_or("no allocator")?;
    let context = begin.elapsed();
    let buffer = memory.allocate(1).map_err(text)?;
    let allocated = begin.elapsed();
    drop(buffer);
    let after = (devices.used_memory(0).map_err(text)?, resident());
    Ok(format!(
        "context {context:?}, first allocation {allocated:?}, device MiB {} -> {}, host MiB {} -> {}",
        before.0.0 >> 20,
        after.0.0 >> 20,
        before.1 >> 20,
        after.1 >> 20
    ))
}

/// The resident memory of this process in bytes.
pub(crate) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Memory that no driver knows, such as a client's region.
#[derive(Debug)]
pub(crate) struct Foreign(pub(crate) Vec<u8>);

// SAFETY: the length is fixed, and all of the target is written.
unsafe impl PlacedBuffer for Foreign {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn copy_to_host(&self, start: usize, target: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        target.write_copy_of_slice(&self.0[start..start + target.len()]);
        Ok(())
    }
}

pub(crate) fn is_device_memory(buffer: &dyn PlacedBufferMut) -> bool {
    let any: &dyn Any = buffer;
    !any.is::<Foreign>() && matches!(buffer.place(), Place::Device(_))
}

/// Prints what the crate logs.
pub(crate) fn log() {
    let _ = tracing::subscriber::set_global_default(Printed);
}

struct Printed;

impl Subscriber for Printed {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hippocamp")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        println!("log   {} {}", event.metadata().level(), line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
