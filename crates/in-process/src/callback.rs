//! Calls that are answered by callbacks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_backend::{InProcessEvent, InProcessRequest, InProcessServer, InProcessSink, Result};
use parking_lot::Mutex;

use crate::threads::{CallbackThreads, Task};

/// How many events of one call a thread hands over before it looks whether others wait.
const TURN: usize = 16;

/// Sends a request to a model. Each event is given to `callback`, in order and one at a time, on a thread that may block;
/// the events of a decoupled model that come meanwhile wait. The callback is dropped behind the last event, and unused if this
/// fails. It may run before this returns.
pub fn call_back(
    server: &dyn InProcessServer,
    request: InProcessRequest,
    callback: impl FnMut(InProcessEvent) + Send + 'static,
) -> Result<Cancel> {
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let state =
        Mutex::new(State { events: VecDeque::new(), callback: Some(Box::new(callback)), runs: false });
    let task = Arc::new(Answering { state });
    let sink = Delivering { task: Arc::clone(&task), is_cancelled: Arc::clone(&is_cancelled) };
    server.infer(request, Box::new(sink))?;
    Ok(Cancel(is_cancelled))
}

/// Cancels a request. To drop it has no effect.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the model to stop. The last event comes all the same.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }
}

type Callback = Box<dyn FnMut(InProcessEvent) + Send>;

/// The events of a call on their way to its callback.
struct Answering {
    state: Mutex<State>,
}

struct State {
    events: VecDeque<InProcessEvent>,
    /// `None` while a thread has it, and behind the last event.
    callback: Option<Callback>,
    /// A thread has it, or it waits for one.
    runs: bool,
}

impl Task for Answering {
    fn run(self: Arc<Self>, threads: &'static CallbackThreads) {
        let Some(mut callback) = self.state.lock().callback.take() else { return };
        for _ in 0..TURN {
            let next = {
                let mut state = self.state.lock();
                let next = state.events.pop_front();
                if next.is_none() {
                    state.callback = Some(callback);
                    state.runs = false;
                    return;
                }
                next
            };
            let Some(event) = next else { return };
            let is_last = event.is_last();
            callback(event);
            if is_last {
                return;
            }
        }
        self.state.lock().callback = Some(callback);
        threads.add(self);
    }
}

struct Delivering {
    task: Arc<Answering>,
    is_cancelled: Arc<AtomicBool>,
}

impl InProcessSink for Delivering {
    fn deliver(&mut self, event: InProcessEvent) {
        let runs = {
            let mut state = self.task.state.lock();
            state.events.push_back(event);
            std::mem::replace(&mut state.runs, true)
        };
        if !runs {
            CallbackThreads::of_process().add(Arc::clone(&self.task) as Arc<dyn Task>);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Delivering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivering").field("is_cancelled", &self.is_cancelled).finish_non_exhaustive()
    }
}
