use bytes::Bytes;
use hippocamp_backend::{Batch, Code, Device, Event, InputTensor, ModelInstance, WantedOutputs};
use hippocamp_device::testing::Transfers;
use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, Shape, TensorData};

use super::*;
use crate::conformance::trial::{Trial, answer};
use crate::conformance::{Example, Subject};

const LIMIT: usize = 1 << 20;

fn interface() -> Arc<Interface> {
    let spec = |name: &str| TensorSpec {
        name: name.into(),
        data_type: DataType::Int32,
        dims: Shape::from([2]),
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    let (inputs, outputs) = (vec![spec("A"), spec("B")], vec![spec("C"), spec("D")]);
    Arc::new(Interface {
        model: "plus_one".into(),
        inputs,
        outputs,
        max_batch_size: 8,
        ..Interface::default()
    })
}

fn numbers(first: i32, rows: usize) -> Bytes {
    (first..first + 2 * rows as i32).flat_map(i32::to_le_bytes).collect()
}

fn example(n: usize, rows: usize) -> Example {
    let shape = Shape::from([rows as i64, 2]);
    let firsts = [1000 * n as i32, 1000 * n as i32 + 500];
    let input = |first| Some(InputTensor { shape: shape.clone(), data: numbers(first, rows).into() });
    let output = |first: i32| Some((shape.clone(), numbers(first + 1, rows)));
    Example { inputs: firsts.map(input).into(), responses: vec![firsts.map(output).into()] }
}

/// Runs `check` with a model on a device.
fn with_model(check: impl FnOnce(&TestDriver, &DeviceBackend, &Subject<'_>)) {
    let driver = TestDriver::new(2, LIMIT);
    let model = DeviceBackend::new(&driver, 1);
    let config = Arc::new(ModelConfig { name: "plus_one".into(), ..ModelConfig::default() });
    let subject = Subject { device: Device::Gpu(1), ..Subject::new(&model, config, interface(), &example) };
    check(&driver, &model, &subject);
}

/// An example's inputs, on the device with this id.
fn inputs_on(driver: &TestDriver, id: i32, example: &Example) -> Vec<Option<InputTensor>> {
    let moved = |input: &InputTensor| {
        let memory = driver.device(id).allocate_with(input.data.as_contiguous().unwrap()).unwrap();
        let data = TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>);
        InputTensor { shape: input.shape.clone(), data }
    };
    example.inputs.iter().map(|input| input.as_ref().map(moved)).collect()
}

/// Executes a request that wants its outputs on device 1.
fn run_alone_at(
    trial: &Trial<'_>,
    instance: &mut dyn ModelInstance,
    inputs: &[Option<InputTensor>],
    rows: usize,
) -> Vec<Event> {
    let (request, receiver) = trial.request(inputs, rows, WantedOutputs::all_at(Place::Device(1), 2));
    Batch::from_iter([request]).execute_on(instance);
    answer(receiver).unwrap()
}

#[test]
fn a_model_on_a_device_keeps_every_promise() {
    with_model(|driver, _, subject| {
        subject.verify();
        assert_eq!(driver.device(1).allocated(), 0, "all memory went back");
    });
}

#[test]
fn one_request_on_the_device_is_executed_where_it_is() {
    with_model(|driver, _, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        let example = example(3, 2);
        let events = run_alone_at(&trial, &mut *instance, &inputs_on(driver, 1, &example), 2);
        let [Event::Response { response, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert!(response.outputs.iter().all(|output| output.data.place() == Place::Device(1)));
        assert_eq!(driver.device(1).transfers(), Transfers::default());
        subject.expect_all(&example, &events).unwrap();
        assert_eq!(driver.device(1).transfers(), Transfers { to_host: 2, ..Transfers::default() });
    });
}

#[test]
fn a_batch_is_gathered_on_the_device_and_its_outputs_are_parts_of_one() {
    with_model(|driver, _, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        let (mut batch, mut due) = (Batch::new(), Vec::new());
        for (n, (id, rows)) in [(1, 1), (0, 2), (1, 3)].into_iter().enumerate() {
            let example = example(n, rows);
            let (request, receiver) = trial.request(
                &inputs_on(driver, id, &example),
                rows,
                WantedOutputs::all_at(Place::Device(1), 2),
            );
            batch.push(request);
            due.push((example, receiver));
        }
        instance.execute(&mut batch);
        let expected = Transfers { within: 4, between: 2, ..Transfers::default() };
        assert_eq!(
            (driver.device(1).transfers(), driver.device(0).transfers()),
            (expected, Transfers::default())
        );
        for (example, receiver) in due {
            subject.expect_all(&example, &answer(receiver).unwrap()).unwrap();
        }
    });
}

#[test]
fn a_full_device_fails_its_requests_and_the_instance_goes_on() {
    with_model(|driver, model, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        let device = driver.device(1);
        // The first limit refuses to gather, the second to make the second output.
        for (limit, size) in [(8, 8), (24, 8)] {
            device.set_limit(limit);
            let example = example(0, 1);
            let events = trial.run_alone(&mut *instance, &example.inputs, 1).unwrap();
            let [Event::Failed(error)] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!(error.code(), Code::Unavailable);
            assert_eq!(
                error.message(),
                format!("model 'plus_one': the memory of device 1 has no room for {size} bytes")
            );
            device.set_limit(LIMIT);
            let events = trial.run_alone(&mut *instance, &example.inputs, 1).unwrap();
            subject.expect_all(&example, &events).unwrap();
            drop(std::mem::replace(&mut instance, subject.instance(0).unwrap()));
        }
        assert_eq!(model.instances_made(), 3, "those that this test made");
    });
}
