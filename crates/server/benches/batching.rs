//! Measures the gain and the cost of dynamic batching: single items from many concurrent clients, with and without a
//! batcher, compared with a bare loop over full batches on the same engine.
//!
//! `scripts/bench batching` writes the models and starts this. The rounds of all three take turns, so that other load
//! on the machine affects them equally. Prints the medians, and the processor time an item in this process, which other
//! programs hardly change.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench, which ends when something fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, InputTensor, ModelInstance, ModelSource, Observers, Request, channel,
};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings as OnnxRuntimeSettings};
use hippocamp_core::{ControlMode, InferInput, InferRequest, InferenceServer, LoadedModel, Settings};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::smallvec;
use tokio::runtime::Runtime;

/// The number of clients; each has one request in flight all the time.
const CONCURRENCY: usize = 64;
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 9;

/// The result of one round.
#[derive(Clone, Copy, Default)]
struct Outcome {
    items_per_second: f64,
    /// Processor time of the whole process an item.
    cpu_per_item: Duration,
    p99: Duration,
    /// The mean batch size of an execution.
    batch: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(repository) = arguments.next() else {
        println!("started by scripts/bench batching, with the folder of its models");
        return;
    };
    let io_threads = std::thread::available_parallelism().map_or(1, |n| (n.get() / 4).clamp(1, 8));
    // The runtime is built like the server's.
    let mut runtime = if io_threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = runtime.worker_threads(io_threads).enable_all().build().unwrap();
    let library = std::env::var_os("HIPPOCAMP_ONNXRUNTIME_LIBRARY")
        .unwrap_or_else(|| ".cache/onnxruntime/lib/libonnxruntime.so".into());
    let backend: Arc<dyn Backend> = Arc::new(OnnxRuntimeBackend::new(OnnxRuntimeSettings::new(library)));
    let settings = Settings {
        repositories: vec![std::path::Path::new(&repository).into()],
        control_mode: ControlMode::None,
        ..Settings::default()
    };
    let server = InferenceServer::new(settings, vec![Arc::clone(&backend)]);
    let faults = runtime.block_on(server.load_repositories());
    assert!(faults.is_empty(), "{faults:?}");
    println!("{:24} {:>12} {:>8} {:>7} {:>9} {:>9}", "", "items/s", "of bare", "batch", "p99, ms", "load");
    for name in arguments {
        compare(&runtime, &server, &backend, Path::new(&repository), &name);
    }
}

/// Measures the models NAME (without a batcher) and `NAME_batched`.
fn compare(
    runtime: &Runtime,
    server: &InferenceServer,
    backend: &Arc<dyn Backend>,
    repository: &Path,
    name: &str,
) {
    let single = server.model(name, None).unwrap();
    let batched = server.model(&format!("{name}_batched"), None).unwrap();
    let mut bare = Bare::new(&**backend, &batched, repository);
    let mut outcomes: [Vec<Outcome>; 3] = Default::default();
    for _ in 0..ROUNDS {
        outcomes[0].push(bare.round());
        outcomes[1].push(runtime.block_on(round(&batched)));
        outcomes[2].push(runtime.block_on(round(&single)));
    }
    let rate = |of: &[Outcome]| median(of.iter().map(|o| o.items_per_second));
    let cpu = |of: &[Outcome]| median(of.iter().map(|o| o.cpu_per_item.as_secs_f64() * 1e6));
    let bare = (rate(&outcomes[0]), cpu(&outcomes[0]));
    for (what, outcomes) in
        ["bare loop, full batches", "dynamic batching", "no batching"].iter().zip(&outcomes)
    {
        println!(
            "{:32} {:>9.0} {:>7.1}% {:>9.2} {:>7.1}% {:>6.1} {:>8.2} {:>6}",
            format!("{name}: {what}"),
            rate(outcomes),
            100.0 * rate(outcomes) / bare.0,
            cpu(outcomes),
            100.0 * bare.1 / cpu(outcomes),
            median(outcomes.iter().map(|o| o.batch)),
            median(outcomes.iter().map(|o| o.p99.as_secs_f64() * 1e3)),
            load_average(),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this process so far, in steps of 10 ms.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may have blanks; user and system time are the 12th and 13th field behind it.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
    Duration::from_millis(fields.skip(11).take(2).map(|ticks| 10 * ticks.parse::<u64>().unwrap()).sum())
}

/// The load average of the last minute.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The elements of one row of the input, without the batch dimension.
fn width(model: &LoadedModel) -> usize {
    model.interface.inputs[0].dims.iter().map(|d| *d as usize).product()
}

fn row(model: &LoadedModel) -> Bytes {
    (0..width(model)).flat_map(|i| ((i % 7) as f32 / 7.0).to_le_bytes()).collect::<Vec<u8>>().into()
}

/// Requests single items, `CONCURRENCY` at a time.
async fn round(model: &Arc<LoadedModel>) -> Outcome {
    let before = model.statistics.snapshot();
    let (begin, cpu) = (Instant::now(), processor_time());
    let clients: Vec<_> =
        (0..CONCURRENCY).map(|_| tokio::spawn(client(Arc::clone(model), begin + ROUND))).collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.unwrap());
    }
    let elapsed = begin.elapsed();
    let after = model.statistics.snapshot();
    latencies.sort_unstable();
    Outcome {
        items_per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        cpu_per_item: processor_time().saturating_sub(cpu).div_f64(latencies.len() as f64),
        p99: latencies[latencies.len() * 99 / 100],
        batch: (after.inference_count - before.inference_count) as f64
            / (after.execution_count - before.execution_count) as f64,
    }
}

async fn client(model: Arc<LoadedModel>, until: Instant) -> Vec<Duration> {
    let (data, shape) = (row(&model), Shape::from([1, width(&model) as i64]));
    let name = Arc::clone(&model.interface.inputs[0].name);
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let arrived = Instant::now();
        let input = InferInput {
            name: &name,
            data_type: Some(DataType::Fp32),
            shape: shape.clone(),
            data: TensorData::from(data.clone()),
        };
        let request = InferRequest { arrived, ..InferRequest::new(smallvec![input]) };
        model.infer_and_wait(request).unwrap().only().await.unwrap();
        latencies.push(arrived.elapsed());
    }
    latencies
}

/// An instance without server, queue and gather, which executes full batches.
struct Bare {
    instance: Box<dyn ModelInstance>,
    /// A full batch.
    input: InputTensor,
    size: usize,
}

impl Bare {
    fn new(backend: &dyn Backend, model: &LoadedModel, repository: &Path) -> Bare {
        let directory = repository.join(&*model.name);
        let source = ModelSource {
            name: Arc::clone(&model.name),
            version: 1,
            version_directory: directory.join("1"),
            model_directory: directory,
            config: Arc::clone(&model.config),
        };
        let instance = backend.load(&source).unwrap().new_instance(&hippocamp_backend::InstanceSpec {
            name: "bare".to_owned(),
            index: 0,
            device: hippocamp_backend::Device::Cpu,
            config: Arc::clone(&model.config),
            interface: Arc::clone(&model.interface),
        });
        let size = model.interface.max_batch_size as usize;
        let input = InputTensor {
            shape: Shape::from([size as i64, width(model) as i64]),
            data: TensorData::from(Bytes::from(row(model).repeat(size))),
        };
        Bare { instance: instance.unwrap().into_box(), input, size }
    }

    fn round(&mut self) -> Outcome {
        let observers = Observers::counting(&Arc::new(ModelStatistics::default()));
        let (begin, cpu) = (Instant::now(), processor_time());
        let mut latencies = Vec::new();
        while begin.elapsed() < ROUND {
            let now = Instant::now();
            let (response, receiver) = channel(Delivery::Once, now, Arc::clone(&observers));
            let request = Request::new(smallvec![Some(self.input.clone())], self.size, response);
            let mut batch = Batch::from_iter([request]);
            self.instance.execute(&mut batch);
            latencies.push(now.elapsed());
            drop(receiver);
        }
        latencies.sort_unstable();
        Outcome {
            items_per_second: (latencies.len() * self.size) as f64 / begin.elapsed().as_secs_f64(),
            cpu_per_item: processor_time().saturating_sub(cpu).div_f64((latencies.len() * self.size) as f64),
            p99: latencies[latencies.len() * 99 / 100],
            batch: self.size as f64,
        }
    }
}
