//! Runs plans of the double on the GPUs of this machine: by real memory, streams and graphs.
//!
//! `on_gpu` needs a GPU, and `examples/double` beside it or named by `HIPPOCAMP_TENSORRT_DOUBLE`. It goes through all parts, tells what each
//! saw, and exits with 1 if one failed. `scripts/gpu-acceptance` runs it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that checks")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use hippocamp_backend::{Device, ModelInstance, WantedOutputs};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_device::{Devices, GpuSettings};
use hippocamp_tensor::{Place, Shape};
use kit::{Loaded, Setup, VERSIONS, floats, input, integers, output, plan};

/// One part: what it is, and what it tells.
type Part = (&'static str, fn(&Devices) -> String);

const PARTS: [Part; 8] = [
    ("the conformance kit passes with each version", conformance),
    ("runs are captured and padded to graphs, and give what runs without give", graphs),
    ("larger batches than any graph's, and the graphs after them", beyond_graphs),
    ("shape tensors and shapes that a run tells", shapes),
    ("outputs stay on the device if they are wanted there", on_device),
    ("sixteen instances with graphs of their own, on sixteen threads", sixteen),
    ("a hundred loads and unloads leave no memory taken", cycles),
    ("microseconds a request of one row, and of thirty-two", times),
];

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    let devices = Devices::find(&GpuSettings::default());
    let Some(gpu) = devices.gpus().next() else {
        println!("there is no GPU here");
        return ExitCode::FAILURE;
    };
    println!("{gpu:?}");
    let mut failed = 0;
    for (name, part) in PARTS {
        let started = Instant::now();
        if let Ok(told) = catch_unwind(AssertUnwindSafe(|| part(&devices))) {
            println!("ok    {name} ({:?}) {told}", started.elapsed());
        } else {
            println!("FAIL  {name} ({:?})", started.elapsed());
            failed += 1;
        }
    }
    println!("{} passed, {failed} failed", PARTS.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const TWICE: &str = "
    input x FLOAT -1,64 device data 1,64:8,64:32,64
    output y FLOAT x.0,64 device data
    affine x y 2 1";

const GRAPHS: &str = "optimization { cuda { graphs: true } }";

fn load(devices: &Devices, version: usize, text: &str, config: &str) -> (Setup, Loaded) {
    let setup =
        Setup::on_devices(devices.clone(), VERSIONS[version].0).file("model.plan", &plan(version, text));
    let loaded = setup.load(config).unwrap();
    (setup, loaded)
}

/// Asks for rows of TWICE and checks the answer.
fn ask(model: &Loaded, instance: &mut dyn ModelInstance, rows: usize, seed: usize) {
    let values: Vec<f32> = (0..rows * 64).map(|n| (n * 7 + seed) as f32 / 16.0).collect();
    let request = vec![input(&[rows as i64, 64], floats(values.iter().copied()))];
    let response = model.run_on(instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
    let expected = floats(values.iter().map(|value| value * 2.0 + 1.0));
    assert_eq!(output(&response, 0), (vec![rows as i64, 64], expected), "{rows} rows");
}

fn conformance(devices: &Devices) -> String {
    let text = "
        profiles 2
        input a INT32 -1,16 device data 1,16:2,16:2,16 1,16:8,16:8,16
        input b FLOAT -1,16 device data 1,16:2,16:2,16 1,16:8,16:8,16
        output y INT32 a.0,16 device data
        output z FLOAT b.0,16 device data
        affine a y 2 1
        affine b z -1 0";
    let example = |n: usize, rows: usize| {
        let (count, shape) = ((rows * 16) as i32, [rows as i64, 16]);
        let values = move || (0..count).map(move |i| i * 3 + n as i32);
        let answers = vec![
            Some((Shape::from(shape), integers(values().map(|v| 2 * v + 1)))),
            Some((Shape::from(shape), floats(values().map(|v| -v as f32)))),
        ];
        let inputs =
            vec![input(&shape, integers(values())), input(&shape, floats(values().map(|v| v as f32)))];
        Example { inputs, responses: vec![answers] }
    };
    for version in 0..VERSIONS.len() {
        for config in ["max_batch_size: 7", &format!("max_batch_size: 8 {GRAPHS}")] {
            let (_setup, model) = load(devices, version, text, config);
            let (config, interface) = (model.config.clone(), model.interface.clone());
            let mut subject = Subject::new(&*model.model, config, interface, &example);
            subject.device = Device::Gpu(0);
            subject.verify();
        }
    }
    String::new()
}

fn graphs(devices: &Devices) -> String {
    let (_setup, model) = load(devices, 0, TWICE, GRAPHS);
    let mut instance = model.instance();
    let prepared = model.model.prepared_batch_sizes(&model.config);
    for turn in 0..3 {
        for rows in 1..=32 {
            ask(&model, &mut *instance, rows, turn);
        }
    }
    format!("prepared for {prepared:?}")
}

fn beyond_graphs(devices: &Devices) -> String {
    let config = "max_batch_size: 32 optimization { cuda { graphs: true \
        graph_spec { batch_size: 1 } graph_spec { batch_size: 4 } } }";
    let (_setup, model) = load(devices, 1, TWICE, config);
    let mut instance = model.instance();
    for rows in [1, 4, 32, 3, 1, 31, 4, 2] {
        ask(&model, &mut *instance, rows, rows);
    }
    String::new()
}

fn shapes(devices: &Devices) -> String {
    let text = "
        input x FLOAT 5 device data
        input s INT64 1 host shape 1:2:8
        output y FLOAT -1 device data
        output t INT64 1 host shape
        late x y
        values s t";
    let (_setup, model) = load(devices, 1, text, "");
    let mut instance = model.instance();
    for values in [[1.0, -1.0, 2.0, -2.0, 3.0], [-1.0; 5], [5.0; 5]] {
        let request = vec![input(&[5], floats(values)), input(&[1], 7_i64.to_le_bytes().to_vec())];
        let response = model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
        let expected: Vec<f32> = values.into_iter().filter(|value| *value > 0.0).collect();
        assert_eq!(output(&response, 0), (vec![expected.len() as i64], floats(expected)));
        assert_eq!(output(&response, 1).1[..], 7_i64.to_le_bytes());
    }
    String::new()
}

fn on_device(devices: &Devices) -> String {
    let wanted = WantedOutputs::all_at(Place::Device(0), 1);
    let mut copies = Vec::new();
    for config in ["", GRAPHS] {
        let (_setup, model) = load(devices, 0, TWICE, config);
        let mut instance = model.instance();
        let before = devices.device_use(0).unwrap();
        let request = vec![input(&[2, 64], floats([1.0; 128]))];
        let first = model.run_on(&mut *instance, vec![request], &wanted).remove(0).unwrap();
        assert_eq!(first.outputs[0].data.place(), Place::Device(0));
        // The output is the next one's input, where it is.
        let again = hippocamp_backend::InputTensor {
            shape: first.outputs[0].shape.clone(),
            data: first.outputs[0].data.clone(),
        };
        let second = model.run_on(&mut *instance, vec![vec![Some(again)]], &wanted).remove(0).unwrap();
        let after = devices.device_use(0).unwrap();
        copies.push((
            after.from_host.copies - before.from_host.copies,
            after.to_host.copies - before.to_host.copies,
            after.within.copies - before.within.copies,
        ));
        assert_eq!(after.to_host.copies, before.to_host.copies, "nothing went to the host");
        assert_eq!(output(&first, 0).1, floats([3.0; 128]));
        assert_eq!(output(&second, 0).1, floats([7.0; 128]));
    }
    format!("copies from the host, to it, and within: {copies:?}, without and with graphs")
}

fn sixteen(devices: &Devices) -> String {
    let (_setup, model) = load(devices, 0, TWICE, &format!("instance_group {{ count: 16 }} {GRAPHS}"));
    let used = || devices.used_memory(0).unwrap().0;
    let before = used();
    let started = Instant::now();
    thread::scope(|scope| {
        for index in 0..16 {
            let model = &model;
            scope.spawn(move || {
                let mut instance = model.instance_on(index, 0).unwrap();
                for n in 0..500 {
                    ask(model, &mut *instance, n % 32 + 1, index);
                }
            });
        }
    });
    let rate = 16.0 * 500.0 / started.elapsed().as_secs_f64();
    format!("{rate:.0} requests a second, {} bytes more are used afterwards", used() as i64 - before as i64)
}

fn cycles(devices: &Devices) -> String {
    let used = || devices.used_memory(0).unwrap().0 as i64;
    let mut seen = Vec::new();
    for n in 0..100 {
        let (_setup, model) = load(devices, n % VERSIONS.len(), TWICE, GRAPHS);
        let mut instance = model.instance();
        ask(&model, &mut *instance, n % 32 + 1, n);
        drop(instance);
        drop(model);
        if n % 20 == 19 {
            seen.push(used() >> 20);
        }
    }
    assert!(seen.last().unwrap() - seen[0] <= 4, "MiB in use: {seen:?}");
    format!("MiB in use after each 20: {seen:?}")
}

fn times(devices: &Devices) -> String {
    let mut told = Vec::new();
    for (name, config) in [("queued one by one", ""), ("graphs", GRAPHS)] {
        let (_setup, model) = load(devices, 0, TWICE, config);
        let mut instance = model.instance();
        for rows in [1_usize, 32] {
            let content = floats((0..rows * 64).map(|n| n as f32));
            let mut took = Vec::new();
            for _ in 0..2000 {
                let request = vec![input(&[rows as i64, 64], content.clone())];
                let started = Instant::now();
                model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
                took.push(started.elapsed());
            }
            took.sort_unstable();
            let at = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e6;
            told.push(format!("{name}, {rows} rows: median {:.1}, 99 % {:.1}", at(0.5), at(0.99)));
        }
    }
    told.join("; ")
}
