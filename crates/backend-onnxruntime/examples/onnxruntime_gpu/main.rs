//! Checks this crate on a GPU, without a server: results against those of the CPU, batches of all sizes, memory.
//!
//! ```text
//! onnxruntime_gpu LIBRARY CENTERFACE [OTHER-MODEL]...
//! ```
//!
//! `LIBRARY` is that of onnxruntime-gpu. The folders of CUDA's libraries are looked for beside it, and in what the environment
//! variable `CUDA_LIBRARIES` names. Prints what it finds; the exit status says whether anything failed.

#![allow(clippy::unwrap_used, reason = "a check fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]

mod data;
mod instances;
mod kit;
mod results;
mod sizes;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use data::used;
use hippocamp_backend::Result;
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use hippocamp_device::{Devices, GpuSettings};
use kit::Checks;

/// A part of the check, which gets the other models.
type Part = fn(&mut Checks, &[PathBuf]) -> Result<()>;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [library, centerface, others @ ..] = arguments.as_slice() else {
        println!("onnxruntime_gpu LIBRARY CENTERFACE [OTHER-MODEL]...");
        return ExitCode::from(2);
    };
    let level = env::var("LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().with_max_level(level).with_target(false).init();
    let devices = Devices::find(&GpuSettings::default());
    println!("devices: {:?}", devices.all());
    if devices.gpus().next().is_none() {
        println!("there is no GPU here, so nothing can be checked");
        return ExitCode::from(3);
    }
    let cuda_libraries = env::var_os("CUDA_LIBRARIES").iter().flat_map(env::split_paths).collect();
    let settings = Settings { devices: devices.clone(), cuda_libraries, ..Settings::new(library) };
    let mut checks = Checks {
        devices,
        backend: OnnxRuntimeBackend::new(settings),
        folder: tempfile::tempdir().unwrap(),
        centerface: centerface.clone(),
        failed: false,
    };
    println!("memory of the GPU before anything: {} MB", used());
    let only = env::var("ONLY").unwrap_or_default();
    let parts: [(&str, Part); 8] = [
        ("results", Checks::results),
        ("sizes", Checks::sizes),
        ("open", Checks::open_sizes),
        ("others", Checks::others),
        ("limit", Checks::limit),
        ("instances", Checks::instances),
        ("threads", Checks::rates),
        ("cycles", Checks::cycles),
    ];
    for (name, part) in
        parts.into_iter().filter(|(name, _)| only.is_empty() || only.split(',').any(|o| o == *name))
    {
        println!("## {name}");
        if let Err(error) = part(&mut checks, others) {
            println!("FAILED {name}: {}", error.reason());
            checks.failed = true;
        }
    }
    ExitCode::from(u8::from(checks.failed))
}
