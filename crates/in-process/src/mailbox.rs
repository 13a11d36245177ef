//! What is handed to a callback, in order, on a thread that may block.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::threads::{CallbackThreads, Task};

/// How many items of one mailbox a thread hands over before it looks whether others wait.
const TURN: usize = 16;

/// Items on their way to a callback, which gets them in order and one at a time, on a thread that may block. To put one in
/// never blocks.
pub struct Mailbox<T>(Arc<Queue<T>>);

struct Queue<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<T>,
    /// `None` while a thread has it.
    callback: Option<Box<dyn FnMut(T) + Send>>,
    /// A thread has the callback, or is to have it.
    runs: bool,
}

impl<T: Send + 'static> Mailbox<T> {
    /// An empty mailbox.
    pub fn new(callback: impl FnMut(T) + Send + 'static) -> Mailbox<T> {
        let state = State { items: VecDeque::new(), callback: Some(Box::new(callback)), runs: false };
        Mailbox(Arc::new(Queue { state: Mutex::new(state) }))
    }

    /// Has a thread give the item to the callback, behind those that were put in before.
    pub fn put(&self, item: T) {
        let runs = {
            let mut state = self.0.state.lock();
            state.items.push_back(item);
            std::mem::replace(&mut state.runs, true)
        };
        if !runs {
            CallbackThreads::of_process().add(Arc::clone(&self.0) as Arc<dyn Task>);
        }
    }
}

impl<T: Send + 'static> Task for Queue<T> {
    fn run(self: Arc<Self>, threads: &'static CallbackThreads) {
        // After a panic there is none any more.
        let Some(mut callback) = self.state.lock().callback.take() else { return };
        for _ in 0..TURN {
            let item = {
                let mut state = self.state.lock();
                let Some(item) = state.items.pop_front() else {
                    state.callback = Some(callback);
                    state.runs = false;
                    return;
                };
                item
            };
            callback(item);
        }
        self.state.lock().callback = Some(callback);
        threads.add(self);
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox of {} items", self.0.state.lock().items.len())
    }
}
