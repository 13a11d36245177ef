//! Keeps the served models in step with the model repositories (`--model-control-mode=poll`).
//!
//! [`follow`] notices changes, waits until they have settled, and has them carried out. It knows nothing of how models are
//! loaded: whoever serves them implements [`ServedModels`].

mod composition;
mod faults;
mod model_names;
mod reconciler;
mod refused;
mod served_models;
mod settings;
mod watcher;

use std::sync::Arc;

pub use served_models::{AtStart, ServedModels};
pub use settings::WatchSettings;

use reconciler::Reconciler;

/// Follows the repositories, beginning with what [`ServedModels::at_start`] found there. Never ends; to drop it is to stop.
pub async fn follow<M: ServedModels>(models: Arc<M>, settings: WatchSettings) {
    let mut reconciler = Reconciler::new(models, settings).await;
    loop {
        reconciler.step().await;
    }
}
