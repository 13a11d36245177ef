//! Loads and unloads that clients ask for, while others stand by.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};

use super::OnDemand;
use super::footprint::closure_with;
use crate::load::LoadFailure;
use crate::{InferenceServer, LoadOverrides};

impl InferenceServer {
    /// Loads a model because a client asked for it, within the budget. From then on it stays. Goes on to the end even if the
    /// client does not wait for it.
    pub(crate) async fn load_pinned(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        let (server, owned) = (Arc::clone(self), name.to_owned());
        let task = tokio::spawn(async move {
            match &server.on_demand {
                Some(demand) => server.pin(demand, &owned, overrides).await,
                None => Ok(()),
            }
        });
        let lost = |e| Err(Error::internal(format!("loading model '{name}' failed: {e}")));
        task.await.unwrap_or_else(lost)
    }

    async fn pin(self: &Arc<Self>, demand: &OnDemand, name: &str, overrides: LoadOverrides) -> Result<()> {
        let (server, owned, brought) = (Arc::clone(self), name.to_owned(), overrides.clone());
        let parts = tokio::task::spawn_blocking(move || closure_with(&server, &owned, &brought));
        // A panic in there was logged; the load finds out what is wrong.
        let parts = parts.await.unwrap_or_default();
        let again = [name.to_owned()].into();
        let guard = self.make_room(demand, name, &parts, &again).await?;
        let loaded = self.load_model(name.to_owned(), overrides).await;
        {
            let mut state = demand.state.lock();
            if loaded.is_err() {
                state.standby.ledger.replaced(name);
            } else {
                state.standby.pin(name);
                for part in &parts {
                    if part.name == name {
                        state.standby.ledger.hold(name, part.bytes);
                    } else {
                        state.standby.add_composing(&part.name);
                    }
                }
            }
        }
        self.settle(demand, &parts);
        drop(guard);
        loaded.map_err(|failure: LoadFailure| failure.into_error(name))
    }

    /// A client unloads it: it does not stand by any more.
    pub(crate) fn take_out(&self, name: &str) {
        if let Some(demand) = &self.on_demand {
            demand.state.lock().standby.take_out(name);
        }
    }
}
