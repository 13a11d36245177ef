//! Runs that are captured, on simulated devices that can.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hippocamp_backend::{Device, ModelInstance, WantedOutputs};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_device::{Devices, Driver};
use hippocamp_tensor::{Place, Shape};
use kit::capturing::{CapturingDriver, Double};
use kit::{Loaded, Setup, VERSIONS, floats, input, library_folder, output, plan};

const TWICE: &str = "
    input x FLOAT -1,2 device data 1,2:4,2:8,2
    output y FLOAT x.0,2 device data
    affine x y 2 0";

/// A model on a device that captures.
fn load(version: usize, text: &str, config: &str) -> (Setup, Loaded, Arc<Double>) {
    let libraries = library_folder(VERSIONS[version].0);
    let (driver, double) = CapturingDriver::new(&libraries.path().join(VERSIONS[version].0));
    let devices = Devices::of(driver as Arc<dyn Driver>);
    let mut setup = Setup::on_devices(devices, VERSIONS[version].0).file("model.plan", &plan(version, text));
    // The functions that record are those of the file that is opened.
    setup.libraries = libraries;
    let model = setup.load(config).unwrap();
    (setup, model, double)
}

/// Asks for so many rows, checks the answer, and returns how many graphs were launched for it.
fn ask(model: &Loaded, instance: &mut dyn ModelInstance, double: &Double, rows: usize) -> usize {
    let before = double.launches.load(Ordering::SeqCst);
    let values: Vec<f32> = (0..2 * rows).map(|n| (n + rows) as f32).collect();
    let request = vec![input(&[rows as i64, 2], floats(values.iter().copied()))];
    let response = model.run_on(instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
    let expected = floats(values.iter().map(|value| 2.0 * value));
    assert_eq!(output(&response, 0), (vec![rows as i64, 2], expected), "{rows} rows");
    double.launches.load(Ordering::SeqCst) - before
}

#[test]
fn every_batch_is_padded_to_a_graph() {
    for version in 0..VERSIONS.len() {
        let (_setup, model, double) = load(version, TWICE, "optimization { cuda { graphs: true } }");
        assert_eq!(model.model.prepared_batch_sizes(&model.config), [1, 2, 4, 8]);
        let mut instance = model.instance();
        assert_eq!(double.captures.load(Ordering::SeqCst), 4);
        for rows in [1, 2, 3, 4, 5, 6, 7, 8, 3, 1] {
            assert_eq!(ask(&model, &mut *instance, &double, rows), 1, "{rows} rows");
        }
        assert_eq!(double.captures.load(Ordering::SeqCst), 4, "nothing is captured while requests run");
    }
}

#[test]
fn batches_beyond_the_graphs_are_queued_one_by_one() {
    let config = "max_batch_size: 8 optimization { cuda { graphs: true \
        graph_spec { batch_size: 1 } graph_spec { batch_size: 4 } } }";
    let (_setup, model, double) = load(0, TWICE, config);
    assert_eq!(model.model.prepared_batch_sizes(&model.config), [1, 4]);
    let mut instance = model.instance();
    assert_eq!([3, 1].map(|rows| ask(&model, &mut *instance, &double, rows)), [1, 1]);
    assert_eq!(ask(&model, &mut *instance, &double, 8), 0);
    // The buffers were made for the largest batch, so that the graphs still know where they are.
    assert_eq!([4, 1, 2].map(|rows| ask(&model, &mut *instance, &double, rows)), [1, 1, 1]);
}

#[test]
fn a_graph_is_of_the_shape_that_its_spec_gives() {
    let text = "
        input x FLOAT -1,-1 device data 1,1:4,2:8,4
        output y FLOAT x.0,x.1 device data
        affine x y 2 0";
    let spec = "graph_spec { batch_size: 2 input { key: \"x\" value { dim: 2 } } }";
    let config = format!("max_batch_size: 8 optimization {{ cuda {{ graphs: true {spec} }} }}");
    let (_setup, model, double) = load(1, text, &config);
    let mut instance = model.instance();
    assert_eq!(ask(&model, &mut *instance, &double, 2), 1);
    let request = vec![input(&[2, 3], floats([1.0; 6]))];
    let response = model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
    assert_eq!(output(&response, 0), (vec![2, 3], floats([2.0; 6])));
    let config = "max_batch_size: 8 optimization { cuda { graphs: true } }";
    let (_setup, model, _) = load(1, text, config);
    let error = model.instance_on(0, 0).err().unwrap();
    assert!(error.message().contains("a graph is of one shape, which a graph_spec has to give"), "{error:?}");
}

#[test]
fn what_cannot_be_captured_is_served_without() {
    let late = "
        input x FLOAT 5 device data
        output y FLOAT -1 device data
        late x y";
    let (_setup, model, double) = load(0, late, "optimization { cuda { graphs: true } }");
    let mut instance = model.instance();
    assert_eq!(double.captures.load(Ordering::SeqCst), 0);
    let request = vec![input(&[5], floats([1.0, -1.0, 2.0, -1.0, 3.0]))];
    let response = model.run_on(&mut *instance, vec![request], &WantedOutputs::ALL).remove(0).unwrap();
    assert_eq!(output(&response, 0), (vec![3], floats([1.0, 2.0, 3.0])));
}

#[test]
fn outputs_of_graphs_outlive_the_next_run() {
    let (_setup, model, _) = load(0, TWICE, "optimization { cuda { graphs: true } }");
    let mut instance = model.instance();
    let wanted = WantedOutputs::all_at(Place::Device(0), 1);
    let mut run = |value: f32| {
        let request = vec![input(&[1, 2], floats([value; 2]))];
        model.run_on(&mut *instance, vec![request], &wanted).remove(0).unwrap()
    };
    let (first, second) = (run(1.0), run(5.0));
    assert_eq!(first.outputs[0].data.place(), Place::Device(0));
    assert_eq!((output(&first, 0).1, output(&second, 0).1), (floats([2.0; 2]), floats([10.0; 2])));
}

#[test]
fn the_conformance_kit_passes_with_graphs() {
    let (_setup, model, _) = load(2, TWICE, "optimization { cuda { graphs: true } }");
    let example = |n: usize, rows: usize| {
        let (shape, values) = ([rows as i64, 2], move || (0..2 * rows).map(move |i| (i + n) as f32));
        let answer = Some((Shape::from(shape), floats(values().map(|value| 2.0 * value))));
        Example { inputs: vec![input(&shape, floats(values()))], responses: vec![vec![answer]] }
    };
    let mut subject = Subject::new(&*model.model, model.config.clone(), model.interface.clone(), &example);
    subject.device = Device::Gpu(0);
    subject.verify();
}
