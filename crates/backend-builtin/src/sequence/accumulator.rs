//! The sums of an instance.

use std::collections::HashMap;

use hippocamp_backend::{Error, Result};

use super::Kind;
use super::tensors::Step;

/// The sums by slot or correlation id. As in Triton, a string id has to be a number.
#[derive(Debug)]
pub(super) enum Accumulators {
    BySlot(Vec<i32>),
    ByCorrelationId(HashMap<u64, i32>),
}

impl Accumulators {
    pub(super) fn new(kind: Kind) -> Accumulators {
        match kind {
            Kind::BySlot => Accumulators::BySlot(Vec::new()),
            Kind::ByCorrelationId => Accumulators::ByCorrelationId(HashMap::new()),
        }
    }

    /// Adds a step of the sequence in that row; returns the sum. Sums wrap around, as in Triton.
    pub(super) fn add(&mut self, row: usize, step: &Step) -> Result<i32> {
        let added = step.elements.iter().fold(0i32, |sum, element| sum.wrapping_add(*element));
        let sum = match self {
            Accumulators::BySlot(sums) => {
                if sums.len() <= row {
                    sums.resize(row + 1, 0);
                }
                &mut sums[row]
            }
            Accumulators::ByCorrelationId(sums) => {
                let id = step.correlation_id.ok_or_else(|| {
                    Error::invalid_arg("the correlation ID of the sequence was expected to be a number")
                })?;
                let sum = sums.entry(id).or_default();
                *sum = if step.start { added } else { sum.wrapping_add(added) };
                if !step.end {
                    return Ok(*sum);
                }
                let last = sum.wrapping_add(id as i32);
                sums.remove(&id);
                return Ok(last);
            }
        };
        *sum = if step.start { added } else { sum.wrapping_add(added) };
        Ok(*sum)
    }
}
