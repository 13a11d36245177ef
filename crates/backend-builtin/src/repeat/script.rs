//! Derives the responses of a `repeat` request from its inputs.

use std::time::Duration;

use hippocamp_backend::{Error, InputTensor, Request, Result};
use hippocamp_tensor::Shape;

use super::Tensors;
use crate::answers::check_count;

/// The responses to send.
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
        let values: Vec<i32> = numbers(input, i32::from_le_bytes)?;
        let waits = given(tensors.wait).map(|wait| numbers(wait, u32::from_le_bytes)).transpose()?;
        let wait = waits.and_then(|waits| waits.first().copied());
        let steps = match tensors.delay {
            None => count(model, request, &values)?,
            Some(_) => repeat(model, request, &values, input, given(tensors.delay))?,
        };
        Ok(Script { steps, wait: milliseconds(wait.unwrap_or(0)) })
    }

    /// Whether there is no delay at all.
    pub(super) fn is_immediate(&self) -> bool {
        self.wait.is_zero() && self.steps.iter().all(|step| step.delay.is_zero())
    }
}

/// One response for each number from 0 to IN.
fn count(model: &str, request: &Request, values: &[i32]) -> Result<Vec<Step>> {
    let [count] = values else {
        let got = values.len();
        return Err(Error::invalid_arg(format!("model '{model}' expects one number in 'IN', got {got}")));
    };
    // A negative number means no responses.
    let count = u32::try_from(*count).unwrap_or(0);
    check_count(model, request, count as usize)?;
    let step = |index: u32| Step { delay: Duration::ZERO, value: index as i32, index };
    Ok((0..count).map(step).collect())
}

/// One response for each element of IN.
fn repeat(
    model: &str,
    request: &Request,
    values: &[i32],
    input: &InputTensor,
    delay: Option<&InputTensor>,
) -> Result<Vec<Step>> {
    let none = Shape::from([0]);
    let delay_shape = delay.map_or(&none, |delay| &delay.shape);
    if input.shape != *delay_shape {
        return Err(Error::invalid_arg(format!(
            "expected IN and DELAY shape to match, got {} and {delay_shape}",
            input.shape
        )));
    }
    check_count(model, request, values.len())?;
    let delays = delay.map(|delay| numbers(delay, u32::from_le_bytes)).transpose()?.unwrap_or_default();
    let steps = values.iter().zip(delays).zip(0..);
    Ok(steps
        .map(|((value, delay), index)| Step { delay: milliseconds(delay), value: *value, index })
        .collect())
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

fn numbers<T>(tensor: &InputTensor, decode: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let content = tensor.data.to_host()?;
    Ok(content.as_chunks().0.iter().map(|bytes| decode(*bytes)).collect())
}
