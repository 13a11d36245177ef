//! Queue policies: how many requests may wait, how long, and in which priority level.

use std::collections::BTreeMap;
use std::time::Duration;

use hippocamp_backend::Request;
use hippocamp_proto::inference::model_queue_policy::TimeoutAction;
use hippocamp_proto::inference::{ModelDynamicBatching, ModelQueuePolicy};

/// What happens to a request whose queue timeout has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overdue {
    /// The request is rejected with UNAVAILABLE.
    #[default]
    Reject,
    /// The request keeps waiting, behind all others of its priority level.
    Delay,
}

/// The policy of one priority level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelPolicy {
    pub overdue: Overdue,
    /// How long a request may wait. `None`: without limit.
    pub default_timeout: Option<Duration>,
    /// Whether a request may ask for less time than that.
    pub allow_timeout_override: bool,
    /// The maximum number of waiting requests. `None`: without limit.
    pub max_queue_size: Option<usize>,
}

impl LevelPolicy {
    fn from_config(config: &ModelQueuePolicy) -> LevelPolicy {
        let timeout = config.default_timeout_microseconds;
        LevelPolicy {
            overdue: match config.timeout_action() {
                TimeoutAction::Reject => Overdue::Reject,
                TimeoutAction::Delay => Overdue::Delay,
            },
            default_timeout: (timeout > 0).then(|| Duration::from_micros(timeout)),
            allow_timeout_override: config.allow_timeout_override,
            max_queue_size: (config.max_queue_size > 0).then_some(config.max_queue_size as usize),
        }
    }

    /// How long this request may wait. A request may shorten the default timeout but not extend it.
    #[inline]
    pub(crate) fn timeout(&self, request: &Request) -> Option<Duration> {
        let asked = request.timeout.filter(|timeout| self.allow_timeout_override && !timeout.is_zero());
        match (self.default_timeout, asked) {
            (Some(default), Some(asked)) => Some(default.min(asked)),
            (default, asked) => default.or(asked),
        }
    }
}

/// The policies of a model's queue. The default has one level, without any limit.
#[derive(Clone, Debug, Default)]
pub struct QueuePolicies {
    /// Priority levels from 1, the highest, to this. 0: requests have no priority.
    pub levels: u64,
    /// The level of requests without a priority, or with one that does not exist.
    pub default_level: u64,
    /// The policy of levels that are not in `by_level`.
    pub default: LevelPolicy,
    pub by_level: BTreeMap<u64, LevelPolicy>,
}

impl QueuePolicies {
    /// The policies of a config. Only the dynamic batcher has policies.
    pub fn from_config(batching: &ModelDynamicBatching) -> QueuePolicies {
        let by_level = batching.priority_queue_policy.iter();
        let default = batching.default_queue_policy.as_ref();
        QueuePolicies {
            levels: batching.priority_levels,
            default_level: batching.default_priority_level,
            default: default.map(LevelPolicy::from_config).unwrap_or_default(),
            by_level: by_level.map(|(level, policy)| (*level, LevelPolicy::from_config(policy))).collect(),
        }
    }

    /// The level that a request waits in.
    #[inline]
    pub(crate) fn level(&self, request: &Request) -> u64 {
        match request.priority {
            _ if self.levels == 0 => 0,
            asked if (1..=self.levels).contains(&asked) => asked,
            _ => self.default_level,
        }
    }

    #[inline]
    pub(crate) fn of(&self, level: u64) -> LevelPolicy {
        if self.levels == 0 {
            return self.default;
        }
        self.by_level.get(&level).copied().unwrap_or(self.default)
    }
}
