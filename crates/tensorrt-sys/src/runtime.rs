//! What reads plans.

use std::ffi::c_void;
use std::sync::Arc;

use crate::Engine;
use crate::object::{Owned, call};
use crate::slots::runtime as slot;

/// Makes engines from plans. The engines keep it alive.
#[derive(Clone, Debug)]
pub struct Runtime(pub(crate) Arc<Owned>);

impl Runtime {
    pub(crate) fn new(object: Owned) -> Runtime {
        Runtime(Arc::new(object))
    }

    /// Whether plans may bring code of their own for the host: version-compatible ones do, the lean runtime that they were built
    /// with. Off by default, as it runs what a plan brings.
    pub fn set_engine_host_code_allowed(&self, is_allowed: bool) {
        let object = &self.0;
        // SAFETY: the method takes a bool.
        unsafe {
            call!(object.implementation(), object.layout(), slot::SET_ENGINE_HOST_CODE_ALLOWED, (is_allowed => bool));
        }
    }

    /// What was set.
    pub fn engine_host_code_allowed(&self) -> bool {
        let object = &self.0;
        // SAFETY: the method takes nothing and returns a bool.
        unsafe {
            call!(object.implementation(), object.layout(), slot::GET_ENGINE_HOST_CODE_ALLOWED, () -> bool)
        }
    }

    /// Sets how many threads it may use; `false` if the library refuses the number.
    pub fn set_max_threads(&self, threads: i32) -> bool {
        let object = &self.0;
        // SAFETY: the method takes a number and returns a bool.
        unsafe {
            call!(object.implementation(), object.layout(), slot::SET_MAX_THREADS, (threads => i32) -> bool)
        }
    }

    /// What was set.
    pub fn max_threads(&self) -> i32 {
        let object = &self.0;
        // SAFETY: the method takes nothing and returns a number.
        unsafe { call!(object.implementation(), object.layout(), slot::GET_MAX_THREADS, () -> i32) }
    }

    /// Makes an engine on the calling thread's current device. `None` if the library refuses the plan, which it says in its log.
    pub fn deserialize(&self, plan: &[u8]) -> Option<Engine> {
        let object = &self.0;
        // SAFETY: the method takes bytes, which it does not keep, and returns an engine that is the caller's, or null.
        let engine = unsafe {
            let engine = call!(
                object.implementation(), object.layout(), slot::DESERIALIZE,
                (plan.as_ptr().cast() => *const c_void, plan.len() => usize) -> *mut c_void
            );
            Owned::new(engine, object.library())
        };
        engine.map(|engine| Engine::new(engine, self.clone()))
    }
}
