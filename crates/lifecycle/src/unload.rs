//! Unloads models on request.

use std::sync::Arc;

use tracing::info;

use crate::entry::Retired;
use crate::lifecycle::Lifecycle;

impl Lifecycle {
    /// Unloads a model. With `dependents`, also unloads its composing models that were not asked for by name and that no
    /// other ensemble uses. Returns when the last request has finished and the memory is freed.
    pub async fn unload_model(self: &Arc<Self>, name: String, dependents: bool) {
        let lifecycle = Arc::clone(self);
        let task = self.spawn(async move {
            let mut open = vec![name];
            while let Some(name) = open.pop() {
                let composing = lifecycle.unload_one(&name).await;
                let models = lifecycle.models.lock();
                open.extend(composing.into_iter().filter(|name| {
                    let explicit = models.entries.get(name).is_none_or(|entry| entry.explicit);
                    dependents && !explicit && !models.dependencies.is_used(name)
                }));
            }
        });
        // A panic in the task was logged where it happened.
        drop(task.await);
    }

    /// Unloads one model and waits for its end. Returns the names of its composing models.
    async fn unload_one(self: &Arc<Self>, name: &str) -> Vec<String> {
        let (composing, retired) = self.end_model(name).await;
        self.retire_unloaded(name, retired).await;
        composing
    }

    /// Waits for the model's turn and removes its routes. Returns the names of its composing models and the versions to be
    /// [retired](Self::retire).
    pub async fn end_model(&self, name: &str) -> (Vec<String>, Vec<Retired>) {
        let claim = self.models.lock().entries.get(name).map(|entry| entry.turn.claim());
        let Some(claim) = claim else { return (Vec::new(), Vec::new()) };
        // The turn is released when this function returns: the model may be loaded again while its last requests run.
        let _turn = claim.wait().await;
        let composing = self.models.lock().dependencies.composing(name).map(str::to_owned).collect();
        (composing, self.remove(name))
    }

    /// Waits until an unloaded model has finished its last requests.
    pub(crate) async fn retire_unloaded(self: &Arc<Self>, name: &str, retired: Vec<Retired>) {
        let served = retired.iter().any(|retired| !retired.versions.is_empty());
        self.retire(retired).await;
        if served {
            info!(model = name, "unloaded");
        }
    }
}
