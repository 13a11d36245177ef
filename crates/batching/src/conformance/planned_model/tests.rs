use bytes::Bytes;
use hippocamp_backend::{Batch, Code, Device, Event, InputTensor, WantedOutputs};
use hippocamp_device::testing::Transfers;
use hippocamp_tensor::{Place, Shape};
use proptest::prelude::*;

use super::*;
use crate::conformance::trial::{Trial, answer};
use crate::conformance::{Example, Subject};

const LIMIT: usize = 1 << 20;

fn interface(max_batch_size: u32) -> Arc<Interface> {
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
    Arc::new(Interface { model: "planned".into(), inputs, outputs, max_batch_size, ..Interface::default() })
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

/// Runs `check` with a model on device 1, whose largest batch is `max`.
fn with_model(max: u32, check: impl FnOnce(&TestDriver, &PlannedBackend, &Subject<'_>)) {
    let driver = TestDriver::new(2, LIMIT);
    let model = PlannedBackend::new(&driver);
    let config = ModelConfig { name: "planned".into(), max_batch_size: max as i32, ..ModelConfig::default() };
    let subject = Subject {
        device: Device::Gpu(1),
        ..Subject::new(&model, Arc::new(config), interface(max), &example)
    };
    check(&driver, &model, &subject);
    let left = [driver.device(0), driver.device(1), driver.pinned_memory()].map(|device| device.allocated());
    assert_eq!(left, [0; 3], "all memory went back");
}

#[test]
fn a_model_of_plans_keeps_every_promise() {
    with_model(8, |_, model, subject| {
        subject.verify();
        let sizes = model.journal().into_iter().filter_map(|planned| match planned.act {
            Act::Ran(rows) => Some(rows),
            _ => None,
        });
        let mut sizes: Vec<usize> = sizes.collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert_eq!(sizes, [1, 4, 8], "no batch ran in another size");
    });
}

/// Executes requests of so many rows each in one batch, which want their outputs on the device or not. Returns the rows of the
/// plan, and the transfers of the device.
fn execute(requests: &[(usize, bool)]) -> (usize, Transfers) {
    let mut result = None;
    with_model(32, |driver, model, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        let (mut batch, mut due) = (Batch::new(), Vec::new());
        for (n, (rows, stays)) in requests.iter().enumerate() {
            let place = if *stays { Place::Device(1) } else { Place::Host };
            let example = example(n, *rows);
            let (request, receiver) = trial.request(&example.inputs, *rows, WantedOutputs::all_at(place, 2));
            batch.push(request);
            due.push((example, place, receiver));
        }
        batch.execute_on(&mut *instance);
        drop(batch);
        let transfers = driver.device(1).transfers();
        for (example, place, receiver) in due {
            let events = answer(receiver).unwrap();
            let [Event::Response { response, .. }] = events.as_slice() else { panic!("{events:?}") };
            for output in &response.outputs {
                let expected = if place == Place::Host { Place::Pinned } else { place };
                assert_eq!(output.data.place(), expected);
            }
            subject.expect_all(&example, &events).unwrap();
        }
        let counters = trial.counters();
        let rows: usize = requests.iter().map(|(rows, _)| rows).sum();
        assert_eq!(
            (counters.inference_count, counters.execution_count),
            (rows as u64, 1),
            "real rows are counted"
        );
        let ran = model.journal().iter().find_map(|planned| match planned.act {
            Act::Ran(rows) => Some(rows),
            _ => None,
        });
        result = Some((ran.unwrap(), transfers));
    });
    result.unwrap()
}

#[test]
fn a_batch_is_padded_on_the_device_and_reaches_the_host_once() {
    let (ran, transfers) = execute(&[(1, false), (2, false), (2, false)]);
    assert_eq!(ran, 8);
    // Two inputs of three requests; two outputs; of each input a row is repeated once, and then both of them.
    assert_eq!(transfers, Transfers { from_host: 6, to_host: 2, within: 4, between: 0 });
}

#[test]
fn outputs_that_are_wanted_on_the_device_do_not_leave_it() {
    let (ran, transfers) = execute(&[(3, true), (1, true)]);
    assert_eq!(ran, 4);
    assert_eq!(transfers, Transfers { from_host: 4, to_host: 0, within: 2, between: 0 });
    let (_, transfers) = execute(&[(3, true), (1, false)]);
    assert_eq!(transfers, Transfers { from_host: 4, to_host: 2, within: 2, between: 0 });
}

#[test]
fn pinned_memory_that_is_full_is_done_without() {
    with_model(4, |driver, _, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        driver.pinned_memory().set_limit(0);
        let example = example(0, 2);
        let events = trial.run_alone(&mut *instance, &example.inputs, 2).unwrap();
        let [Event::Response { response, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(response.outputs[0].data.place(), Place::Host);
        subject.expect_all(&example, &events).unwrap();
    });
}

#[test]
fn a_full_device_fails_its_requests_and_the_instance_goes_on() {
    with_model(4, |driver, model, subject| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(0).unwrap());
        let (device, example) = (driver.device(1), example(0, 1));
        device.set_limit(device.allocated());
        let (request, receiver) =
            trial.request(&example.inputs, 1, WantedOutputs::all_at(Place::Device(1), 2));
        Batch::from_iter([request]).execute_on(&mut *instance);
        let events = answer(receiver).unwrap();
        let [Event::Failed(error)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(error.code(), Code::Unavailable);
        // Both outputs are in one block, the second from 256 on.
        assert_eq!(error.message(), "model 'planned': the memory of device 1 has no room for 264 bytes");
        device.set_limit(LIMIT);
        let events = trial.run_alone(&mut *instance, &example.inputs, 1).unwrap();
        subject.expect_all(&example, &events).unwrap();
        let made = model.journal().iter().filter(|planned| planned.act == Act::Made).count();
        assert_eq!(made, 1);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_gets_its_rows_where_it_wants_them(
        requests in prop::collection::vec((1..6_usize, any::<bool>()), 1..6)
    ) {
        let rows: usize = requests.iter().map(|(rows, _)| rows).sum();
        let (ran, transfers) = execute(&requests);
        prop_assert_eq!(ran, rows.next_power_of_two());
        let to_host = if requests.iter().all(|(_, stays)| *stays) { 0 } else { 2 };
        prop_assert_eq!((transfers.from_host, transfers.to_host), (2 * requests.len(), to_host));
    }
}
