//! Explicit loads and unloads by clients, which share the memory budget with the loads for inference requests.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_lifecycle::LoadOverrides;

use crate::footprint::closure_with;
use crate::lazy_loading::LazyLoading;
use crate::reservation::Reservation;

impl LazyLoading {
    /// Loads a model for a client, within the memory budget. The model is not evicted until a client unloads it. The load
    /// continues even if the returned future is dropped.
    pub async fn load_for_client(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        let (lazy, owned) = (Arc::clone(self), name.to_owned());
        let task = self.lifecycle.spawn(async move { lazy.load_and_pin(&owned, overrides).await });
        let lost = |e| Err(Error::internal(format!("loading model '{name}' failed: {e}")));
        task.await.unwrap_or_else(lost)
    }

    async fn load_and_pin(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        let (lifecycle, owned, brought) = (Arc::clone(&self.lifecycle), name.to_owned(), overrides.clone());
        let parts = tokio::task::spawn_blocking(move || closure_with(&lifecycle, &owned, &brought));
        // A panic in the task was logged. The load reports what is wrong.
        let parts = parts.await.unwrap_or_default();
        let reloaded = [name.to_owned()].into();
        let guard = self.reserve(Reservation { asked: name, parts: &parts, reloaded: &reloaded }).await?;
        self.measure_other();
        let loaded = self.lifecycle.load_model(name.to_owned(), overrides).await;
        self.measure_other();
        {
            let mut state = self.state.lock();
            if loaded.is_err() {
                state.budget.replaced(name);
            } else {
                state.models.pin(name);
                for part in &parts {
                    if part.name == name {
                        state.budget.hold(name, part.bytes);
                    } else {
                        state.models.add_composing(&part.name);
                    }
                }
            }
        }
        self.account_for_loaded(&parts);
        drop(guard);
        loaded.map_err(|failure| failure.into_error(name))
    }

    /// Notes that a client unloads the model: no request and no ensemble loads it again until a client does.
    pub fn unload_for_client(&self, name: &str) {
        self.state.lock().models.unload(name);
    }
}
