//! The settings of a queue.

use std::sync::Arc;

use hippocamp_backend::BatchStrategy;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;

use crate::policy::BatchPolicy;
use crate::queue_policy::QueuePolicies;

/// The settings of a queue, made once when the model is loaded.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    pub batching: BatchPolicy,
    pub policies: QueuePolicies,
    /// Responses leave in the order in which their requests were taken for execution.
    pub preserve_ordering: bool,
    /// Test hook: no request is executed before this many wait. 0 switches the hook off.
    pub hold: usize,
}

impl QueueSettings {
    /// The settings that a config gives. `hold` applies to the dynamic batcher only.
    pub fn from_config(config: &ModelConfig, interface: &Arc<Interface>, hold: usize) -> QueueSettings {
        let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice else {
            return QueueSettings::single();
        };
        QueueSettings {
            batching: BatchPolicy::from_config(batching, interface),
            policies: QueuePolicies::from_config(batching),
            preserve_ordering: batching.preserve_ordering,
            hold,
        }
    }

    /// For instances that are prepared for these batch sizes, and pad others up to the next one.
    #[must_use]
    pub fn with_plans(mut self, sizes: impl IntoIterator<Item = usize>) -> QueueSettings {
        self.batching.plans = sizes.into_iter().collect();
        self
    }

    /// With somebody who decides which requests are executed together.
    #[must_use]
    pub fn with_strategy(mut self, strategy: Option<Arc<dyn BatchStrategy>>) -> QueueSettings {
        self.batching.strategy = strategy;
        self
    }

    /// The default scheduler: one request after the other, and no limits.
    pub fn single() -> QueueSettings {
        QueueSettings {
            batching: BatchPolicy::single(),
            policies: QueuePolicies::default(),
            preserve_ordering: false,
            hold: 0,
        }
    }
}
