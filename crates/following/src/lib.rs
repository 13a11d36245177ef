//! Keeps the served models in step with the model repositories (`--model-control-mode=poll`).
//!
//! [`follow`] notices changes, waits until they have settled, and requests transactions that load and unload models. It does
//! not know how models are loaded: that is behind the trait [`ServedModels`].

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

/// Follows the repositories, starting from what [`ServedModels::at_start`] found there. The future never completes; dropping it
/// ends the following.
pub async fn follow<M: ServedModels>(models: Arc<M>, settings: WatchSettings) {
    let mut reconciler = Reconciler::new(models, settings).await;
    loop {
        reconciler.step().await;
    }
}
