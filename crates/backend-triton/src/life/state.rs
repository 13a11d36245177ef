//! The pointer that a backend keeps with each of its backend, model and instances.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use hippocamp_backend::Result;

use crate::border::Out;

/// A pointer of the backend's: the host only keeps it.
#[derive(Debug)]
pub(crate) struct State(AtomicPtr<c_void>);

impl Default for State {
    fn default() -> State {
        State(AtomicPtr::new(ptr::null_mut()))
    }
}

impl State {
    pub(crate) fn get(&self, state: Out<*mut c_void>) -> Result<()> {
        state.set("state", self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, state: *mut c_void) {
        self.0.store(state, Ordering::Release);
    }
}
