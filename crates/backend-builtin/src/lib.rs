//! The small backends that people test clients, batchers and streams with.
//!
//! They stand for a model without being one: no file is loaded and nothing is computed. A delay sleeps on the
//! instance's thread, because it stands for a busy device. Configs are never completed here; there is nothing to read
//! them from.

mod answers;
mod fail;
mod identity;
mod mock_llm;
mod parameter;
mod repeat;
mod sequence;
mod square;

use std::sync::Arc;

use hippocamp_backend::{Backend, BackendFacts};

/// What all of them say of themselves: a config has to be complete.
const FACTS: BackendFacts = BackendFacts { completes_configs: false, ..BackendFacts::PLAIN };

/// All backends of this crate, each under the name that configs use.
pub fn backends() -> Vec<Arc<dyn Backend>> {
    vec![
        Arc::new(identity::Identity),
        Arc::new(repeat::Repeat),
        Arc::new(square::Square),
        Arc::new(mock_llm::MockLlm),
        Arc::new(sequence::SequenceSum::by_slot()),
        Arc::new(sequence::SequenceSum::by_correlation_id()),
        Arc::new(fail::Fail),
    ]
}
