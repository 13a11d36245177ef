//! The functions of a library that says which requests a model executes together.

#![allow(unsafe_code, reason = "takes functions out of a library by their names, and calls them")]

use std::ffi::c_void;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;

use super::entry_points::find;
use super::exceptions::caught;
use crate::border::{Ref, Returned};
use crate::life::ModelObject;
use crate::request::RequestObject;

type Pointer = *mut c_void;

/// All five are needed.
#[derive(Clone, Copy, Debug)]
struct Functions {
    batcher_initialize: unsafe extern "C-unwind" fn(*mut Pointer, Ref<ModelObject>) -> Returned,
    batcher_finalize: unsafe extern "C-unwind" fn(Pointer) -> Returned,
    batch_initialize: unsafe extern "C-unwind" fn(Pointer, *mut Pointer) -> Returned,
    batch_include: unsafe extern "C-unwind" fn(Ref<RequestObject>, Pointer, *mut bool) -> Returned,
    batch_finalize: unsafe extern "C-unwind" fn(Pointer) -> Returned,
}

/// What the library has made for a model. Dropped, it is finalized.
#[derive(Debug)]
pub(crate) struct Batcher {
    functions: Functions,
    own: Pointer,
    /// Held during each call: while a model goes on under another config, two queues have it.
    alone: Arc<Mutex<()>>,
}

/// What the library has made for a batch. Dropped, it is finalized.
#[derive(Debug)]
pub(crate) struct BatchState {
    functions: Functions,
    own: Pointer,
    alone: Arc<Mutex<()>>,
}

// SAFETY: the pointer is the library's and only handed back to it. The interface has batchers used by any thread, one at a time:
// that is `alone`.
unsafe impl Send for Batcher {}
// SAFETY: as above.
unsafe impl Sync for Batcher {}

impl Batcher {
    /// Opens the library and has it make what it needs for the model.
    pub(crate) fn new(path: &Path, model: Ref<ModelObject>) -> Result<Batcher> {
        let (library, _) = super::opened(path)?;
        let functions = Functions {
            batcher_initialize: needed(path, find(&library, c"TRITONBACKEND_ModelBatcherInitialize"))?,
            batcher_finalize: needed(path, find(&library, c"TRITONBACKEND_ModelBatcherFinalize"))?,
            batch_initialize: needed(path, find(&library, c"TRITONBACKEND_ModelBatchInitialize"))?,
            batch_include: needed(path, find(&library, c"TRITONBACKEND_ModelBatchIncludeRequest"))?,
            batch_finalize: needed(path, find(&library, c"TRITONBACKEND_ModelBatchFinalize"))?,
        };
        // As a backend's: it is never closed.
        std::mem::forget(library);
        let mut own = ptr::null_mut();
        // SAFETY: the library stays open, the handle is good, and the pointer is written to during the call.
        caught(|| unsafe { (functions.batcher_initialize)(&raw mut own, model) }.into_result())?;
        Ok(Batcher { functions, own, alone: Arc::default() })
    }

    /// Begins a batch.
    pub(crate) fn begin(&self) -> Result<BatchState> {
        let mut own = ptr::null_mut();
        let _alone = self.alone.lock();
        // SAFETY: as above; the batcher is what the library has made.
        caught(|| unsafe { (self.functions.batch_initialize)(self.own, &raw mut own) }.into_result())?;
        Ok(BatchState { functions: self.functions, own, alone: Arc::clone(&self.alone) })
    }
}

impl BatchState {
    /// Whether the library wants the request in the batch.
    pub(crate) fn includes(&mut self, request: Ref<RequestObject>) -> Result<bool> {
        let mut includes = false;
        let _alone = self.alone.lock();
        caught(|| {
            // SAFETY: as above; the request is there during the call.
            unsafe { (self.functions.batch_include)(request, self.own, &raw mut includes) }.into_result()
        })?;
        Ok(includes)
    }
}

impl Drop for BatchState {
    fn drop(&mut self) {
        let _alone = self.alone.lock();
        // SAFETY: it was initialized, and nothing uses it any more.
        let finalized = caught(|| unsafe { (self.functions.batch_finalize)(self.own) }.into_result());
        log(finalized, "a batch");
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        // SAFETY: as above.
        let finalized = caught(|| unsafe { (self.functions.batcher_finalize)(self.own) }.into_result());
        log(finalized, "a batcher");
    }
}

fn log(finalized: Result<()>, what: &str) {
    if let Err(error) = finalized {
        tracing::error!("the batch strategy failed to finalize {what}: {}", error.message());
    }
}

fn needed<F>(path: &Path, function: Option<F>) -> Result<F> {
    function.ok_or_else(|| {
        Error::invalid_arg(format!(
            "the batch strategy '{}' does not have all of TRITONBACKEND_ModelBatcherInitialize, ModelBatcherFinalize, \
             ModelBatchInitialize, ModelBatchIncludeRequest and ModelBatchFinalize",
            path.display()
        ))
    })
}
