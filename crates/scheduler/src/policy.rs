//! How a model wants its requests batched.

use std::time::Duration;

use hippocamp_backend::{Fitting, Request};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;

/// Which waiting requests make a batch, and how long an incomplete one waits for more. Made once at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// The most batch entries of one execution. `None`: the default scheduler, every request is executed alone.
    max_batch_size: Option<usize>,
    /// Sizes at which a batch is executed at once though more would fit.
    preferred: Vec<usize>,
    /// How long the oldest request of an incomplete batch waits for others.
    max_queue_delay: Duration,
    /// Which requests can be joined.
    fitting: Fitting,
}

/// What an instance that found requests waiting does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Execute that many requests from the front.
    Take(usize),
    /// Wait for more, at most that long after the oldest was queued.
    Wait(Duration),
}

impl BatchPolicy {
    /// The default scheduler: every request alone.
    pub fn single() -> BatchPolicy {
        BatchPolicy {
            max_batch_size: None,
            preferred: Vec::new(),
            max_queue_delay: Duration::ZERO,
            fitting: Fitting::any(),
        }
    }

    /// The dynamic batcher where the config asks for it, else the default scheduler.
    pub fn from_config(config: &ModelConfig, interface: &Interface) -> BatchPolicy {
        let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice else {
            return BatchPolicy::single();
        };
        if interface.max_batch_size == 0 {
            return BatchPolicy::single();
        }
        let preferred = batching.preferred_batch_size.iter();
        BatchPolicy::dynamic(
            interface.max_batch_size as usize,
            preferred.filter_map(|&size| usize::try_from(size).ok()).collect(),
            Duration::from_micros(batching.max_queue_delay_microseconds),
            interface,
        )
    }

    pub fn dynamic(
        max_batch_size: usize,
        preferred: Vec<usize>,
        max_queue_delay: Duration,
        interface: &Interface,
    ) -> BatchPolicy {
        let fitting = Fitting::new(interface);
        BatchPolicy { max_batch_size: Some(max_batch_size), preferred, max_queue_delay, fitting }
    }

    /// Looks at the waiting requests, oldest first. There is at least one. `waited` is how long the oldest has been
    /// there; `closing` says that no more will come.
    pub(crate) fn decide<'a>(
        &self,
        mut waiting: impl Iterator<Item = &'a Request>,
        waited: Duration,
        closing: bool,
    ) -> Decision {
        let (Some(max), Some(first)) = (self.max_batch_size, waiting.next()) else {
            return Decision::Take(1);
        };
        let mut count = 1;
        let mut size = first.batch_size;
        let mut at_preferred = self.preferred.contains(&size).then_some(1);
        let mut complete = size >= max;
        for next in waiting {
            if complete || size + next.batch_size > max || !self.fitting.together(first, next) {
                complete = true;
                break;
            }
            count += 1;
            size += next.batch_size;
            complete = size == max;
            if self.preferred.contains(&size) {
                at_preferred = Some(count);
            }
        }
        match at_preferred {
            _ if complete => Decision::Take(count),
            Some(count) => Decision::Take(count),
            None if closing || waited >= self.max_queue_delay => Decision::Take(count),
            None => Decision::Wait(self.max_queue_delay),
        }
    }
}
