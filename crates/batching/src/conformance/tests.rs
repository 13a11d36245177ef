//! The kit finds what it is there to find: models that break one promise each.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_interface::{Interface, ModelConfig, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use super::{Example, Subject};
use crate::{Batched, Compute, Inputs, Outputs};
use hippocamp_backend::{
    Batch, Error, ExecutionTimes, FailureReason, InputTensor, InstanceSpec, Model, ModelInstance,
    NewInstance, OutputTensor, Request, Response, Result,
};

/// How the model under test misbehaves.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    None,
    /// Answers each request with the rows of the first.
    FirstRows,
    /// Answers all outputs, wanted or not.
    AllOutputs,
    /// Counts the execution after the answers left.
    CountsLate,
    /// Fails forever once it failed.
    Sulks,
    /// Reads the input in place only.
    NeedsAlignment,
    NeedsOneSegment,
    /// Fails a whole batch for one request that it does not take.
    Generalises,
    NeedsHostMemory,
    /// Executes nothing if a client of the batch is gone.
    GivesUp,
}

/// OUTPUT0 = INPUT0 + 1 and OUTPUT1 = 2 * INPUT0, both UINT32 with two values a row. The value 99 fails.
struct TestModel(Habit);

impl Model for TestModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let interface = Arc::clone(&spec.interface);
        Ok(match self.0 {
            habit @ (Habit::None | Habit::Sulks | Habit::Generalises) => {
                NewInstance::bound(Batched::new(Arithmetic { habit, failed: false }, interface))
            }
            habit => NewInstance::bound(BadInstance(habit)),
        })
    }
}

struct Arithmetic {
    habit: Habit,
    failed: bool,
}

impl Compute for Arithmetic {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let [Some(input)] = inputs else { return Err(Error::internal("one input was expected")) };
        let failed = values(input.bytes()?).any(|v| v == 99);
        if failed || (self.habit == Habit::Sulks && self.failed) {
            self.failed = true;
            return Err(Error::internal("99 is not to my taste"));
        }
        for (index, data) in compute(input.bytes()?).into_iter().enumerate() {
            if outputs.is_wanted(index) {
                outputs.set(index, input.shape.clone(), data);
            }
        }
        Ok(())
    }

    fn takes(&self, request: &Request) -> Result<()> {
        let Some(Some(input)) = request.inputs.first() else { return Ok(()) };
        if self.habit != Habit::Generalises && values(&input.data.to_host()?).any(|v| v == 99) {
            return Err(Error::invalid_arg("99 is not to my taste"));
        }
        Ok(())
    }
}

struct BadInstance(Habit);

impl ModelInstance for BadInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let habit = self.0;
        let size: usize = batch.iter().map(|r| r.batch_size).sum();
        let times = ExecutionTimes::now();
        if habit == Habit::GivesUp && batch.iter().any(hippocamp_backend::Request::is_cancelled) {
            return batch.clear();
        }
        // Late is: with the second answer.
        let counted = if habit == Habit::CountsLate { batch.len().min(2) - 1 } else { 0 };
        let first = batch[0].inputs[0].clone();
        for (n, request) in batch.drain(..).enumerate() {
            if n == counted {
                request.response.executed(size, &times);
            }
            let Some(input) = request.inputs[0].clone() else { continue };
            let data = input.data.to_host().unwrap();
            let odd = !(data.as_ptr() as usize).is_multiple_of(4);
            let segments = input.data.as_segments().map(<[Bytes]>::len);
            if habit == Habit::NeedsOneSegment && segments.is_some_and(|count| count > 1)
                || habit == Habit::NeedsAlignment && segments == Some(1) && odd
                || habit == Habit::NeedsHostMemory && segments.is_none()
            {
                request.fail(Error::internal("not like this"), FailureReason::Backend);
                continue;
            }
            let data = match (&first, habit) {
                (Some(first), Habit::FirstRows) => first.data.to_host().unwrap(),
                _ => data,
            };
            let mut response = Response::default();
            for (index, data) in compute(&data).into_iter().enumerate() {
                if habit == Habit::AllOutputs || request.outputs.contains(index) {
                    response.outputs.push(OutputTensor {
                        index,
                        shape: input.shape.clone(),
                        data: data.into(),
                        data_type: None,
                    });
                }
            }
            request.succeed(response, &times);
        }
    }
}

fn values(data: &[u8]) -> impl Iterator<Item = u32> {
    data.chunks_exact(4).map(|v| u32::from_le_bytes(v.try_into().unwrap()))
}

fn tensor(values: impl Iterator<Item = u32>) -> Bytes {
    values.flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into()
}

fn compute(data: &[u8]) -> [Bytes; 2] {
    [tensor(values(data).map(|v| v + 1)), tensor(values(data).map(|v| v * 2))]
}

fn example(n: usize, rows: usize) -> Example {
    let shape = Shape::from([rows as i64, 2]);
    let input = tensor((0..2 * rows).map(|i| (1000 * (n + 1) + i) as u32));
    let outputs = compute(&input).map(|data| Some((shape.clone(), data)));
    Example { inputs: vec![Some(InputTensor { shape, data: input.into() })], responses: vec![outputs.into()] }
}

fn broken(habit: Habit) -> Vec<&'static str> {
    let spec = |name: &str| TensorSpec {
        name: name.into(),
        data_type: DataType::Uint32,
        dims: Shape::from([2]),
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    let interface = Interface {
        inputs: vec![spec("INPUT0")],
        outputs: vec![spec("OUTPUT0"), spec("OUTPUT1")],
        max_batch_size: 8,
        ..Interface::default()
    };
    let (model, config) = (TestModel(habit), ModelConfig { name: "arithmetic".into(), ..Default::default() });
    let mut subject = Subject::new(&model, Arc::new(config), Arc::new(interface), &example);
    let refused = tensor([99, 99].into_iter());
    let inputs = vec![Some(InputTensor { shape: Shape::from([1, 2]), data: refused.into() })];
    subject.refused = matches!(habit, Habit::None | Habit::Generalises).then(|| inputs.clone());
    subject.failing = (habit == Habit::None || habit == Habit::Sulks).then_some(inputs);
    subject.broken_promises().into_iter().map(|broken| broken.promise).collect()
}

#[test]
fn a_good_model_breaks_no_promise() {
    assert_eq!(broken(Habit::None), [""; 0]);
}

#[test]
fn rows_of_another_request_are_found() {
    let broken = broken(Habit::FirstRows);
    assert!(broken.contains(&"each request of a batch gets its own rows"), "{broken:?}");
    assert!(!broken.contains(&"a request gets its answer"), "{broken:?}");
}

#[test]
fn each_bad_habit_breaks_its_promise() {
    for (habit, promise) in [
        (Habit::AllOutputs, "only outputs that were asked for are answered"),
        (Habit::CountsLate, "a request is counted once, and before its answer leaves"),
        (Habit::Sulks, "an error leaves the instance usable"),
        (Habit::NeedsAlignment, "an input may begin at any address"),
        (Habit::NeedsOneSegment, "an input may come in several segments"),
        (Habit::Generalises, "a request that is refused fails alone"),
        (Habit::NeedsHostMemory, "an input may be in the memory of a device"),
        (Habit::GivesUp, "a client that is gone does no harm"),
    ] {
        assert_eq!(broken(habit), [promise]);
    }
}
