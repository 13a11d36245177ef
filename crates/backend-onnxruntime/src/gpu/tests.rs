//! What can be tested without a GPU: runs that are bound, in a session of the CPU, beside a device that is simulated.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Code, Delivery, InputTensor, ModelInstance, Request, Response, Result, channel,
};
use hippocamp_batching::{Batched, Compute, InputView, PlanSizes};
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_model_config::{Interface, SignatureTensor, parse};
use hippocamp_tensor::{Allocator, DataType, Place, PlacedSlice, Shape};
use ort::session::RunOptions;
use ort::session::builder::SessionBuilder;

use super::bound_runs::{BoundRuns, copied, of_input};
use super::instance::{GpuInstance, Runs};
use super::plan_cache::Key;
use super::ports::{OnDevice, Ports};
use super::{PlanCounters, shapes};
use crate::Settings;
use crate::guard::Guard;
use crate::ports::ports;
use crate::runtime::runtime;

#[path = "../../tests/kit/onnx.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod onnx;

use onnx::Graph;
use onnx::element::FLOAT;

const CONFIG: &str = "name: 'm' max_batch_size: 8 \
    input [ { name: 'a' data_type: TYPE_FP32 dims: [ 2 ] }, { name: 'b' data_type: TYPE_FP32 dims: [ 2 ] } ] \
    output [ { name: 'sum' data_type: TYPE_FP32 dims: [ 2 ] }, { name: 'difference' data_type: TYPE_FP32 dims: [ 2 ] } ]";

/// An instance of a model that adds and subtracts, without graphs.
fn instance(driver: &Arc<TestDriver>) -> (GpuInstance, Arc<Interface>) {
    let library =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/onnxruntime/lib/libonnxruntime.so");
    assert!(library.is_file(), "'{}' is missing: run scripts/fetch onnxruntime", library.display());
    let shape: [i64; 2] = [-1, 2];
    let graph = Graph::default()
        .node("Add", &["a", "b"], &["sum"])
        .node("Sub", &["a", "b"], &["difference"])
        .input("a", FLOAT, Some(&shape))
        .input("b", FLOAT, Some(&shape))
        .output("sum", FLOAT, Some(&shape))
        .output("difference", FLOAT, Some(&shape));
    let runtime = runtime(&Settings::new(library)).unwrap();
    let builder = SessionBuilder::new(&runtime.environment).unwrap();
    let session = builder.clone().commit_from_memory(&graph.encode()).unwrap();
    let interface = Arc::new(Interface::new(&parse(CONFIG, "config.pbtxt").unwrap().config).unwrap());
    let tensor = |name: &str| SignatureTensor {
        name: name.to_owned(),
        data_type: DataType::Fp32,
        dims: Some(shape.to_vec()),
        optional: false,
    };
    let ports_of = |names: [&str; 2], is_input: bool| {
        let tensors = names.map(tensor);
        let guard = Guard::default();
        if is_input {
            ports("m", interface.all_inputs(), &tensors, &guard)
        } else {
            ports("m", interface.all_outputs(), &tensors, &guard)
        }
    };
    let ports = Ports {
        model: "m".into(),
        inputs: ports_of(["a", "b"], true).unwrap(),
        outputs: ports_of(["sum", "difference"], false).unwrap(),
    };
    let on = OnDevice::new("m", &Devices::of(Arc::clone(driver) as _), 0).unwrap();
    let runs = BoundRuns::new(vec![(0, session)], RunOptions::new().unwrap(), &ports).unwrap();
    let instance = GpuInstance {
        runs: Runs::Bound(runs),
        ports,
        sizes: PlanSizes::default(),
        entries: Vec::new(),
        counters: PlanCounters::of(&"m".into()),
        on,
    };
    (instance, interface)
}

fn floats(values: &[f32]) -> Bytes {
    values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

fn execute(instance: &mut dyn ModelInstance, requests: &[[Option<&[f32]>; 2]]) -> Vec<Result<Response>> {
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for inputs in requests {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let rows = inputs[0].map_or(0, <[f32]>::len) / 2;
        let tensor = |values: Option<&[f32]>| {
            Some(InputTensor { shape: Shape::from([rows as i64, 2]), data: floats(values?).into() })
        };
        batch.push(Request::new(inputs.map(tensor).into_iter().collect(), rows, response));
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
}

#[test]
fn what_the_session_has_on_the_host_stays_there() {
    let driver = TestDriver::new(1, 1 << 20);
    let (instance, interface) = instance(&driver);
    assert_eq!([0, 1].map(|input| instance.input_memory(input).allocator.is_none()), [true, true]);
    assert_eq!(instance.padded_rows(3), 3, "without plans a batch is executed as it comes");
    assert_eq!(instance.pinned_memory().map(Allocator::place), Some(Place::Pinned));
    let mut batched = Batched::new(instance, interface);
    let requests: [[Option<&[f32]>; 2]; 2] =
        [[Some(&[1.0, 2.0]), Some(&[0.5, 0.25])], [Some(&[3.0, 4.0, 5.0, 6.0]), Some(&[1.0, 1.0, 1.0, 1.0])]];
    let answers = execute(&mut batched, &requests);
    let got: Vec<Vec<Bytes>> = answers
        .into_iter()
        .map(|answer| answer.unwrap().outputs.iter().map(|output| output.data.to_host().unwrap()).collect())
        .collect();
    let expected = [
        [floats(&[1.5, 2.25]), floats(&[0.5, 1.75])],
        [floats(&[4.0, 5.0, 6.0, 7.0]), floats(&[2.0, 3.0, 4.0, 5.0])],
    ];
    assert_eq!(got, expected);
    let transfers = driver.device(0).transfers();
    assert_eq!((transfers.from_host, transfers.to_host), (0, 0));
}

#[test]
fn zeros_of_each_size_are_tried_out() {
    let driver = TestDriver::new(1, 1 << 20);
    let (instance, interface) = instance(&driver);
    let Runs::Bound(runs) = &instance.runs else { panic!("it has no graphs") };
    for rows in [1, 8] {
        let key = shapes::shapes_of(&interface, rows).unwrap();
        runs.try_out((&key, rows), &instance.on, &instance.ports).unwrap();
    }
    let wrong: Key = [Some(Shape::from([1, 2])), Some(Shape::from([1, 3]))].into_iter().collect();
    assert!(runs.try_out((&wrong, 1), &instance.on, &instance.ports).is_err());
}

#[test]
fn a_lost_device_is_what_its_requests_are_told() {
    let driver = TestDriver::new(1, 1 << 20);
    let (instance, interface) = instance(&driver);
    let mut batched = Batched::new(instance, interface);
    let wrong: [[Option<&[f32]>; 2]; 1] = [[Some(&[1.0, 2.0]), None]];
    let error = execute(&mut batched, &wrong).remove(0).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArg, "{}", error.reason());
    driver.device(0).lose("it fell off the bus");
    let error = execute(&mut batched, &wrong).remove(0).unwrap_err();
    assert_eq!(error.reason(), "Unavailable: model 'm': GPU 0 is lost: it fell off the bus");
}

#[test]
fn an_output_that_is_an_input_is_copied() {
    let driver = TestDriver::new(1, 1 << 20);
    let on = OnDevice::new("m", &Devices::of(Arc::clone(&driver) as _), 0).unwrap();
    let mut buffer = on.allocator.allocate(32).unwrap();
    let content: Vec<u8> = (0..32).collect();
    buffer.copy_from(0, PlacedSlice::Host(&content)).unwrap();
    let data = PlacedSlice::Placed { buffer: &*buffer, start: 8, len: 16 };
    let view = InputView { data_type: DataType::Fp32, shape: Shape::from([2, 2]), data };
    let inputs = [None, Some(view)];
    let address = on.address(data).unwrap();

    let found = of_input(&on, &inputs, address, 16).unwrap();
    let output = copied(&on, found).unwrap();
    assert_eq!(output.place(), Place::Device(0));
    assert_eq!(output.to_host().unwrap(), content[8..24]);
    assert_ne!(on.address(output.as_placed().unwrap()).unwrap(), address, "the batch's memory is not kept");
    assert_eq!(of_input(&on, &inputs, address + 8, 8).unwrap().to_vec().unwrap(), content[16..24]);
    for (address, size) in [(address - 8, 8), (address + 16, 4), (address + 8, 16)] {
        assert!(of_input(&on, &inputs, address, size).is_none(), "it is memory of the engine's");
    }
}
