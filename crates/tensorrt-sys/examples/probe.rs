//! Shows what a library does here: its version, its runtime, and what it says of a plan.
//!
//! `probe LIBRARY [PLAN...]` opens the library, makes a runtime, checks that what is set is what is got, reads the plans and
//! tells of their tensors. `probe LIBRARY --build PARSER MODEL.onnx PLAN` makes a plan. Nothing is executed.

#![allow(clippy::print_stdout, reason = "a program")]

use std::ffi::CString;
use std::path::Path;
use std::process::ExitCode;

use hippocamp_tensorrt_sys::build::{ParserLibrary, Progress};
use hippocamp_tensorrt_sys::{Engine, Library, Selector, capture, set_sink};

fn main() -> ExitCode {
    set_sink(|message| println!("  log: {:?}: {}", message.severity, message.text));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [library, "--build", parser, model, plan] => build(library, parser, model, plan),
        [library, ref plans @ ..] => read(library, plans),
        [] => Err("usage: probe LIBRARY [PLAN...] | probe LIBRARY --build PARSER MODEL.onnx PLAN".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn open(library: &str) -> Result<Library, String> {
    let library = Library::open(Path::new(library)).map_err(|e| e.to_string())?;
    println!("{library}, layout {:?}, builds: {}", library.layout(), library.can_build());
    Ok(library)
}

fn read(library: &str, plans: &[&str]) -> Result<(), String> {
    let library = open(library)?;
    let runtime = library.runtime().ok_or("the library makes no runtime")?;
    println!("host code allowed: {} at first", runtime.engine_host_code_allowed());
    for is_allowed in [true, false, true] {
        runtime.set_engine_host_code_allowed(is_allowed);
        expect("host code allowed", is_allowed, runtime.engine_host_code_allowed())?;
    }
    for threads in [3, 1] {
        expect("setting the threads", true, runtime.set_max_threads(threads))?;
        expect("threads", threads, runtime.max_threads())?;
    }
    for plan in plans {
        let bytes = std::fs::read(plan).map_err(|e| format!("{plan}: {e}"))?;
        println!("{plan}, {} bytes", bytes.len());
        let (engine, messages) = capture(|| runtime.deserialize(&bytes));
        match engine {
            Some(engine) => describe(&engine),
            None => println!("  refused, with {} messages", messages.len()),
        }
    }
    Ok(())
}

fn expect<T: PartialEq + Copy + std::fmt::Debug>(what: &str, expected: T, got: T) -> Result<(), String> {
    println!("{what}: {got:?}");
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}

fn describe(engine: &Engine) {
    let profiles = engine.profile_count();
    println!(
        "  engine '{}', {profiles} profiles, {} bytes for a context, implicit batch: {}",
        engine.name(),
        engine.device_memory_size(),
        engine.has_implicit_batch()
    );
    for name in engine.tensor_names() {
        let Ok(text) = CString::new(name) else { continue };
        println!(
            "  {text:?}: {:?} {:?} {:?} {:?}, {:?}, shape tensor: {}",
            engine.io_mode(&text),
            engine.data_type(&text),
            engine.shape(&text),
            engine.location(&text),
            engine.format(&text, 0),
            engine.is_shape_tensor(&text)
        );
        for profile in 0..profiles {
            let shapes = [Selector::Min, Selector::Opt, Selector::Max];
            println!(
                "    profile {profile}: {:?}",
                shapes.map(|which| engine.profile_shape(&text, profile, which))
            );
        }
    }
    let (context, messages) = capture(|| engine.context());
    println!("  context: {}, {} messages", context.is_some(), messages.len());
}

struct Told;

impl Progress for Told {
    fn begins(&self, phase: &str, parent: Option<&str>, steps: i32) {
        println!("  phase {phase} of {parent:?}: {steps} steps");
    }

    fn step(&self, _phase: &str, _step: i32) -> bool {
        true
    }

    fn ends(&self, phase: &str) {
        println!("  phase {phase} is over");
    }
}

fn build(library: &str, parser: &str, model: &str, plan: &str) -> Result<(), String> {
    let library = open(library)?;
    let parser = ParserLibrary::open(Path::new(parser)).map_err(|e| e.to_string())?;
    let builder = library.builder().ok_or("the library makes no builder")?;
    let mut network = builder.network(true).ok_or("no network")?;
    let bytes = std::fs::read(model).map_err(|e| e.to_string())?;
    parser.parse(&mut network, &bytes, Path::new(model))?;
    println!("inputs: {:?}\noutputs: {:?}", network.inputs(), network.outputs());
    let mut config = builder.config().ok_or("no config")?;
    println!("compute capabilities: {:?}", config.set_compute_capabilities(&[89, 120]));
    config.set_workspace(64 << 20);
    config.set_tf32(false);
    config.set_progress(Box::new(Told));
    let mut profile = builder.profile().ok_or("no profile")?;
    for input in network.inputs().iter().filter(|input| input.dims.contains(&-1)) {
        let name = CString::new(input.name.as_str()).map_err(|e| e.to_string())?;
        for (which, size) in [(Selector::Min, 1), (Selector::Opt, 4), (Selector::Max, 8)] {
            let dims: Vec<i64> = input.dims.iter().map(|dim| if *dim < 0 { size } else { *dim }).collect();
            let dims = hippocamp_tensorrt_sys::Dims::new(&dims).ok_or("too many dimensions")?;
            expect("setting a shape", true, profile.set_shape(&name, which, &dims))?;
        }
    }
    expect("the profile is valid", true, profile.is_valid())?;
    println!("profile: {:?}", config.add_profile(&profile));
    let bytes = builder.build(&network, &config).ok_or("the plan cannot be built")?;
    println!("plan: {} bytes", bytes.bytes().len());
    println!("timing cache: {:?} bytes", config.timing_cache().map(|cache| cache.bytes().len()));
    std::fs::write(plan, bytes.bytes()).map_err(|e| e.to_string())
}
