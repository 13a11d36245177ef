//! The build.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hippocamp_device::Devices;
use hippocamp_tensorrt_sys::build::{Builder, Config, HostMemory, Network, NetworkTensor, Profile};
use hippocamp_tensorrt_sys::{Dims, Layout, Library, Product, Selector, Severity, capture, set_sink};

use crate::PlanArgs;
use crate::batches::{Fault, Pictures};
use crate::libraries::{builder_library, parser_library};
use crate::profiles::profiles;
use crate::progress::OnStandardError;
use crate::shapes::ShapeRange;

/// A plan that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Where.
    pub path: PathBuf,
    /// How large, in bytes.
    pub size: usize,
    /// By what, such as `TensorRT 10.16.1`.
    pub library: String,
    /// How many optimisation profiles it has.
    pub profiles: usize,
    /// How long that took.
    pub took: Duration,
}

/// Builds a plan as the command line says. `folders` are where libraries are looked for.
///
/// # Errors
/// There is no library that builds, the model cannot be read, or the build fails; the text says what to do.
pub fn build_plan(args: &PlanArgs, folders: &[PathBuf], devices: &Devices) -> Result<Built> {
    let started = Instant::now();
    let model = &args.model;
    let content = std::fs::read(model).with_context(|| format!("'{}' cannot be read", model.display()))?;
    let library = builder_library(args, folders)?;
    check_types(args, &library)?;
    let parser = parser_library(args, &library, folders)?;
    log(args.verbose);
    // Where there is a GPU, kernels are tried on the one that is named.
    let stream = devices.gpu(args.gpu).and_then(|gpu| devices.stream(gpu.id).ok());
    if let Some(stream) = &stream {
        stream.make_current()?;
    }
    let builder = told(|| library.builder()).map_err(|why| no_builder(&library, &why))?;
    let is_strongly_typed = library.layout() != Layout::V10;
    let mut network = told(|| builder.network(is_strongly_typed)).map_err(anyhow::Error::msg)?;
    parser
        .parse(&mut network, &content, model)
        .map_err(|why| anyhow::anyhow!("{library} does not read '{}': {why}", model.display()))?;
    let ranges = profiles(args, &network.inputs())?;
    let mut config = told(|| builder.config()).map_err(anyhow::Error::msg)?;
    configure(args, &library, &mut config, devices)?;
    let made = add_profiles(&builder, &mut config, &ranges, &network.inputs())?;
    let fault = calibrate(args, &network, &ranges, &made, &mut config, devices)?;
    config.set_progress(Box::new(OnStandardError::new()));
    let plan = told(|| builder.build(&network, &config));
    // The library takes a picture that cannot be read for the end of the pictures.
    if let Some(fault) = fault.and_then(|fault| fault.lock().take()) {
        return Err(fault);
    }
    let plan = plan.map_err(|why| anyhow::anyhow!("{library} cannot build '{}': {why}", model.display()))?;
    keep_times(args, &config)?;
    let path = args.output();
    write(&path, plan.bytes())?;
    let (size, library, profiles) = (plan.bytes().len(), library.to_string(), ranges.len());
    Ok(Built { path, size, library, profiles, took: started.elapsed() })
}

/// Lets the library's log go to standard error: all of it, or what is wrong.
#[allow(clippy::print_stderr, reason = "the log of a command")]
fn log(verbose: bool) {
    set_sink(move |message| {
        // Errors become the command's own.
        if verbose || message.severity == Severity::Warning {
            eprintln!("TensorRT: {}", message.text);
        }
    });
}

/// What a call of the library makes, or what it logged instead.
fn told<T>(call: impl FnOnce() -> Option<T>) -> Result<T, String> {
    let (made, messages) = capture(call);
    made.ok_or_else(|| {
        let errors = messages.iter().filter(|message| message.severity <= Severity::Error);
        let texts: Vec<&str> = errors.map(|message| message.text.as_str()).collect();
        if texts.is_empty() { "the library does not say why".to_owned() } else { texts.join("; ") }
    })
}

/// Refuses types that the library does not choose.
fn check_types(args: &PlanArgs, library: &Library) -> Result<()> {
    if library.layout() == Layout::V10 {
        return Ok(());
    }
    if args.fp16 {
        bail!(
            "{library} takes the types of layers from the model, so --fp16 has no meaning: convert the ONNX model to half precision \
             first, such as with onnxconverter_common.float16.convert_float_to_float16(model, keep_io_types=True), and build that"
        );
    }
    if args.int8.is_some() {
        bail!(
            "{library} takes 8-bit integers from the model, so --int8 has no meaning: quantise the ONNX model first, with nodes \
             QuantizeLinear and DequantizeLinear, such as by 'python -m modelopt.onnx.quantization' or onnxruntime's \
             quantize_static(quant_format=QDQ), and build that"
        );
    }
    Ok(())
}

fn no_builder(library: &Library, why: &str) -> anyhow::Error {
    let advice = match library.product() {
        Product::TensorRt => {
            "; TensorRT tries kernels on a GPU, so it builds where there is one with its driver (nvidia-smi lists them)"
        }
        Product::TensorRtRtx => "",
    };
    anyhow::anyhow!("{library} makes no builder: {why}{advice}")
}

fn configure(args: &PlanArgs, library: &Library, config: &mut Config, devices: &Devices) -> Result<()> {
    if args.fp16 {
        config.allow_half();
    }
    if args.no_tf32 {
        config.set_tf32(false);
    }
    if args.version_compatible {
        config.set_version_compatible();
    }
    if args.exclude_lean_runtime {
        config.exclude_lean_runtime();
    }
    if args.hardware_compatible {
        config.set_ampere_plus();
    }
    if let Some(level) = args.optimization_level {
        config.set_optimization_level(level);
    }
    if let Some(size) = args.workspace {
        config.set_workspace(size.saturating_mul(1 << 20));
    }
    let capabilities: Vec<i32> = args.compute_capability.iter().map(|capability| capability.0).collect();
    if !capabilities.is_empty() {
        match config.set_compute_capabilities(&capabilities) {
            Some(true) => {}
            Some(false) => {
                bail!("{library} does not build for one of the compute capabilities {capabilities:?}")
            }
            None => bail!(
                "--compute-capability is for TensorRT for RTX: {library} builds for the GPU that is here"
            ),
        }
    } else if library.product() == Product::TensorRtRtx && devices.gpu(args.gpu).is_none() {
        bail!(
            "there is no GPU here whose kind the plan could be for: name kinds with --compute-capability, such as 8.9,12.0"
        );
    }
    if let Some(path) = &args.timing_cache {
        let times = if path.is_file() {
            std::fs::read(path).with_context(|| format!("'{}' cannot be read", path.display()))?
        } else {
            Vec::new()
        };
        if !config.set_timing_cache(&times) {
            bail!(
                "{library} does not take the timing cache '{}', which is of another version or GPU: name another file",
                path.display()
            );
        }
    }
    Ok(())
}

fn add_profiles(
    builder: &Builder,
    config: &mut Config,
    ranges: &[Vec<ShapeRange>],
    inputs: &[NetworkTensor],
) -> Result<Vec<Profile>> {
    let mut made = Vec::new();
    for (number, ranges) in ranges.iter().enumerate() {
        let mut profile = told(|| builder.profile()).map_err(anyhow::Error::msg)?;
        for range in ranges {
            let is_values = inputs.iter().any(|input| input.name == range.input && input.is_shape_tensor);
            set_range(&mut profile, range, is_values)?;
        }
        if !ranges.is_empty() && (!profile.is_valid() || config.add_profile(&profile).is_none()) {
            bail!("the shapes of profile {number} do not fit each other");
        }
        made.push(profile);
    }
    Ok(made)
}

fn set_range(profile: &mut Profile, range: &ShapeRange, is_values: bool) -> Result<()> {
    let name = CString::new(range.input.as_str())?;
    for (which, sizes) in [Selector::Min, Selector::Opt, Selector::Max].into_iter().zip(&range.bounds) {
        let is_set = if is_values {
            profile.set_values(&name, which, sizes)
        } else {
            Dims::new(sizes).is_some_and(|dims| profile.set_shape(&name, which, &dims))
        };
        if !is_set {
            bail!("the library does not take {sizes:?} for input '{}'", range.input);
        }
    }
    Ok(())
}

fn calibrate(
    args: &PlanArgs,
    network: &Network,
    ranges: &[Vec<ShapeRange>],
    profiles: &[Profile],
    config: &mut Config,
    devices: &Devices,
) -> Result<Option<Fault>> {
    let Some(folder) = &args.int8 else { return Ok(None) };
    let inputs = network.inputs();
    let [input] = inputs.as_slice() else {
        bail!("calibration fills one input with pictures, the model has {}", inputs.len());
    };
    let range = ranges.iter().flatten().find(|range| range.input == input.name);
    let best = range.map_or(&input.dims, |range| &range.bounds[1]);
    let (pictures, fault) = Pictures::new(args, Path::new(folder), input, best, devices)?;
    if !config.calibrate(Box::new(pictures)) {
        bail!("the library does not calibrate");
    }
    if let Some(profile) = profiles.first().filter(|_| range.is_some())
        && !config.set_calibration_profile(profile)
    {
        bail!("the library does not take the first profile for its calibration");
    }
    Ok(Some(fault))
}

fn keep_times(args: &PlanArgs, config: &Config) -> Result<()> {
    let Some(path) = &args.timing_cache else { return Ok(()) };
    match config.timing_cache() {
        Some(times) => write(path, HostMemory::bytes(&times)),
        None => Ok(()),
    }
}

/// Writes a file under another name first, so that a server that polls never reads half of it.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    let failed = || format!("'{}' cannot be written", path.display());
    let mut name = path.file_name().context("the output has no name")?.to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, content).with_context(failed)?;
    std::fs::rename(&part, path).with_context(failed)
}
