//! The channel of a model that answers once: one event, from the thread that executes to the task that waits.
//!
//! Unlike a general channel it knows the runtime of whoever waits, so that the tasks of a batch are woken together, and
//! needs no allocation to wait.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hippocamp_wake::TaskWaker;

use crate::Event;

/// Makes such a channel.
pub(crate) fn once() -> (OnceSender, OnceReceiver) {
    let channel = Arc::<Once>::default();
    (OnceSender(Some(Arc::clone(&channel))), OnceReceiver { channel, has_ended: false })
}

#[derive(Debug, Default)]
struct Once {
    state: Mutex<State>,
    /// The receiver is gone, and did not receive the event.
    is_cancelled: AtomicBool,
}

impl Once {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is one in each channel, and a box would be another allocation"
)]
#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Waiting(TaskWaker),
    Sent(Event),
    /// The event was received, or will not come.
    Closed,
}

/// Sends the event. Dropped without it, it closes the channel.
#[derive(Debug)]
pub(crate) struct OnceSender(Option<Arc<Once>>);

impl OnceSender {
    pub(crate) fn send(mut self, event: Event) {
        if let Some(channel) = self.0.take() {
            put(&channel, State::Sent(event));
        }
    }

    /// Whether the receiver is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(|channel| channel.is_cancelled.load(Ordering::Relaxed))
    }
}

impl Drop for OnceSender {
    fn drop(&mut self) {
        if let Some(channel) = self.0.take() {
            put(&channel, State::Closed);
        }
    }
}

fn put(channel: &Once, state: State) {
    let before = mem::replace(&mut *channel.lock(), state);
    if let State::Waiting(task) = before {
        task.wake();
    }
}

/// Receives the event. Dropped before, it cancels the request.
#[derive(Debug)]
pub(crate) struct OnceReceiver {
    channel: Arc<Once>,
    /// The event was received, or will not come.
    has_ended: bool,
}

impl OnceReceiver {
    /// The event; `None` if the sender was dropped without it, or it was received before.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.channel.lock();
        match &*state {
            State::Waiting(task) if task.will_wake(context.waker()) => return Poll::Pending,
            State::Empty | State::Waiting(_) => {
                *state = State::Waiting(TaskWaker::new(context.waker()));
                return Poll::Pending;
            }
            State::Sent(_) | State::Closed => {}
        }
        self.has_ended = true;
        match mem::replace(&mut *state, State::Closed) {
            State::Sent(event) => Poll::Ready(Some(event)),
            _ => Poll::Ready(None),
        }
    }
}

impl Drop for OnceReceiver {
    fn drop(&mut self) {
        if !self.has_ended {
            self.channel.is_cancelled.store(true, Ordering::Relaxed);
            // What is in it is dropped without the lock.
            let _waiting = mem::replace(&mut *self.channel.lock(), State::Closed);
        }
    }
}
