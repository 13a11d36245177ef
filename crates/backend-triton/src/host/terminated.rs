//! Exceptions that leave a destructor of the Python backend. C++ ends the process for them, `std::terminate`: a stub that crashes while
//! it ends can so take the server along, as locks in its shared memory are no locks any more (`boost::interprocess::lock_exception`
//! out of `StubLauncher::TerminateStub`). On threads that are made for one call of the backend, only the thread ends: it stays where it
//! is, as one whose call never returns. Threads that the backend has started end with their instance.

#![allow(unsafe_code, reason = "sets a function of C++'s library")]

use std::cell::RefCell;
use std::process::abort;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use tracing::error;

use super::threads;
use crate::library::cpp_library;

type Handler = extern "C" fn();

/// Whether a call has ended so.
pub(super) type Terminated = Arc<AtomicBool>;

thread_local! {
    /// Set while the thread makes a call that may end so.
    static CALL: RefCell<Option<Terminated>> = const { RefCell::new(None) };
}

/// The handler before this one; `None` inside if there was none.
static BEFORE: OnceLock<Option<Handler>> = OnceLock::new();

/// From now on the calling thread makes one call, and nothing else.
pub(super) fn may_happen_to(call: &Terminated) {
    if is_handled() {
        CALL.set(Some(Arc::clone(call)));
    }
}

/// Sets the handler, if C++'s library is there by now.
fn is_handled() -> bool {
    static IS_SET: OnceLock<()> = OnceLock::new();
    if IS_SET.get().is_some() {
        return true;
    }
    let Some(library) = cpp_library() else { return false };
    // SAFETY: `std::set_terminate(void (*)())`, which returns the one before.
    let Ok(set) =
        (unsafe { library.get::<extern "C" fn(Handler) -> Option<Handler>>(b"_ZSt13set_terminatePFvvE\0") })
    else {
        return false;
    };
    IS_SET.get_or_init(|| {
        let before = set(terminated);
        let _ = BEFORE.set(before);
    });
    true
}

extern "C" fn terminated() {
    let call = CALL.try_with(RefCell::take).ok().flatten();
    if let Some(call) = call {
        error!("an exception would have ended the process; the thread of the call is left alone instead");
        call.store(true, Ordering::Release);
        loop {
            thread::park();
        }
    }
    threads::end_this_thread();
    if let Some(Some(before)) = BEFORE.get() {
        before();
    }
    abort()
}
