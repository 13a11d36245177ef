//! The work of a stream of a simulated device, which is executed as late as the stream's promises allow.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Work = Box<dyn FnOnce() + Send>;

/// Work in its order, which is executed by whoever waits for it.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Held while work is executed, which keeps the order.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// The number of works that were put so far.
    put: u64,
    /// The number of works that were taken to be executed.
    taken: u64,
}

impl Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} waiting)", self.state().waiting.len())
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts work behind what is there. Returns how many works there are then, executed ones included.
    pub(super) fn put(&self, work: Work) -> u64 {
        let mut state = self.state();
        state.waiting.push_back(work);
        state.put += 1;
        state.put
    }

    /// How many works there have been so far.
    pub(super) fn end(&self) -> u64 {
        self.state().put
    }

    /// Executes the first works, up to as many.
    pub(super) fn run_until(&self, end: u64) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let work = {
                let mut state = self.state();
                if state.taken >= end {
                    return;
                }
                state.taken += 1;
                state.waiting.pop_front()
            };
            let Some(work) = work else { return };
            work();
        }
    }

    pub(super) fn run(&self) {
        self.run_until(self.end());
    }
}

/// What the raw handle of a simulated stream points to, for engines that are played: they put work on the stream by it.
#[repr(C)]
#[derive(Debug)]
pub struct RawStream {
    /// Puts a call of a function with an argument behind what is there. It is made once, at any time until the stream is
    /// waited for, and on any thread.
    pub put: unsafe extern "C" fn(*const RawStream, unsafe extern "C" fn(*mut c_void), *mut c_void),
    /// Executes what is there.
    pub finish: unsafe extern "C" fn(*const RawStream),
    queue: Arc<Queue>,
}

impl RawStream {
    pub(super) fn new(queue: &Arc<Queue>) -> RawStream {
        RawStream { put, finish, queue: Arc::clone(queue) }
    }
}

struct Call(unsafe extern "C" fn(*mut c_void), *mut c_void);

// SAFETY: whoever puts a call lets it be made on any thread.
unsafe impl Send for Call {}

impl Call {
    fn make(self) {
        // SAFETY: whoever has put it says that the argument is the function's until the call, which is made once.
        unsafe { (self.0)(self.1) }
    }
}

unsafe extern "C" fn put(
    stream: *const RawStream,
    call: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
) {
    let call = Call(call, argument);
    // SAFETY: the handle of a stream that is alive.
    unsafe { (*stream).queue.put(Box::new(move || call.make())) };
}

unsafe extern "C" fn finish(stream: *const RawStream) {
    // SAFETY: as above.
    unsafe { (*stream).queue.run() }
}
