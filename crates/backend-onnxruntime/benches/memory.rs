//! Measures memory and time of a model's instances: one session for all of them against one for each. For
//! `scripts/bench memory`.
//!
//! ```text
//! memory ROUNDS [MODEL.onnx SHAPE ROWS]
//! ```
//!
//! Without a model: a network of 96 MiB of weights, in the file and beside it. Every input has the shape, written
//! `1,16`; the large batch repeats it ROWS times.
//!
//! Memory is measured in a process for each line, because freed memory would be reused: resident MiB in addition to
//! those of a process that has opened the engine, as the peak while loading, loaded, after single runs of all instances
//! at once, after a large batch of one, and when nothing has run for a while. CPU time is measured in one process that
//! runs all lines in turns: milliseconds a run, and how much more that is than with a session for each instance, both
//! as medians of the rounds.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InstanceSpec, Model, ModelInstance, MovableInstance, NewInstance,
    Request, channel,
};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults};
use hippocamp_tensor::DataType;
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, input, library, numbers};

/// Width and number of the network's layers: 96 MiB of FP32.
const WIDTH: usize = 1024;
const LAYERS: usize = 24;

/// The memory period of the backend's settings.
const PERIOD: Duration = Duration::from_secs(1);

/// The index of the case with a session for each instance in `CASES`.
const ONE_EACH: usize = 1;

/// The compared cases: the name of the line, and the parameters in the config.
const CASES: [(&str, &str); 3] = [
    ("one session", ""),
    ("one each", "share_session_between_instances=0"),
    ("one session, shrunk after each run", "memory.enable_memory_arena_shrinkage=cpu:0"),
];

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["sizes", instances, parameters, model @ ..] => sizes(instances.parse().unwrap(), parameters, model),
        ["times", instances, rounds, model @ ..] => {
            times(instances.parse().unwrap(), rounds.parse().unwrap(), model);
        }
        [rounds] => ["inside", "beside"].iter().for_each(|model| all(rounds, &[model])),
        [rounds, model @ ..] => all(rounds, model),
        [] => println!("memory ROUNDS [MODEL.onnx SHAPE ROWS]"),
    }
}

fn all(rounds: &str, model: &[&str]) {
    println!("{}", model.join(" "));
    let titles = ["loading", "loaded", "running", "batch", "idle", "CPU ms", "more, %"];
    println!("{:>9} {:36}{}", "instances", "", titles.map(|title| format!("{title:>9}")).concat());
    for instances in ["1", "2", "4"] {
        let times = measure(&[&["times", instances, rounds], model].concat());
        for ((name, parameters), times) in CASES.iter().zip(times.lines()) {
            let sizes = measure(&[&["sizes", instances, parameters], model].concat());
            println!("{instances:>9} {name:36}{}{times}", sizes.trim_end());
        }
    }
}

/// Runs this program in a new process, and returns what it prints.
fn measure(arguments: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// How long the instances of a case run before memory is read, or before the next case runs.
const TURN: Duration = Duration::from_millis(500);

/// Prints the five columns of memory.
fn sizes(instances: usize, parameters: &str, model: &[&str]) {
    let subject = Subject::new(model);
    let _opened = open_engine();
    let before = resident("VmRSS");
    let print = |name| print!("{:9.1}", resident(name).saturating_sub(before) as f64 / 1024.);

    let mut loaded = Loaded::new(&subject, instances, parameters);
    print("VmHWM");
    print("VmRSS");
    loaded.work(&subject.inputs(&loaded.interface, 1));
    print("VmRSS");
    execute(&mut *loaded.instances[0], &subject.inputs(&loaded.interface, subject.rows));
    print("VmRSS");
    thread::sleep(PERIOD * 3);
    print("VmRSS");
    println!();
}

/// Prints a line for each case: milliseconds of CPU time a run, and percent more than with a session for each instance.
fn times(instances: usize, rounds: usize, model: &[&str]) {
    let subject = Subject::new(model);
    let mut loaded = CASES.map(|(_, parameters)| Loaded::new(&subject, instances, parameters));
    let inputs = subject.inputs(&loaded[0].interface, 1);
    for loaded in &mut loaded {
        loaded.work(&inputs);
    }
    let mut taken = CASES.map(|_| Vec::new());
    for _ in 0..rounds {
        taken.iter_mut().zip(&mut loaded).for_each(|(taken, loaded)| taken.push(loaded.work(&inputs)));
    }
    for times in &taken {
        let more = times.iter().zip(&taken[ONE_EACH]).map(|(time, base)| (time / base - 1.) * 100.).collect();
        println!("{:9.3}{:9.1}", median(times.clone()), median(more));
    }
}

/// The network: layers of `WIDTH` units. Weights differ between layers, because the engine stores equal ones once.
fn network(folder: &Folder, beside: bool) {
    let width = WIDTH as i64;
    let mut graph = Graph::default().input("x", element::FLOAT, Some(&[-1, width]));
    let bytes = WIDTH * WIDTH * 4;
    let mut all = Vec::new();
    for layer in 0..LAYERS {
        let weights = numbers(vec![1e-3 * (layer + 1) as f32; WIDTH * WIDTH]);
        let from = if layer == 0 { "x".to_owned() } else { format!("h{layer}") };
        let to = if layer + 1 == LAYERS { "y".to_owned() } else { format!("h{}", layer + 1) };
        let name = format!("w{layer}");
        graph = graph.node("MatMul", &[&from, &name], &[&to]);
        graph = if beside {
            let place = ("weights.bin", (layer * bytes) as u64, bytes as u64);
            all.extend_from_slice(&weights);
            graph.external_initializer(&name, element::FLOAT, &[width, width], place)
        } else {
            graph.initializer(&name, element::FLOAT, &[width, width], &weights)
        };
    }
    let graph = graph.output("y", element::FLOAT, Some(&[-1, width]));
    std::fs::write(folder.path(FILE), graph.encode()).unwrap();
    if beside {
        std::fs::write(folder.path(FILE).with_file_name("weights.bin"), all).unwrap();
    }
}

struct Subject {
    folder: Folder,
    shape: Vec<i64>,
    rows: i64,
}

/// A model and its instances.
struct Loaded {
    instances: Vec<MovableInstance>,
    interface: Arc<Interface>,
    _model: Box<dyn Model>,
}

fn engine() -> OnnxRuntimeBackend {
    OnnxRuntimeBackend::new(Settings { memory_period: Some(PERIOD), ..Settings::new(library()) })
}

/// Loads a small model, to open the engine.
fn open_engine() -> Box<dyn Model> {
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, Some(&[2]));
    let folder = Folder::with(FILE, &graph.output("y", element::FLOAT, Some(&[2])).encode());
    engine().load(&folder.source(BACKEND, "")).unwrap()
}

impl Loaded {
    fn new(subject: &Subject, instances: usize, parameters: &str) -> Loaded {
        let source = subject.folder.source(BACKEND, &config(instances, parameters, subject.rows));
        let model = engine().load(&source).unwrap();
        let mut config = ModelConfig::clone(&source.config);
        model.complete_config(&mut config, 64).unwrap();
        apply_defaults(&mut config, "m", &DefaultFacts::default());
        let interface = Arc::new(Interface::new(&config).unwrap());
        let (name, config) = ("m_0_0".to_owned(), Arc::new(config));
        let spec =
            InstanceSpec { name, index: 0, device: Device::Cpu, config, interface: Arc::clone(&interface) };
        let instances = (0..instances).map(|_| match model.new_instance(&spec).unwrap() {
            NewInstance::Movable(instance) => instance,
            NewInstance::Bound(_) => panic!("an instance on the CPU may move"),
        });
        Loaded { instances: instances.collect(), interface, _model: model }
    }

    /// Runs all instances at once for `TURN`. Returns the milliseconds of CPU time a run.
    fn work(&mut self, inputs: &[(Vec<i64>, Bytes)]) -> f64 {
        let (runs, end, used) = (AtomicU64::new(0), Instant::now() + TURN, cpu_time());
        thread::scope(|scope| {
            for instance in &mut self.instances {
                scope.spawn(|| {
                    while Instant::now() < end {
                        execute(&mut **instance, inputs);
                        runs.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        cpu_time().saturating_sub(used).as_secs_f64() * 1000. / runs.into_inner() as f64
    }
}

fn config(instances: usize, parameters: &str, rows: i64) -> String {
    let parameters = parameters.split(' ').filter_map(|parameter| parameter.split_once('='));
    let parameters = parameters
        .map(|(key, value)| format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}"));
    let parameters = parameters.collect::<Vec<_>>().join(" ");
    format!("max_batch_size: {rows} instance_group {{ count: {instances} kind: KIND_CPU }} {parameters}")
}

impl Subject {
    fn new(model: &[&str]) -> Subject {
        let folder = Folder::new();
        match model {
            [file, shape, rows] => {
                std::fs::copy(file, folder.path(FILE)).unwrap();
                let shape = shape.split(',').map(|dimension| dimension.parse().unwrap()).collect();
                Subject { folder, shape, rows: rows.parse().unwrap() }
            }
            [place] => {
                network(&folder, *place == "beside");
                Subject { folder, shape: vec![1, WIDTH as i64], rows: 256 }
            }
            _ => panic!("MODEL.onnx SHAPE ROWS"),
        }
    }

    /// The shape and content of each input, for `rows` rows.
    fn inputs(&self, interface: &Interface, rows: i64) -> Vec<(Vec<i64>, Bytes)> {
        let mut shape = self.shape.clone();
        shape[0] *= rows;
        let count = shape.iter().product::<i64>();
        let content = |data_type| match data_type {
            DataType::Fp32 => numbers((0..count).map(|i| (i % 251) as f32)),
            DataType::Int32 => numbers((0..count).map(|i| (i % 251) as i32)),
            other => panic!("inputs of {other} are not written here"),
        };
        interface.all_inputs().map(|spec| (shape.clone(), content(spec.data_type))).collect()
    }
}

fn execute(instance: &mut dyn ModelInstance, inputs: &[(Vec<i64>, Bytes)]) {
    let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
    let rows = inputs[0].0[0] as usize;
    let inputs = inputs.iter().map(|(shape, content)| input(shape, content.clone())).collect();
    let mut batch = Batch::new();
    batch.push(Request::new(inputs, rows, response));
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(receiver.only()).unwrap();
}

/// A field of `/proc/self/status` in KiB.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// User and system time of this process so far.
#[allow(unsafe_code, reason = "asks the C library")]
fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes one value, which is valid even if it is all zeros.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}
