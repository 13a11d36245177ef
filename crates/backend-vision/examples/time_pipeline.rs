//! Times a pipeline on one image on one thread, as an instance runs it. Called by `scripts/bench vision`.
//!
//!     time_pipeline PIPELINE.toml PICTURE RUNS
//!
//! Prints milliseconds, one line a run.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the terminal")]

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Batch, Delivery, Device, Event, InputTensor, InstanceSpec, Model, Request, channel};
use hippocamp_backend_vision::VisionModel;
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults};
use hippocamp_tensor::{Shape, push_element};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pipeline, picture, runs] = arguments.as_slice() else {
        println!("usage: time_pipeline PIPELINE.toml PICTURE RUNS");
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(pipeline).unwrap();
    let model = VisionModel::from_text("time".into(), pipeline, &text).unwrap();
    let mut config = ModelConfig { name: "time".into(), backend: "vision".into(), ..ModelConfig::default() };
    model.complete_config(&mut config, 1).unwrap();
    apply_defaults(&mut config, "time", &DefaultFacts::default());
    let interface = Arc::new(Interface::new(&config).unwrap());
    let spec = InstanceSpec {
        name: "time_0_0".into(),
        index: 0,
        device: Device::Cpu,
        config: Arc::new(config),
        interface,
    };
    let mut instance = model.new_instance(&spec).unwrap().into_box();
    let mut data = Vec::new();
    push_element(&mut data, &std::fs::read(picture).unwrap());
    let data = bytes::Bytes::from(data);
    let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..runs.parse::<usize>().unwrap() {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let input = InputTensor { shape: Shape::from([1, 1]), data: data.clone().into() };
        let request = Request::new([Some(input)].into_iter().collect(), 1, response);
        let begun = Instant::now();
        instance.execute(&mut Batch::from_iter([request]));
        let took = begun.elapsed();
        let mut receiver = receiver;
        match waiting.block_on(receiver.next()) {
            Some(Event::Response { .. }) => println!("{:.4}", took.as_secs_f64() * 1e3),
            other => panic!("no answer: {other:?}"),
        }
    }
}
