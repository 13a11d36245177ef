//! Compares executions by the backend with a bare loop over the same library, in one process: the least that a program could
//! do, which imports the graph, makes a session with the library's own settings or with the backend's, and runs it with the
//! same tensors.
//!
//! ```text
//! cargo bench -p hippocamp-backend-tensorflow --bench bare [-- THREADS SECONDS [MODEL.graphdef INPUT FILE OUTPUT ...]]
//! ```
//!
//! Prints requests a second and CPU time a request for each, in turns, and the ratios as medians of the rounds. A
//! graph that is given has a string as its input, which is the content of FILE.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]
#![allow(unsafe_code, reason = "the bare loop calls the library")]

mod bare_loop;
#[path = "../tests/kit/mod.rs"]
mod kit;

use std::time::{Duration, Instant};

use bare_loop::{Bare, Tensor};
use bytes::Bytes;
use hippocamp_backend::{Batch, Delivery, Device, ModelInstance, NewInstance, Request, channel};
use hippocamp_batching::testing::{Rate, measure, report};
use kit::graph::{Graph, element};
use kit::{Loaded, input, load_folder, numbers, strings};

/// A graph, its input, and the names of its outputs.
struct Case {
    name: String,
    graph: Vec<u8>,
    config: String,
    input: (String, Vec<i64>, Bytes),
    outputs: Vec<String>,
    is_text: bool,
}

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number =
        |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (threads, seconds) = (number(0, 4) as usize, number(1, 2));
    let cases = match arguments.get(2..) {
        Some([graph, input, file, outputs @ ..]) => vec![of_file(graph, input, file, outputs)],
        _ => vec![network(), dense()],
    };
    for case in cases {
        compare(&case, threads, Duration::from_secs(seconds));
    }
}

fn compare(case: &Case, threads: usize, time: Duration) {
    println!("{}, {threads} threads", case.name);
    let folder = kit::Folder::new();
    folder.file("model.graphdef", &case.graph);
    let loaded = load_folder(folder, &case.config).unwrap();
    let library = kit::library();
    let outputs: Vec<&str> = case.outputs.iter().map(String::as_str).collect();
    let bare = |config: &[u8], options: &'static [u8]| {
        Bare::new(&library, &case.graph, config, options, &case.input.0, &outputs)
    };
    let own = bare(&[], &[]);
    // Of ConfigProto: as many threads within an operation as there are CPUs, none across operations, and no spinning. Of
    // RunOptions: on the calling thread.
    let within = std::thread::available_parallelism().unwrap().get() as u8;
    let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let config = [&[0x10, within, 0x28][..], &minus_one, &[0x82, 0x01, 0x02, 0x48, 0x01]].concat();
    let same = bare(&config, &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    let (_, shape, data) = &case.input;
    let tensor =
        if case.is_text { Tensor::Text(data.clone()) } else { Tensor::Floats(shape.clone(), data.clone()) };
    let mut rounds: Vec<[Rate; 3]> = Vec::new();
    for _ in 0..5 {
        let by_backend = measure(threads, time, || {
            let mut instance = loaded.model.new_instance(&loaded.spec(Device::Cpu)).unwrap();
            let loaded = &loaded;
            move || execute(&mut instance, loaded, case)
        });
        let by_own = measure(threads, time, || || own.run(&tensor));
        let by_same = measure(threads, time, || || same.run(&tensor));
        rounds.push([by_backend, by_own, by_same]);
    }
    let names = ["backend", "bare, the library's settings", "bare, the backend's settings"];
    print!("{}", report(names, &rounds));
}

fn execute(instance: &mut NewInstance, loaded: &Loaded, case: &Case) {
    let (_, shape, data) = &case.input;
    let (response, receiver) = channel(Delivery::Once, Instant::now(), std::sync::Arc::default());
    let rows = if loaded.interface.max_batch_size > 0 { shape[0] as usize } else { 1 };
    let inputs = [input(shape, data.clone())].into_iter().collect();
    let mut batch = Batch::new();
    batch.push(Request::new(inputs, rows, response));
    instance.execute(&mut batch);
    drop(receiver);
}

/// A convolutional network of some milliseconds.
fn network() -> Case {
    let mut graph = Graph::new().placeholder("x", element::FLOAT, Some(&[-1, 96, 96, 3]));
    let (mut from, mut channels) = ("x".to_owned(), 3);
    for layer in 0..5 {
        let (filter, name, out) = (format!("w{layer}"), format!("c{layer}"), 32);
        let weights = numbers((0..9 * channels * out).map(|i| (i % 13) as f32 / 100.));
        let relu = format!("r{layer}");
        graph = graph
            .constant(&filter, element::FLOAT, &[3, 3, channels, out], &weights)
            .node(&name, "Conv2D", &[&from, &filter])
            .of("T", element::FLOAT)
            .text("padding", "SAME")
            .numbers("strides", &[1, 1 + i64::from(layer % 2 == 0), 1 + i64::from(layer % 2 == 0), 1])
            .node(&relu, "Relu", &[&name])
            .of("T", element::FLOAT);
        (from, channels) = (relu, out);
    }
    let data = numbers((0..96 * 96 * 3).map(|i| (i % 255) as f32 / 255.));
    case("convolutions", &graph, &from, vec![1, 96, 96, 3], data)
}

/// A layer that takes microseconds.
fn dense() -> Case {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[-1, 64]))
        .constant("w", element::FLOAT, &[64, 64], &numbers((0..64 * 64).map(|i| i as f32 / 4096.)))
        .node("y", "MatMul", &["x", "w"])
        .of("T", element::FLOAT);
    case("dense", &graph, "y", vec![1, 64], numbers((0..64).map(|i| i as f32)))
}

fn case(name: &str, graph: &Graph, output: &str, shape: Vec<i64>, data: Bytes) -> Case {
    Case {
        name: name.into(),
        graph: graph.encode(),
        config: format!(
            "max_batch_size: 8 input {{ name: \"x\" }} output {{ name: \"{output}\" }} dynamic_batching {{ }}"
        ),
        input: ("x".into(), shape, data),
        outputs: vec![output.into()],
        is_text: false,
    }
}

fn of_file(graph: &str, input: &str, file: &str, outputs: &[String]) -> Case {
    let listed: Vec<String> = outputs.iter().map(|name| format!("{{ name: \"{name}\" }}")).collect();
    Case {
        name: graph.into(),
        graph: std::fs::read(graph).unwrap(),
        config: format!("input {{ name: \"{input}\" }} output [ {} ]", listed.join(", ")),
        input: (input.into(), vec![1], strings([std::fs::read(file).unwrap()])),
        outputs: outputs.to_vec(),
        is_text: true,
    }
}
