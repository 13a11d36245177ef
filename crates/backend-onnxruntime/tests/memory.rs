//! The memory of a model: weights are there once, and memory of runs is released. One test, because it measures the
//! memory of the process.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Backend, Device, InstanceSpec, Model, ModelInstance};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use hippocamp_engine_library::give_back;
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults};
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, execute, input, library, numbers};

const MIB: usize = 1 << 20;

/// The width of a layer whose weights take 96 MiB.
const WIDTH: usize = 5016;

/// The width between two operators, and the number of rows in the large batch.
const WIDE: usize = 4096;
const ROWS: usize = 4096;

/// y = x * weights, for rows.
fn heavy() -> Graph {
    let width = WIDTH as i64;
    Graph::default()
        .node("MatMul", &["x", "weights"], &["y"])
        .input("x", element::FLOAT, Some(&[-1, width]))
        .initializer("weights", element::FLOAT, &[width, width], &0.5f32.to_le_bytes().repeat(WIDTH * WIDTH))
        .output("y", element::FLOAT, Some(&[-1, width]))
}

/// y = the sum of x + 1 over a wide row, with 64 MiB between two operators for the large batch.
fn roomy() -> Graph {
    let wide = WIDE as i64;
    let ones = numbers(vec![1f32; WIDE]);
    Graph::default()
        .node("Add", &["x", "row"], &["h"])
        .node("MatMul", &["h", "column"], &["y"])
        .input("x", element::FLOAT, Some(&[-1, 1]))
        .initializer("row", element::FLOAT, &[1, wide], &ones)
        .initializer("column", element::FLOAT, &[wide, 1], &ones)
        .output("y", element::FLOAT, Some(&[-1, 1]))
}

struct Serving {
    model: Box<dyn Model>,
    spec: InstanceSpec,
    _folder: Folder,
}

fn load(graph: Graph, config: &str) -> Serving {
    let settings = Settings { memory_period: Some(Duration::from_millis(20)), ..Settings::new(library()) };
    let folder = Folder::with(FILE, &graph.encode());
    let source = folder.source(BACKEND, config);
    let model = OnnxRuntimeBackend::new(settings).load(&source).unwrap();
    let mut config = ModelConfig::clone(&source.config);
    model.complete_config(&mut config, ROWS as i32).unwrap();
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    let interface = Arc::new(Interface::new(&config).unwrap());
    let (name, config) = ("m_0_0".to_owned(), Arc::new(config));
    let spec = InstanceSpec { name, index: 0, device: Device::Cpu, config, interface };
    Serving { model, spec, _folder: folder }
}

impl Serving {
    fn instances(&self, count: usize) -> Vec<Box<dyn ModelInstance>> {
        (0..count).map(|_| self.model.new_instance(&self.spec).unwrap().into_box()).collect()
    }

    /// Runs rows of ones and compares the first number of the response.
    fn run(&self, instance: &mut dyn ModelInstance, rows: usize, columns: usize, expected: f32) {
        let inputs = vec![input(&[rows as i64, columns as i64], numbers(vec![1f32; rows * columns]))];
        let response = execute(instance, &self.spec.interface, inputs).unwrap();
        assert_eq!(response.outputs[0].data.to_host().unwrap()[..4], expected.to_le_bytes());
    }
}

/// Anonymous resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Waits until that is at most `most` bytes. Fails with `why` otherwise.
fn wait_for(most: usize, why: &str, mut meanwhile: impl FnMut()) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while resident() > most {
        assert!(Instant::now() < deadline, "{why}: {} MiB of {}", resident() / MIB, most / MIB);
        meanwhile();
        std::thread::yield_now();
    }
}

/// Compares the memory of four instances with that of one.
fn weights_are_there_once() {
    let taken = |config: &str, count: usize| {
        let before = resident();
        let serving = load(heavy(), config);
        let mut instances = serving.instances(count);
        for instance in &mut instances {
            serving.run(&mut **instance, 1, WIDTH, WIDTH as f32 / 2.);
        }
        let taken = resident().saturating_sub(before);
        drop((instances, serving));
        wait_for(before + 16 * MIB, "the end of a model gives its memory back", || ());
        taken
    };
    let one = taken("", 1);
    assert!((90 * MIB..120 * MIB).contains(&one), "{} MiB for weights of 96", one / MIB);
    let four = taken("instance_group { count: 4 kind: KIND_CPU }", 4);
    assert!(four * 10 < one * 12, "{} MiB, and {} for four instances", one / MIB, four / MIB);
    let own = r#"parameters { key: "share_session_between_instances" value { string_value: "0" } }"#;
    let each = taken(own, 4);
    assert!(each > 3 * one, "{} MiB, and {} with a session for each", one / MIB, each / MIB);
}

/// The memory of a large batch is released while small ones run and when nothing runs.
fn memory_of_runs_goes_back() {
    let serving = load(roomy(), "");
    let mut instance = serving.instances(1).remove(0);
    let sum = 2. * WIDE as f32;
    serving.run(&mut *instance, 1, 1, sum);
    let before = resident();
    let mut busy = || serving.run(&mut *instance, 1, 1, sum);
    for go_on in [true, false] {
        serving.run(&mut *serving.instances(1).remove(0), ROWS, 1, sum);
        assert!(resident() > before + 60 * MIB, "the large batch took {}", resident().saturating_sub(before));
        let why = if go_on { "small batches" } else { "nothing runs" };
        wait_for(before + 8 * MIB, why, || {
            if go_on {
                busy();
            }
        });
    }
    busy();
}

/// The memory of runs, of which the engine reserves 1 MiB and keeps accounts of 32 KiB, is made for the first run and not before.
fn models_that_nobody_asks_have_no_memory_of_runs() {
    const MODELS: usize = 200;
    let mut models: Vec<_> = (0..MODELS)
        .map(|_| {
            let serving = load(roomy(), "");
            let instance = serving.instances(1).remove(0);
            (serving, instance)
        })
        .collect();
    give_back();
    let idle = resident();
    for (serving, instance) in &mut models {
        serving.run(&mut **instance, 1, 1, 2. * WIDE as f32);
    }
    let first_runs = resident().saturating_sub(idle);
    assert!(first_runs > MODELS * (24 << 10), "a first run takes {} bytes", first_runs / MODELS);
}

#[test]
fn a_model_takes_what_it_needs() {
    // Opens the engine, which takes memory of its own.
    drop(load(roomy(), "").instances(1));
    models_that_nobody_asks_have_no_memory_of_runs();
    weights_are_there_once();
    memory_of_runs_goes_back();
}
