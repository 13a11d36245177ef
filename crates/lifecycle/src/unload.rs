//! Unloads models on request.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::info;

use crate::entry::Retired;
use crate::lifecycle::Lifecycle;

impl Lifecycle {
    /// Unloads a model. With `dependents`, also unloads its composing models that were not asked for by name and that no
    /// other ensemble uses. Returns when the last request has finished and the memory is freed.
    pub async fn unload_model(self: &Arc<Self>, name: String, dependents: bool) {
        // A panic in the task was logged where it happened.
        drop(self.begin_unload(name, dependents).await.await);
    }

    /// As [`Lifecycle::unload_model`], but returns as soon as no request finds the model any more. The task is what is left to
    /// do, and goes on if it is dropped.
    pub async fn begin_unload(self: &Arc<Self>, name: String, dependents: bool) -> JoinHandle<()> {
        let lifecycle = Arc::clone(self);
        let (begun, has_begun) = oneshot::channel::<()>();
        let task = self.spawn(async move {
            let mut ended = lifecycle.end_model(&name).await;
            drop(begun);
            let mut name = name;
            let mut open = Vec::new();
            loop {
                let (composing, retired) = ended;
                lifecycle.retire_unloaded(&name, retired).await;
                open.extend(lifecycle.unused_of(composing).filter(|_| dependents));
                let Some(next) = open.pop() else { return };
                ended = lifecycle.end_model(&next).await;
                name = next;
            }
        });
        // It fails when it has begun, or when the task has panicked.
        drop(has_begun.await);
        task
    }

    /// Those of these models that nobody asked for by name and that no ensemble uses.
    fn unused_of(&self, composing: Vec<String>) -> impl Iterator<Item = String> + use<> {
        let models = self.models.lock();
        let is_unused = |name: &String| {
            let explicit = models.entries.get(name).is_none_or(|entry| entry.explicit);
            !explicit && !models.dependencies.is_used(name)
        };
        composing.into_iter().filter(is_unused).collect::<Vec<_>>().into_iter()
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
