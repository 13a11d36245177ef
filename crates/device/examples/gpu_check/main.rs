//! Checks the driver on a machine with a GPU: detection, memory, copies of every kind and order, pools, memory of other
//! processes, graphs, and figures. Prints a line for each check, with what was measured, and fails if one of them fails.

#![allow(unsafe_code, reason = "calls the CUDA driver beside the crate, as engines and clients do")]
#![allow(clippy::print_stdout, reason = "its report is what it is for")]

mod copies;
mod export;
mod graphs;
mod kit;
mod orders;
mod pools;
mod raw;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use hippocamp_device::{Devices, GpuSettings};
use kit::Report;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, rest @ ..] = arguments.as_slice() {
        return export::other_process(role, rest);
    }
    kit::log();
    let begin = Instant::now();
    let devices = Devices::find(&GpuSettings::default());
    println!("detection took {:?}", begin.elapsed());
    for device in devices.all() {
        println!("{device:?}");
    }
    if devices.gpus().next().is_none() {
        println!("there is no GPU");
        return ExitCode::FAILURE;
    }
    let mut report = Report::new();
    report.check("a weaker GPU is left out", || {
        let settings = GpuSettings { min_compute_capability: (99, 0), ..GpuSettings::default() };
        kit::expect(Devices::find(&settings).all().is_empty(), "a GPU was found")
    });
    report.check("figures without a context", || kit::figures(&devices));
    report.check("first use", || kit::first_use(&devices));
    copies::run(&mut report, &devices);
    orders::run(&mut report, &devices);
    graphs::run(&mut report, &devices);
    pools::run(&mut report, &devices);
    export::run(&mut report, &devices);
    report.check("figures at the end", || kit::figures(&devices));
    println!("{:?}", devices.device_use(0));
    println!("{:?}", devices.pinned_use());
    println!("lost: {:?}", devices.lost(0));
    report.end()
}
