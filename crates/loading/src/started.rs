//! A version that was loaded and is ready to serve.

use std::sync::Arc;

use hippocamp_scheduler as scheduler;
use hippocamp_serving::LoadedModel;

use crate::reuse::Opened;

/// A version that is ready to serve.
#[derive(Debug)]
pub struct Started {
    pub model: Arc<LoadedModel>,
    pub stopped: Stopped,
    /// The loaded model with its config and files; `None` for an ensemble.
    pub opened: Option<Arc<Opened>>,
}

/// Completes when a version has ended and has released all that it holds.
#[derive(Debug)]
pub enum Stopped {
    Instances(scheduler::Stopped),
    Ensemble(hippocamp_ensemble::Ended),
}

impl Stopped {
    pub async fn wait(self) {
        match self {
            Stopped::Instances(stopped) => stopped.wait().await,
            Stopped::Ensemble(ended) => ended.wait().await,
        }
    }
}
