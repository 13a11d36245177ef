//! The sequence batching policy of a model.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hippocamp_backend::{Delivery, Result};
use hippocamp_batching::Fitting;
use hippocamp_model_config::{Interface, ModelConfig, sequence_batching};
use hippocamp_proto::inference::ModelSequenceBatching;
use hippocamp_proto::inference::model_sequence_batching::StrategyChoice;
use hippocamp_tensor::DataType;

use super::controls::Controls;
use super::states::StateSpecs;

/// The settings of a model's sequence batcher, made once when the model is loaded.
#[derive(Debug)]
pub struct SequencePolicy {
    pub(super) model: Arc<str>,
    pub(super) strategy: Strategy,
    /// The number of sequences that an instance serves at a time.
    pub(super) slots: usize,
    /// The most requests of one execution; 1 for a model without a batch dimension.
    pub(super) max_batch_size: usize,
    /// How long a sequence may be idle before it ends and its slot is reused.
    pub(super) max_idle: Duration,
    /// One request is a whole sequence, which the backend executes step by step.
    pub(super) iterative: bool,
    pub(super) delivery: Delivery,
    /// Responses of an instance go out in the order in which their requests were executed.
    pub(super) preserve_ordering: bool,
    /// Which requests can share a batch, apart from their states.
    pub(super) fitting: Fitting,
    pub(super) controls: Controls,
    pub(super) states: StateSpecs,
    /// The number of inputs that a client may give. The server adds its own behind them.
    pub(super) client_inputs: usize,
    /// The data types of the client's inputs.
    pub(super) input_types: Vec<DataType>,
    pub(super) hooks: DelayHooks,
}

/// How the next batch of an instance is chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Strategy {
    /// Every sequence has a row of the batch for itself.
    Direct { minimum_slot_utilization: f32, max_queue_delay: Duration },
    /// The oldest requests of different sequences, in any row.
    Oldest { preferred: Vec<usize>, max_queue_delay: Duration },
}

/// Triton's test hooks: how many requests must wait before the first batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DelayHooks {
    pub(super) requests: usize,
    pub(super) backlog: usize,
}

impl SequencePolicy {
    /// `None` if the model has no sequences. `read_file` reads a file of initial states by its name in the config.
    ///
    /// # Errors
    /// That of `read_file`, or `InvalidArg` if a state cannot begin as the config says.
    pub fn from_config(
        config: &ModelConfig,
        interface: &Interface,
        read_file: &mut dyn FnMut(&str) -> Result<Bytes>,
    ) -> Result<Option<SequencePolicy>> {
        let Some(batching) = sequence_batching(config) else { return Ok(None) };
        let batched = interface.max_batch_size > 0;
        let max_batch_size = interface.max_batch_size.max(1) as usize;
        let (strategy, slots) = strategy(batching, max_batch_size);
        Ok(Some(SequencePolicy {
            model: config.name.as_str().into(),
            strategy,
            slots,
            max_batch_size,
            max_idle: Duration::from_micros(batching.max_sequence_idle_microseconds),
            iterative: batching.iterative_sequence,
            delivery: if interface.decoupled { Delivery::Many } else { Delivery::Once },
            preserve_ordering: preserves_ordering(batching),
            fitting: Fitting::new(interface),
            controls: Controls::new(batching, batched),
            states: StateSpecs::new(&config.name, batching, interface, read_file)?,
            client_inputs: interface.inputs.len(),
            input_types: interface.inputs.iter().map(|spec| spec.data_type).collect(),
            hooks: DelayHooks::default(),
        }))
    }

    /// Delays the first batch until this many requests wait in slots and in the backlog: Triton's
    /// `TRITONSERVER_DELAY_SCHEDULER` and `TRITONSERVER_BACKLOG_DELAY_SCHEDULER`. The second one counts only together
    /// with the first one and with the direct strategy.
    #[must_use]
    pub fn with_delays(mut self, delay: usize, backlog_delay: usize) -> SequencePolicy {
        self.hooks = DelayHooks { requests: delay, backlog: backlog_delay };
        self
    }
}

fn preserves_ordering(batching: &ModelSequenceBatching) -> bool {
    matches!(&batching.strategy_choice, Some(StrategyChoice::Oldest(oldest)) if oldest.preserve_ordering)
}

fn strategy(batching: &ModelSequenceBatching, max_batch_size: usize) -> (Strategy, usize) {
    match &batching.strategy_choice {
        Some(StrategyChoice::Oldest(oldest)) => {
            let preferred = oldest.preferred_batch_size.iter();
            let strategy = Strategy::Oldest {
                preferred: preferred.filter_map(|&size| usize::try_from(size).ok()).collect(),
                max_queue_delay: Duration::from_micros(oldest.max_queue_delay_microseconds),
            };
            let candidates = usize::try_from(oldest.max_candidate_sequences).unwrap_or(0);
            (strategy, if candidates > 0 { candidates } else { max_batch_size })
        }
        Some(StrategyChoice::Direct(direct)) => {
            let strategy = Strategy::Direct {
                minimum_slot_utilization: direct.minimum_slot_utilization,
                max_queue_delay: Duration::from_micros(direct.max_queue_delay_microseconds),
            };
            (strategy, max_batch_size)
        }
        None => {
            let strategy =
                Strategy::Direct { minimum_slot_utilization: 0.0, max_queue_delay: Duration::ZERO };
            (strategy, max_batch_size)
        }
    }
}
