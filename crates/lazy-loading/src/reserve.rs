//! Reserves memory for a load before it begins, and evicts other models for that: the budget holds at every moment, also
//! while one model goes and another comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use tracing::{info, warn};

use crate::eviction::choose;
use crate::guard::EvictionGuard;
use crate::lazy_loading::LazyLoading;
use crate::reservation::{Decision, Reasons, Reservation, candidates};

/// How long a load waits for memory that does not come back: it is held by models with sequences, or whose last requests
/// do not end.
const PATIENCE: Duration = Duration::from_secs(20);
/// When other models are evicted beside those whose end takes long.
const SLOW: Duration = Duration::from_millis(500);
/// How often it is looked whether the last request on a model has ended: nobody reports that.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl LazyLoading {
    /// Reserves the memory, one load at a time, and keeps its models from being evicted until the guard is dropped.
    pub(crate) async fn reserve(self: &Arc<Self>, reservation: Reservation<'_>) -> Result<EvictionGuard> {
        // This load guards nothing while it waits: the one before it may need just that to go.
        let _turn = self.reserving.lock().await;
        let begin = Instant::now();
        loop {
            let changed = self.changed.notified();
            match reservation.decide(self, begin.elapsed() > SLOW) {
                Decision::Reserved(guard) => return Ok(guard),
                Decision::Refused(error) => return Err(error),
                Decision::Evict(names) => {
                    for name in names {
                        self.evict(&name).await;
                    }
                }
                Decision::Wait if begin.elapsed() > PATIENCE => {
                    return Err(Error::unavailable(format!(
                        "there is no room for model '{}' within the memory budget: what is loaded has been used by \
                         requests or sequences for {} s",
                        reservation.asked,
                        PATIENCE.as_secs()
                    )));
                }
                Decision::Wait => drop(tokio::time::timeout(LOOK_AGAIN, changed).await),
            }
        }
    }

    /// Ends a model, which the next request for it loads again. Its memory is back later.
    async fn evict(self: &Arc<Self>, name: &str) {
        let bytes = {
            let mut state = self.state.lock();
            state.models.evicted(name);
            // Before it ends: the budget of a model that has ended is released at once otherwise.
            state.budget.begin_release(name)
        };
        let (_, retired) = self.lifecycle.end_model(name).await;
        info!(model = name, bytes, "evicted to make room: it was used least recently");
        let lazy = Arc::clone(self);
        tokio::spawn(async move {
            lazy.lifecycle.retire(retired).await;
            lazy.state.lock().budget.released(bytes);
            lazy.changed.notify_waiters();
        });
    }

    /// Evicts what is beyond the budget, because models that serve have grown.
    pub(crate) async fn evict_excess(self: &Arc<Self>) {
        let _turn = self.reserving.lock().await;
        let names = {
            let state = self.state.lock();
            let excess = state.budget.missing_for(0).saturating_sub(state.budget.releasing());
            let serving = self.lifecycle.serving_models();
            let names = choose(candidates(&state, &serving, Reasons::Now), excess);
            names.unwrap_or_else(|| {
                warn!(
                    used = state.budget.used(),
                    budget = state.budget.limit(),
                    "more memory is used than the budget allows"
                );
                Vec::new()
            })
        };
        for name in names {
            self.evict(&name).await;
        }
    }
}
