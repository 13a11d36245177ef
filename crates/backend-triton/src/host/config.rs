//! What a backend may complete in a config.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::ModelConfig;

/// The config `before` with what the backend has set: batching, tensors and the transaction policy as it says, and a scheduler
/// if there was none. The rest is not the backend's.
pub(crate) fn merged(before: &ModelConfig, set: ModelConfig, model: &str) -> Result<ModelConfig> {
    let mut merged = before.clone();
    merged.max_batch_size = set.max_batch_size;
    merged.input = set.input;
    merged.output = set.output;
    merged.model_transaction_policy = set.model_transaction_policy;
    let is_same_kind = |a, b| std::mem::discriminant(a) == std::mem::discriminant(b);
    match (&before.scheduling_choice, set.scheduling_choice) {
        (None, chosen) => merged.scheduling_choice = chosen,
        (Some(_), None) => {}
        (Some(old), Some(new)) if is_same_kind(old, &new) => {}
        (Some(_), Some(_)) => {
            return Err(Error::internal(format!(
                "the backend of model '{model}' cannot replace the scheduler that its config has by another kind"
            )));
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;

    use super::*;

    fn config(text: &str) -> ModelConfig {
        parse(text, "config.pbtxt").unwrap().config
    }

    #[test]
    fn tensors_and_batching_are_the_backends_and_nothing_else() {
        let before = config("name: \"m\" backend: \"x\" input { name: \"a\" }");
        let set = config(
            "name: \"other\" backend: \"y\" max_batch_size: 8 input { name: \"b\" } output { name: \"c\" } dynamic_batching {} \
             model_transaction_policy { decoupled: true }",
        );
        let taken = merged(&before, set, "m").unwrap();
        let expected = config(
            "name: \"m\" backend: \"x\" max_batch_size: 8 input { name: \"b\" } output { name: \"c\" } dynamic_batching {} \
             model_transaction_policy { decoupled: true }",
        );
        assert_eq!(taken, expected);
    }

    #[test]
    fn a_scheduler_that_is_there_stays() {
        let before = config("dynamic_batching { max_queue_delay_microseconds: 7 }");
        for same in ["dynamic_batching {}", ""] {
            let taken = merged(&before, config(same), "m").unwrap();
            assert_eq!(taken.scheduling_choice, before.scheduling_choice);
        }
        let other = merged(&before, config("sequence_batching {}"), "m").unwrap_err();
        assert!(other.message().contains("cannot replace the scheduler"), "{other}");
    }
}
