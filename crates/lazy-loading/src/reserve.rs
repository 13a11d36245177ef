//! Reserves memory before a load begins, and evicts other models if necessary. The memory in use never exceeds the budget,
//! not even while one model replaces another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use tracing::{info, warn};

use crate::eviction::choose;
use crate::guard::EvictionGuard;
use crate::lazy_loading::LazyLoading;
use crate::reservation::{Decision, Reasons, Reservation, candidates};

/// How long a load waits for memory. It may wait because models have active sequences or long requests.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long memory that is being released is waited for before further models are evicted.
const SLOW_RELEASE: Duration = Duration::from_millis(500);
/// The interval at which a waiting load checks again, because the end of a model's last request is not reported.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl LazyLoading {
    /// Reserves the memory for a load, one load at a time. The guard keeps the load's models from being evicted until it is
    /// dropped. Fails if the models can never fit, or if no memory was freed in time.
    pub(crate) async fn reserve(self: &Arc<Self>, reservation: Reservation<'_>) -> Result<EvictionGuard> {
        // While this load waits it guards no model, because the load before it may have to evict that model.
        let _turn = self.reserving.lock().await;
        let begin = Instant::now();
        loop {
            let changed = self.changed.notified();
            match reservation.decide(self, begin.elapsed() > SLOW_RELEASE) {
                Decision::Reserved(guard) => return Ok(guard),
                Decision::Refused(error) => return Err(error),
                Decision::Evict(names) => {
                    for name in names {
                        self.evict(&name).await;
                    }
                }
                Decision::Wait if begin.elapsed() > MEMORY_TIMEOUT => {
                    return Err(Error::unavailable(format!(
                        "there is no room for model '{}' within the memory budget: what is loaded has been used by \
                         requests or sequences for {} s",
                        reservation.asked,
                        MEMORY_TIMEOUT.as_secs()
                    )));
                }
                Decision::Wait => drop(tokio::time::timeout(POLL_INTERVAL, changed).await),
            }
        }
    }

    /// Unloads a model; the next request loads it again. Returns before its memory is released.
    async fn evict(self: &Arc<Self>, name: &str) {
        let bytes = {
            let mut state = self.state.lock();
            state.models.evicted(name);
            // This has to come before the model ends, or its memory would count as free at once.
            state.budget.begin_release(name)
        };
        let (_, retired) = self.lifecycle.end_model(name).await;
        info!(model = name, bytes, "evicted to make room: it was used least recently");
        let lazy = Arc::clone(self);
        tokio::spawn(async move {
            lazy.lifecycle.retire(retired).await;
            lazy.state.lock().budget.released(bytes);
            lazy.measure_other();
            lazy.changed.notify_waiters();
        });
    }

    /// Evicts models until the budget is met again, after serving models have grown.
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
