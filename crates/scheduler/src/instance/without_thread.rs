//! An instance that has lost its thread and gets no other, as the machine has none to spare: it is lost until there is one, and what
//! waits for it is answered with the reason meanwhile.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, Error};
use parking_lot::Mutex;
use tracing::error;

use super::{Instance, fail, on_thread};
use crate::clock::{self, Timed};
use crate::held::Held;
use crate::mending::LostPeer;

/// How long until a thread is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// An instance on its way to a thread.
struct Waiting {
    this: Weak<Waiting>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until a thread has it.
    instance: Option<Instance>,
    lost: Option<LostPeer>,
    /// Itself, as the clock does not keep those that it calls.
    kept: Option<Arc<Waiting>>,
}

/// Has another thread go on with an instance, now or as soon as there is one.
pub(super) fn go_on(instance: Instance) {
    let state = State { instance: Some(instance), ..State::default() };
    let waiting = Arc::new_cyclic(|this| Waiting { this: Weak::clone(this), state: Mutex::new(state) });
    if !waiting.starts() {
        waiting.state.lock().kept = Some(Arc::clone(&waiting));
        let who: Weak<Waiting> = Arc::downgrade(&waiting);
        clock::call_at(Instant::now() + PAUSE, who);
    }
}

impl Waiting {
    /// Gives the instance to a thread. If there is none, it answers what waits for the instance, unless others may.
    fn starts(&self) -> bool {
        let mut state = self.state.lock();
        let (Some(instance), Some(taken)) = (&state.instance, self.this.upgrade()) else { return true };
        let plan = Arc::clone(&instance.plan);
        let started = on_thread(&plan, move || {
            let State { instance, lost, kept } = std::mem::take(&mut *taken.state.lock());
            drop((lost, kept));
            if let Some(instance) = instance {
                // That the cores are there was seen when the first thread was bound to them.
                drop(instance.plan.cores.bind_thread(&instance.plan.spec.name));
                instance.serve(Held::Bound(None));
            }
        });
        if let Err(error) = &started {
            state.refuse(error);
        }
        started.is_ok()
    }
}

impl State {
    fn refuse(&mut self, error: &Error) {
        let Some(instance) = &self.instance else { return };
        self.lost.get_or_insert_with(|| {
            error!(
                model = instance.plan.spec.config.name,
                "{}; it goes on as soon as there is one",
                error.message()
            );
            instance.peers.lose_one(error)
        });
        if instance.peers.any_serves() {
            return;
        }
        let mut batch = Batch::new();
        while instance.batcher.try_pull(instance.plan.spec.index, &mut batch) {
            fail(&mut batch, error);
            instance.batcher.executed(&mut batch);
        }
    }
}

impl Timed for Waiting {
    fn called(&self, _: Instant) -> Option<Instant> {
        (!self.starts()).then(|| Instant::now() + PAUSE)
    }
}
