//! Executes models of Triton's backends on one thread, without a server: no less can be reached by one that asks them one
//! request at a time.
//!
//! ```text
//! cargo bench -p hippocamp-backend-triton --bench bare -- BACKENDS REPOSITORY SECONDS MODEL:FLOATS ...
//! ```
//!
//! Each input is given so many floats. For each model, prints a line of JSON: requests a second, and the CPU time of a request
//! in microseconds, of this process and of those that it has started.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Request, channel,
};
use hippocamp_backend_triton::{HostSettings, TritonBackends};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults, parse};
use hippocamp_tensor::Shape;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [backends, repository, seconds, models @ ..] = &arguments[..] else {
        // All benches of the workspace may be asked to run.
        return println!("usage: bare BACKENDS REPOSITORY SECONDS MODEL:FLOATS ...");
    };
    let settings = HostSettings { backend_directory: backends.into(), ..HostSettings::default() };
    let backends = TritonBackends::new(settings);
    for model in models {
        let (name, floats) = model.split_once(':').unwrap();
        let time = Duration::from_secs_f64(seconds.parse().unwrap());
        measure(&backends, &Path::new(repository).join(name), name, floats.parse().unwrap(), time);
    }
}

fn measure(backends: &TritonBackends, folder: &Path, name: &str, floats: usize, time: Duration) {
    let text = std::fs::read_to_string(folder.join("config.pbtxt")).unwrap();
    let mut config = parse(&text, "config.pbtxt").unwrap().config;
    name.clone_into(&mut config.name);
    apply_defaults(&mut config, name, &DefaultFacts::default());
    let source = ModelSource {
        name: name.into(),
        version: 1,
        model_directory: folder.to_owned(),
        version_directory: folder.join("1"),
        config: Arc::new(config.clone()),
    };
    let model = backends.load(&source).unwrap();
    let (mut instance, interface) = new_instance(&*model, config);
    let data = Bytes::from(vec![0; 4 * floats]);
    let inputs = || {
        let input = || InputTensor { shape: Shape::from(&[floats as i64][..]), data: data.clone().into() };
        interface.all_inputs().map(|_| Some(input())).collect()
    };
    let mut execute = || {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let mut batch = Batch::new();
        batch.push(Request::new(inputs(), 1, response));
        instance.execute(&mut batch);
        drop(receiver);
    };
    for _ in 0..10 {
        execute();
    }
    let (begun, own, others) = (Instant::now(), cpu_time("self"), of_children());
    let mut count = 0.;
    while begun.elapsed() < time {
        execute();
        count += 1.;
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count;
    println!(
        "{{\"model\": \"{name}\", \"requests_per_s\": {:.0}, \"cpu_us\": {:.1}, \"stub_cpu_us\": {:.1}}}",
        count / begun.elapsed().as_secs_f64(),
        micros(cpu_time("self").saturating_sub(own)),
        micros(of_children().saturating_sub(others)),
    );
}

fn new_instance(model: &dyn Model, mut config: ModelConfig) -> (NewInstance, Arc<Interface>) {
    model.complete_config(&mut config, 4).unwrap();
    model.check_config(&config).unwrap();
    let interface = Arc::new(Interface::new(&config).unwrap());
    let spec = InstanceSpec {
        name: format!("{}_0_0", config.name),
        index: 0,
        device: Device::Cpu,
        config: Arc::new(config),
        interface: Arc::clone(&interface),
    };
    (model.new_instance(&spec).unwrap(), interface)
}

/// CPU time of the processes that this one has started.
fn of_children() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all: Vec<String> =
        lists.flat_map(|list| list.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    all.iter().filter(|pid| !pid.is_empty()).map(|pid| cpu_time(pid)).sum()
}

/// CPU time of a process so far; none if it has ended.
fn cpu_time(pid: &str) -> Duration {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Duration::ZERO };
    // Behind the name, which may have spaces: user and system time are the 12th and 13th field, in hundredths of a second.
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
