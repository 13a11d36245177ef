//! What a request of `repeat` asks for, read from its inputs.

use std::time::Duration;

use hippocamp_backend::{Delivery, Error, InputTensor, Request, Result};
use hippocamp_tensor::Shape;

use super::Tensors;

/// More than anybody waits for, and not enough to fill the memory with responses that nobody fetches.
const MAX_RESPONSES: usize = 100_000;

/// The responses to come.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// How long the instance stays busy.
    pub(super) wait: Duration,
}

/// One response.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) delay: Duration,
    pub(super) value: i32,
    pub(super) index: u32,
}

impl Script {
    pub(super) fn of(model: &str, tensors: &Tensors, request: &Request) -> Result<Script> {
        let given = |index: Option<usize>| index.and_then(|i| request.inputs.get(i)?.as_ref());
        let Some(input) = given(tensors.input) else {
            return Err(Error::invalid_arg(format!("model '{model}' expects input 'IN', got none")));
        };
        let values: Vec<i32> = numbers(input, i32::from_le_bytes);
        let wait = given(tensors.wait).and_then(|wait| numbers(wait, u32::from_le_bytes).first().copied());
        let steps = match tensors.delay {
            None => count(model, &values)?,
            Some(_) => repeat(&values, input, given(tensors.delay))?,
        };
        let count = steps.len();
        if request.response.delivery() == Delivery::Once && count != 1 {
            return Err(Error::invalid_arg(format!(
                "model '{model}' is not decoupled and gives one response, {count} were asked for"
            )));
        }
        Ok(Script { steps, wait: milliseconds(wait.unwrap_or(0)) })
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_immediate(&self) -> bool {
        self.wait.is_zero() && self.steps.iter().all(|step| step.delay.is_zero())
    }
}

/// A response for each number from 0 to IN.
fn count(model: &str, values: &[i32]) -> Result<Vec<Step>> {
    let [count] = values else {
        let got = values.len();
        return Err(Error::invalid_arg(format!("model '{model}' expects one number in 'IN', got {got}")));
    };
    // Nothing is counted for a negative number.
    let count = u32::try_from(*count).unwrap_or(0);
    too_many(model, count as usize)?;
    let step = |index: u32| Step { delay: Duration::ZERO, value: index as i32, index };
    Ok((0..count).map(step).collect())
}

/// A response for each element of IN.
fn repeat(values: &[i32], input: &InputTensor, delay: Option<&InputTensor>) -> Result<Vec<Step>> {
    let none = Shape::from([0]);
    let delay_shape = delay.map_or(&none, |delay| &delay.shape);
    if input.shape != *delay_shape {
        return Err(Error::invalid_arg(format!(
            "expected IN and DELAY shape to match, got {} and {delay_shape}",
            input.shape
        )));
    }
    let delays = delay.map(|delay| numbers(delay, u32::from_le_bytes)).unwrap_or_default();
    let steps = values.iter().zip(delays).zip(0..);
    Ok(steps
        .map(|((value, delay), index)| Step { delay: milliseconds(delay), value: *value, index })
        .collect())
}

fn too_many(model: &str, count: usize) -> Result<()> {
    if count <= MAX_RESPONSES {
        return Ok(());
    }
    Err(Error::invalid_arg(format!(
        "model '{model}' gives at most {MAX_RESPONSES} responses, {count} were asked for"
    )))
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

fn numbers<T>(tensor: &InputTensor, decode: fn([u8; 4]) -> T) -> Vec<T> {
    let content = tensor.data.to_contiguous();
    content.as_chunks().0.iter().map(|bytes| decode(*bytes)).collect()
}
