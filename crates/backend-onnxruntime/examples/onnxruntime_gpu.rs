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

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Request, Response, Result, WantedOutputs, channel,
};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings, write_metrics};
use hippocamp_device::{Devices, GpuSettings};
use hippocamp_metrics::Page;
use hippocamp_model_config::{DefaultFacts, Gpu, Interface, ModelConfig, apply_defaults, parse};
use hippocamp_tensor::{DataType, Place, PlacedBuffer, PlacedBufferMut, Shape, TensorData};

struct Checks {
    devices: Devices,
    backend: OnnxRuntimeBackend,
    folder: tempfile::TempDir,
    centerface: PathBuf,
    failed: bool,
}

/// A part of the check, which gets the other models.
type Part = fn(&mut Checks, &[PathBuf]) -> Result<()>;

/// A loaded model.
struct Loaded {
    model: Box<dyn Model>,
    config: Arc<ModelConfig>,
    interface: Arc<Interface>,
}

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

impl Checks {
    fn load(&self, file: &PathBuf, config: &str) -> Result<Loaded> {
        let directory = self.folder.path().join("m");
        fs::create_dir_all(directory.join("1")).unwrap();
        fs::copy(file, directory.join("1/model.onnx")).unwrap();
        let mut config = parse(config, "config.pbtxt").unwrap().config;
        config.backend = "onnxruntime".into();
        let gpus = vec![Gpu { id: 0, compute_capability: (9, 0) }];
        let backends = [("onnxruntime".to_owned(), self.backend.facts())].into();
        let facts = DefaultFacts { backends, gpus: Some(gpus) };
        apply_defaults(&mut config, "m", &facts);
        let source = ModelSource {
            name: "m".into(),
            version: 1,
            version_directory: directory.join("1"),
            model_directory: directory,
            config: Arc::new(config.clone()),
        };
        let model = self.backend.load(&source)?;
        model.complete_config(&mut config, 4)?;
        apply_defaults(&mut config, "m", &facts);
        model.check_config(&config)?;
        let interface = Arc::new(Interface::new(&config).unwrap());
        Ok(Loaded { model, config: Arc::new(config), interface })
    }

    fn check(&mut self, holds: bool, what: &str) {
        println!("{} {what}", if holds { "ok    " } else { "FAILED" });
        self.failed |= !holds;
    }

    /// The results of CenterFace on the GPU and on the CPU, with TF32 and without.
    fn results(&mut self, _: &[PathBuf]) -> Result<()> {
        let cpu = self.load(&self.centerface, &config("dims: [ 3, 320, 320 ]", "kind: KIND_CPU", ""))?;
        let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
        for (tf32, bound) in [("1", 0.1), ("0", 2e-3)] {
            let parameter =
                format!("parameters {{ key: \"use_tf32\" value {{ string_value: \"{tf32}\" }} }}");
            let sizes = "parameters { key: \"plan_batch_sizes\" value { string_value: \"3\" } }";
            let text = config("dims: [ 3, 320, 320 ]", GPU, &(parameter + sizes));
            let gpu =
                self.load(&self.centerface, &text.replace("max_batch_size: 32", "max_batch_size: 16"))?;
            let began = Instant::now();
            let mut instance = gpu.instance(0, Device::Gpu(0))?;
            println!("use_tf32 {tf32}: an instance with its plans took {:?}", began.elapsed());
            for rows in [1, 3, 8, 5, 16] {
                let inputs = vec![picture(rows, 320, rows as u64)];
                let got = execute(&mut *instance, &gpu.interface, vec![inputs.clone()]);
                let expected = execute(&mut *cpu_instance, &cpu.interface, vec![inputs]);
                let (got, expected) = (one(got)?, one(expected)?);
                let differences = differences(&got, &expected);
                let largest = differences.iter().copied().fold(0.0, f32::max);
                self.check(
                    largest < bound && got.outputs.len() == 4,
                    &format!("use_tf32 {tf32}, batch {rows}: largest differences by output {differences:?}"),
                );
            }
        }
        Ok(())
    }

    /// Batches of every size from 1 to 32, in an order that never has the same twice.
    fn sizes(&mut self, _: &[PathBuf]) -> Result<()> {
        let loaded = self.load(&self.centerface, &config("dims: [ 3, 320, 320 ]", GPU, ""))?;
        let began = Instant::now();
        let mut instance = loaded.instance(0, Device::Gpu(0))?;
        println!(
            "an instance with its plans took {:?}; sizes {:?}",
            began.elapsed(),
            loaded.model.prepared_batch_sizes(&loaded.config)
        );
        let mut times = Vec::new();
        for round in 0..3u64 {
            for n in 0..32u64 {
                let rows = ((n * 13 + round * 7) % 32 + 1) as usize;
                // As requests of one row each.
                let requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
                let began = Instant::now();
                let got = execute(&mut *instance, &loaded.interface, requests);
                times.push((began.elapsed(), rows));
                if let Some(Err(error)) = got.into_iter().find(Result::is_err) {
                    return Err(error);
                }
            }
        }
        let mut sorted = times.clone();
        sorted.sort();
        let median = sorted[sorted.len() / 2].0;
        println!("first batches: {:?}", &times[..8]);
        println!("slowest: {:?}", &sorted[sorted.len() - 5..]);
        self.check(
            sorted[sorted.len() - 1].0 < median * 5,
            &format!("no batch above 5x the median of {median:?}"),
        );
        for rows in [1, 2, 4, 8, 16, 32] {
            let requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
            let began = Instant::now();
            for _ in 0..20 {
                drop(execute(&mut *instance, &loaded.interface, requests.clone()));
            }
            println!("batch {rows}: {:?} with copies", began.elapsed() / 20);
        }
        println!("{}", metrics());
        Ok(())
    }

    /// A model whose pictures may have any size.
    fn open_sizes(&mut self, _: &[PathBuf]) -> Result<()> {
        let parameter = "parameters { key: \"plan_cache_size\" value { string_value: \"3\" } }";
        let loaded = self.load(&self.centerface, &config("dims: [ 3, -1, -1 ]", GPU, parameter))?;
        let mut instance = loaded.instance(0, Device::Gpu(0))?;
        let cpu = self.load(&self.centerface, &config("dims: [ 3, -1, -1 ]", "kind: KIND_CPU", ""))?;
        let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
        for side in [160, 320, 160, 320, 224, 640, 320, 160, 224] {
            let inputs = vec![picture(1, side, side as u64)];
            let began = Instant::now();
            let got = one(execute(&mut *instance, &loaded.interface, vec![inputs.clone()]))?;
            let took = began.elapsed();
            let expected = one(execute(&mut *cpu_instance, &cpu.interface, vec![inputs]))?;
            let largest = differences(&got, &expected).into_iter().fold(0.0, f32::max);
            self.check(largest < 0.1, &format!("{side}x{side} in {took:?}, largest difference {largest}"));
        }
        println!("{}", metrics());
        Ok(())
    }

    /// Other models, which complete their configs themselves: as they are on the CPU, with open sizes taken for 1.
    fn others(&mut self, others: &[PathBuf]) -> Result<()> {
        for file in others {
            let name = file.display().to_string();
            let gpu = self.load(file, &format!("name: 'm' max_batch_size: 8 instance_group {{ {GPU} }}"));
            let gpu = match gpu {
                Ok(gpu) => gpu,
                Err(_) => self.load(file, &format!("name: 'm' instance_group {{ {GPU} }}"))?,
            };
            let cpu = self.load(
                file,
                &format!(
                    "name: 'm' max_batch_size: {} instance_group {{ kind: KIND_CPU }}",
                    gpu.config.max_batch_size
                ),
            )?;
            let began = Instant::now();
            let made = gpu.instance(0, Device::Gpu(0));
            println!("{name}: an instance took {:?}", began.elapsed());
            let mut instance = match made {
                Ok(instance) => instance,
                Err(error) => {
                    self.check(false, &format!("{name}: {}", error.reason()));
                    continue;
                }
            };
            let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
            for rows in [1, 5, 2] {
                let inputs = some_inputs(&gpu.interface, rows);
                let began = Instant::now();
                let got = one(execute(&mut *instance, &gpu.interface, vec![inputs.clone()]));
                let took = began.elapsed();
                let expected = one(execute(&mut *cpu_instance, &cpu.interface, vec![inputs]));
                match (got, expected) {
                    (Ok(got), Ok(expected)) => {
                        let all = differences(&got, &expected);
                        self.check(
                            all.iter().all(|d| *d < 0.05),
                            &format!("{name}, batch {rows} in {took:?}: differences {all:?}"),
                        );
                    }
                    (got, expected) => self.check(
                        got.is_err() == expected.is_err(),
                        &format!("{name}, batch {rows}: GPU {:?}, CPU {:?}", got.err(), expected.err()),
                    ),
                }
            }
        }
        Ok(())
    }

    /// A limit of memory that is too small is found before the instance is ready.
    fn limit(&mut self, _: &[PathBuf]) -> Result<()> {
        let parameter = "parameters { key: \"gpu_mem_limit\" value { string_value: \"20000000\" } }";
        let loaded = self.load(&self.centerface, &config("dims: [ 3, 640, 640 ]", GPU, parameter))?;
        let error = loaded.instance(0, Device::Gpu(0)).err();
        let text = error.map(|error| error.reason()).unwrap_or_default();
        self.check(text.contains("too small"), &format!("a small gpu_mem_limit: {text}"));
        Ok(())
    }

    /// 16 instances of one model: memory and rates, each on a thread of its own.
    fn instances(&mut self, _: &[PathBuf]) -> Result<()> {
        // What the process has once is not counted: the context, and the kernels of the libraries.
        let text =
            config("dims: [ 3, 320, 320 ]", GPU, "").replace("max_batch_size: 32", "max_batch_size: 1");
        let first = Arc::new(self.load(&self.centerface, &text)?);
        run_instances(&first, 1, 1, (Duration::from_millis(100), None), |_| ())?;
        drop(first);
        let before = used();
        let text = config("dims: [ 3, 320, 320 ]", "kind: KIND_GPU gpus: 0 count: 16", "")
            .replace("max_batch_size: 32", "max_batch_size: 1");
        let loaded = Arc::new(self.load(&self.centerface, &text)?);
        println!("memory before {before}, loaded {}", used());
        let began = Instant::now();
        let time = Duration::from_secs(2);
        let rate = run_instances(&loaded, 16, 1, (time, None), |ready| {
            println!(
                "16 instances ready after {:?}, memory {ready} ({} for them)",
                began.elapsed(),
                ready - before
            );
        })?;
        println!("16 instances, batch 1: {rate:.0} pictures a second with copies");
        let between = used();
        let rate = run_instances(&loaded, 16, 1, (time, Some(&self.devices)), |_| ())?;
        println!(
            "16 instances, batch 1: {rate:.0} pictures a second on the device; memory without them {between}, {}",
            used()
        );
        drop(loaded);
        let after = used();
        self.check(
            after <= before + 80,
            &format!("unloading gives the memory back, but for the pool: {before} before, {after} after"),
        );
        Ok(())
    }

    /// Rates of one to four instances at the best batch.
    fn rates(&mut self, _: &[PathBuf]) -> Result<()> {
        for (count, rows) in [(1, 1), (1, 16), (4, 16)] {
            let group = format!("kind: KIND_GPU gpus: 0 count: {count}");
            let text = config("dims: [ 3, 320, 320 ]", &group, "")
                .replace("max_batch_size: 32", "max_batch_size: 16");
            let loaded = Arc::new(self.load(&self.centerface, &text)?);
            let time = Duration::from_secs(2);
            let began = Instant::now();
            let rate = run_instances(&loaded, count, rows, (time, None), |_| {
                println!("ready after {:?}", began.elapsed());
            })?;
            let on_device = run_instances(&loaded, count, rows, (time, Some(&self.devices)), |_| ())?;
            println!(
                "{count} instances, batch {rows}: {rate:.0} pictures a second with copies, {on_device:.0} on the device"
            );
        }
        Ok(())
    }

    /// Loads and unloads: of CenterFace, and many more of the last of the other models, which loads faster.
    fn cycles(&mut self, others: &[PathBuf]) -> Result<()> {
        let number =
            |name: &str, usual: usize| env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
        let text =
            config("dims: [ 3, 160, 160 ]", GPU, "").replace("max_batch_size: 32", "max_batch_size: 1");
        self.cycles_of(&self.centerface.clone(), &text, number("CYCLES", 10))?;
        if let Some(other) = others.last() {
            let text = format!("name: 'm' max_batch_size: 1 instance_group {{ {GPU} }}");
            self.cycles_of(other, &text, number("OTHER_CYCLES", 200))?;
        }
        Ok(())
    }

    fn cycles_of(&mut self, file: &PathBuf, text: &str, count: usize) -> Result<()> {
        let mut seen = Vec::new();
        let began = Instant::now();
        for _ in 0..count {
            let loaded = self.load(file, text)?;
            let mut instance = loaded.instance(0, Device::Gpu(0))?;
            one(execute(&mut *instance, &loaded.interface, vec![some_inputs(&loaded.interface, 1)]))?;
            drop(instance);
            seen.push((used(), resident()));
        }
        let shown: Vec<_> = seen.iter().step_by((count / 10).max(1)).collect();
        println!(
            "{count} cycles in {:?}; memory of the GPU and of the host in MB: {shown:?}",
            began.elapsed()
        );
        let (early, last) = (seen[seen.len() / 4], seen[seen.len() - 1]);
        self.check(last.0 <= early.0 + 4, "no slope of device memory");
        self.check(last.1 <= early.1 + early.1 / 20, "no slope of host memory");
        Ok(())
    }
}

const GPU: &str = "kind: KIND_GPU gpus: 0 count: 1";

fn config(dims: &str, group: &str, more: &str) -> String {
    // Further parameters, such as `enable_mem_pattern=1`.
    let further = env::var("PARAMETERS").unwrap_or_default();
    let further = further.split(',').filter_map(|parameter| parameter.split_once('='));
    let further = further
        .map(|(key, value)| format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}"));
    let more = further.fold(more.to_owned(), |more, parameter| more + " " + &parameter);
    format!(
        "name: 'm' max_batch_size: 32 input {{ name: \"input.1\" data_type: TYPE_FP32 {dims} }} instance_group {{ {group} }} {more}"
    )
}

impl Loaded {
    fn instance(&self, index: usize, device: Device) -> Result<Box<dyn ModelInstance>> {
        let (config, interface) = (Arc::clone(&self.config), Arc::clone(&self.interface));
        let spec = InstanceSpec { name: format!("m_0_{index}"), index, device, config, interface };
        self.model.new_instance(&spec).map(NewInstance::into_box)
    }
}

/// Instances on threads of their own that run batches of single pictures for a while. Returns pictures a second.
fn run_instances(
    loaded: &Arc<Loaded>,
    count: usize,
    rows: usize,
    (time, on_device): (Duration, Option<&Devices>),
    ready: impl FnOnce(i64),
) -> Result<f64> {
    let barrier = Arc::new(Barrier::new(count + 1));
    let threads: Vec<_> = (0..count)
        .map(|index| {
            let (loaded, barrier) = (Arc::clone(loaded), Arc::clone(&barrier));
            let memory = on_device.and_then(|devices| devices.memory(Place::Device(0)));
            thread::spawn(move || {
                let made = loaded.instance(index, Device::Gpu(0));
                barrier.wait();
                barrier.wait();
                let mut instance = made?;
                let mut requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
                let place = if memory.is_some() { Place::Device(0) } else { Place::Host };
                if let Some(memory) = memory {
                    for input in requests.iter_mut().flatten().flatten() {
                        let mut buffer = memory.allocate(input.data.len())?;
                        input.data.copy_into(&mut *buffer, 0)?;
                        buffer.finish()?;
                        input.data = TensorData::from(
                            Arc::<dyn PlacedBufferMut>::from(buffer) as Arc<dyn PlacedBuffer>
                        );
                    }
                }
                let (began, mut done) = (Instant::now(), 0);
                while began.elapsed() < time {
                    for result in execute_to(place, &mut *instance, &loaded.interface, requests.clone()) {
                        result?;
                        done += 1;
                    }
                }
                Ok(f64::from(done) / began.elapsed().as_secs_f64())
            })
        })
        .collect();
    barrier.wait();
    ready(used());
    barrier.wait();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

/// Executes requests as one batch and returns their responses.
fn execute(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    execute_to(Place::Host, instance, interface, requests)
}

/// As `execute`, with outputs that are wanted at that place.
fn execute_to(
    place: Place,
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for inputs in requests {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let rows = inputs.iter().flatten().next().and_then(|input| input.shape.first().copied());
        let batch_size = if interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
        let mut request = Request::new(inputs.into_iter().collect(), batch_size, response);
        request.outputs = WantedOutputs::all_at(place, interface.outputs.len());
        batch.push(request);
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
}

fn one(mut responses: Vec<Result<Response>>) -> Result<Response> {
    responses.remove(0)
}

/// A picture of noise.
#[expect(clippy::unnecessary_wraps, reason = "an input of a list whose inputs may be missing")]
fn picture(rows: usize, side: usize, seed: u64) -> Option<InputTensor> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let length = rows * 3 * side * side * 4;
    // Repeated, because this is also built without optimisation.
    let mut piece = Vec::new();
    while piece.len() < 40_036 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        piece.extend_from_slice(&((state >> 40) as f32 / 65793.0).to_le_bytes());
    }
    let mut bytes = piece.repeat(length.div_ceil(piece.len()));
    bytes.truncate(length);
    let shape = Shape::from([rows as i64, 3, side as i64, side as i64]);
    Some(InputTensor { shape, data: Bytes::from(bytes).into() })
}

/// Small numbers for every input.
fn some_inputs(interface: &Interface, rows: usize) -> Vec<Option<InputTensor>> {
    let input = |spec: &hippocamp_model_config::TensorSpec| {
        let dims: Shape = spec.dims.iter().map(|size| if *size < 0 { 16 } else { *size }).collect();
        let shape = if interface.max_batch_size > 0 { dims.with_batch(rows as i64) } else { dims };
        let count = shape.element_count().unwrap_or(0);
        let mut bytes = Vec::new();
        for n in 0..count {
            match spec.data_type {
                DataType::Fp32 => bytes.extend_from_slice(&((n % 17) as f32 / 17.0).to_le_bytes()),
                DataType::Int64 => bytes.extend_from_slice(&(1 + n as i64 % 7).to_le_bytes()),
                DataType::Int32 => bytes.extend_from_slice(&(n as i32 % 256).to_le_bytes()),
                other => bytes.extend(vec![0; other.byte_size().unwrap_or(0)]),
            }
        }
        Some(InputTensor { shape, data: Bytes::from(bytes).into() })
    };
    interface.inputs.iter().map(input).collect()
}

/// The largest difference of each output of FP32, relative to 1 or to the value.
fn differences(got: &Response, expected: &Response) -> Vec<f32> {
    let floats = |data: &Bytes| -> Vec<f32> {
        data.chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect()
    };
    let pairs = got.outputs.iter().zip(&expected.outputs);
    pairs
        .map(|(got, expected)| {
            if got.shape != expected.shape {
                return f32::INFINITY;
            }
            let (got, expected) = (got.data.to_host().unwrap(), expected.data.to_host().unwrap());
            let pairs = floats(&got).into_iter().zip(floats(&expected));
            pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
        })
        .collect()
}

fn metrics() -> String {
    let mut page = Page::default();
    write_metrics(&mut page);
    page.into_text().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The used memory of the first GPU in MB, of all processes.
fn used() -> i64 {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.trim().parse().unwrap_or(-1)
}

/// The resident memory of this process in MB.
fn resident() -> i64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<i64>().ok()).unwrap_or(0) / 256
}
