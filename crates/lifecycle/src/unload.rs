//! Unloading.

use std::sync::Arc;

use tracing::info;

use crate::entry::Retired;
use crate::lifecycle::Lifecycle;

impl Lifecycle {
    /// Unloads a model; with `dependents` also what was loaded only because this model is composed of it, if nothing else
    /// is. Returns when the last request is done and the memory free.
    pub async fn unload_model(self: &Arc<Self>, name: String, dependents: bool) {
        let lifecycle = Arc::clone(self);
        let task = tokio::spawn(async move {
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
        // A panic in there was logged where it happened.
        drop(task.await);
    }

    /// Returns what the model was composed of.
    async fn unload_one(self: &Arc<Self>, name: &str) -> Vec<String> {
        let (composing, retired) = self.end_model(name).await;
        self.retire_unloaded(name, retired).await;
        composing
    }

    /// Routes no request to the model any more, when it is its turn. Returns what it was composed of, and what is to be
    /// [retired](Self::retire).
    pub async fn end_model(&self, name: &str) -> (Vec<String>, Vec<Retired>) {
        let claim = self.models.lock().entries.get(name).map(|entry| entry.turn.claim());
        let Some(claim) = claim else { return (Vec::new(), Vec::new()) };
        // Let go at the end of this: it may be loaded anew while its last requests run.
        let _turn = claim.wait().await;
        let composing = self.models.lock().dependencies.composing(name).map(str::to_owned).collect();
        (composing, self.remove(name))
    }

    /// Waits for the end of a model that was unloaded.
    pub(crate) async fn retire_unloaded(self: &Arc<Self>, name: &str, retired: Vec<Retired>) {
        let served = retired.iter().any(|retired| !retired.versions.is_empty());
        self.retire(retired).await;
        if served {
            info!(model = name, "unloaded");
        }
    }
}
