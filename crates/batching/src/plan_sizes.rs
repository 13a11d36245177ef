//! The batch sizes for which an instance has plans, and the plan that a batch gets.
//!
//! Engines on a GPU prepare for a batch size: they choose kernels, or capture a graph. That takes up to seconds, while a run
//! takes a millisecond. So an instance prepares a few sizes before it is ready, and each batch is padded up to the next
//! one by [`Gather`](crate::Gather).

use hippocamp_backend::{Error, Result};
use hippocamp_interface::{Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use hippocamp_proto::inference::model_sequence_batching::StrategyChoice;
use hippocamp_tensor::DataType;

/// The parameter of a config that names the sizes: `1,4,16`, or `none`.
pub const PLAN_BATCH_SIZES: &str = "plan_batch_sizes";

/// The batch sizes for which the instances of a model have plans, ascending. Empty if a batch is executed in the size in
/// which it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSizes(Vec<usize>);

impl PlanSizes {
    /// The sizes for a finished config. A model without a batch dimension has none, and neither has one whose batches cannot
    /// be padded by rows ([`why_not_padded`](PlanSizes::why_not_padded)). Otherwise they are, each time with
    /// `max_batch_size`, so that every batch fits:
    ///
    /// 1. those of the parameter `plan_batch_sizes`;
    /// 2. 1 and those of `preferred_batch_size`, if it says more than `max_batch_size`, which is its default;
    /// 3. the powers of two.
    ///
    /// # Errors
    /// If the parameter is neither `none` nor a list of sizes from 1 to `max_batch_size`, or the model cannot have them.
    pub fn from_config(config: &ModelConfig, interface: &Interface) -> Result<PlanSizes> {
        let max = usize::try_from(interface.max_batch_size).unwrap_or(0);
        let asked = match config.parameters.get(PLAN_BATCH_SIZES) {
            Some(parameter) => asked(&parameter.string_value, max)
                .ok_or_else(|| wrong(&config.name, &parameter.string_value, max))?,
            None => Asked::Nothing,
        };
        let excluded = PlanSizes::why_not_padded(interface);
        match asked {
            Asked::AsTheyCome => Ok(PlanSizes::default()),
            Asked::Sizes(_) if excluded.is_some() => Err(Error::invalid_arg(format!(
                "model '{}' can not have the parameter '{PLAN_BATCH_SIZES}': {}",
                config.name,
                excluded.unwrap_or_default()
            ))),
            Asked::Sizes(sizes) => Ok(PlanSizes::of(sizes, max)),
            Asked::Nothing if excluded.is_some() => Ok(PlanSizes::default()),
            Asked::Nothing => {
                let preferred = preferred(config).iter().filter_map(|&size| usize::try_from(size).ok());
                let preferred: Vec<usize> = preferred.filter(|size| (1..=max).contains(size)).collect();
                if preferred.iter().any(|size| *size != max) {
                    Ok(PlanSizes::of(preferred.into_iter().chain([1]), max))
                } else {
                    let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
                    Ok(PlanSizes::of(powers.take_while(|size| *size < max), max))
                }
            }
        }
    }

    /// Why the batches of a model cannot be padded by further rows; `None` if they can.
    pub fn why_not_padded(interface: &Interface) -> Option<&'static str> {
        let mut inputs = interface.all_inputs();
        if interface.max_batch_size < 1 {
            Some("it has no batch dimension")
        } else if !interface.batch_inputs.is_empty() {
            Some("it has a batch_input, which describes the requests of a batch")
        } else if (0..interface.all_outputs().len()).any(|index| interface.scatter_source(index).is_some()) {
            Some("it has a batch_output, which is divided by the shapes of requests")
        } else if inputs.any(|input| input.allow_ragged_batch) {
            Some("it has a ragged input, whose requests are joined without rows")
        } else if interface.all_inputs().any(|input| input.data_type == DataType::Bytes) {
            Some("it has an input of TYPE_STRING, whose elements have no common size")
        } else {
            None
        }
    }

    fn of(sizes: impl IntoIterator<Item = usize>, max: usize) -> PlanSizes {
        sizes.into_iter().chain([max]).collect()
    }

    /// The number of rows that a batch of `rows` is padded to: the smallest size that has room for it, or `rows` itself if
    /// there is none.
    pub fn padded(&self, rows: usize) -> usize {
        self.0.get(self.0.partition_point(|size| *size < rows)).copied().unwrap_or(rows)
    }

    /// The sizes, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// Whether a batch is executed in the size in which it comes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<usize> for PlanSizes {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> PlanSizes {
        let mut sizes: Vec<usize> = sizes.into_iter().collect();
        sizes.sort_unstable();
        sizes.dedup();
        PlanSizes(sizes)
    }
}

/// What a config says of the sizes.
enum Asked {
    Nothing,
    AsTheyCome,
    Sizes(Vec<usize>),
}

fn asked(text: &str, max: usize) -> Option<Asked> {
    if text.trim() == "none" {
        return Some(Asked::AsTheyCome);
    }
    let sizes = text.split(',').map(|size| size.trim().parse().ok());
    let sizes = sizes.map(|size| size.filter(|size| *size >= 1 && (max == 0 || *size <= max)));
    sizes.collect::<Option<Vec<usize>>>().map(Asked::Sizes)
}

#[cold]
fn wrong(model: &str, text: &str, max: usize) -> Error {
    Error::invalid_arg(format!(
        "the parameter '{PLAN_BATCH_SIZES}' of model '{model}' was expected to be none, or sizes from 1 to its \
         max_batch_size {max} such as 1,4,16, got '{text}'"
    ))
}

fn preferred(config: &ModelConfig) -> &[i32] {
    match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => &batching.preferred_batch_size,
        Some(SchedulingChoice::SequenceBatching(batching)) => match &batching.strategy_choice {
            Some(StrategyChoice::Oldest(oldest)) => &oldest.preferred_batch_size,
            _ => &[],
        },
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
