//! Small backends for tests of clients, batchers and streams.
//!
//! They load no files and compute next to nothing. Delays sleep on the instance's thread, as a busy device would.
//! Configs have to be complete, because there is no model file to complete them from.

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

/// The facts that these backends share: configs have to be complete.
const FACTS: BackendFacts = BackendFacts { completes_configs: false, ..BackendFacts::PLAIN };

/// All backends of this crate; each has the name that configs use.
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
