//! Schedulers and the response cache.

use hippocamp_proto::inference::{
    ModelDynamicBatching, ModelQueuePolicy, model_config::SchedulingChoice, model_queue_policy::TimeoutAction,
};

use super::Check;

impl Check<'_> {
    pub(super) fn scheduling(&mut self) {
        match &self.config.scheduling_choice {
            Some(SchedulingChoice::DynamicBatching(batching)) => self.dynamic_batching(batching),
            Some(SchedulingChoice::SequenceBatching(batching)) => self.sequence_batching(batching),
            Some(SchedulingChoice::EnsembleScheduling(ensemble)) => self.ensemble(ensemble),
            None => {}
        }
        let has_steps =
            matches!(self.config.scheduling_choice, Some(SchedulingChoice::EnsembleScheduling(_)));
        if self.config.platform == hippocamp_interface::ENSEMBLE && !has_steps {
            let message = format!(
                "ensemble scheduling must be set for ensemble {} whose platform is {}",
                self.name,
                hippocamp_interface::ENSEMBLE
            );
            self.fault("platform", message);
        }
    }

    pub(super) fn preferred_sizes(&mut self, path: &str, what: &str, sizes: &[i32]) {
        for (index, size) in sizes.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if *size <= 0 {
                self.fault_for(&path, &format!("{what} must be positive"));
            } else if *size > self.config.max_batch_size && self.batch_size_known() {
                self.fault_for(&path, &format!("{what} must be <= max batch size"));
            }
        }
    }

    /// Whether `max_batch_size` is final: the model file may turn 0 into something else.
    pub(super) fn batch_size_known(&self) -> bool {
        self.complete || self.config.max_batch_size != 0
    }

    fn dynamic_batching(&mut self, batching: &ModelDynamicBatching) {
        self.preferred_sizes(
            "dynamic_batching.preferred_batch_size",
            "dynamic batching preferred size",
            &batching.preferred_batch_size,
        );
        let levels = batching.priority_levels;
        let default = batching.default_priority_level;
        if levels != 0 && (default == 0 || default > levels) {
            let message = format!("default priority level must be in range [1, {levels}]");
            self.fault_for("dynamic_batching.default_priority_level", &message);
        }
        for level in batching.priority_queue_policy.keys() {
            if levels != 0 && (*level == 0 || *level > levels) {
                let path = format!("dynamic_batching.priority_queue_policy[{level}]");
                let message =
                    format!("priority queue policy must have priority level in range [1, {levels}]");
                self.fault_for(&path, &message);
            }
        }
        if batching.preserve_ordering {
            self.preserved_ordering(batching);
        }
    }

    /// Ordering cannot be kept where requests overtake each other or go to the end of the queue.
    fn preserved_ordering(&mut self, batching: &ModelDynamicBatching) {
        if batching.priority_levels > 1 {
            let message = "Only one priority level is allowed when 'preserve_ordering' is true";
            self.fault_for("dynamic_batching.priority_levels", message);
        }
        let default = batching
            .default_queue_policy
            .iter()
            .map(|policy| ("dynamic_batching.default_queue_policy".to_owned(), policy));
        let levels = batching
            .priority_queue_policy
            .iter()
            .map(|(level, policy)| (format!("dynamic_batching.priority_queue_policy[{level}]"), policy));
        for (path, policy) in default.chain(levels) {
            if delays(policy) {
                let message =
                    "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true";
                self.fault_for(&format!("{path}.timeout_action"), message);
            }
        }
    }

    pub(super) fn response_cache(&mut self) {
        if !self.config.response_cache.is_some_and(|cache| cache.enable) {
            return;
        }
        if matches!(self.config.scheduling_choice, Some(SchedulingChoice::SequenceBatching(_))) {
            let message = format!(
                "Response Cache does not currently support model {} with sequence batching scheduler. Please \
                 disable the response cache.",
                self.name
            );
            self.fault("response_cache.enable", message);
        }
        if self.config.model_transaction_policy.is_some_and(|policy| policy.decoupled) {
            let message = format!(
                "Response Cache does not currently support model {} with 'decoupled' transaction policy. Please \
                 disable the response cache.",
                self.name
            );
            self.fault("response_cache.enable", message);
        }
    }
}

fn delays(policy: &ModelQueuePolicy) -> bool {
    policy.default_timeout_microseconds != 0 && policy.timeout_action() == TimeoutAction::Delay
}
