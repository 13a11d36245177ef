//! A session: a graph that can be run.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};

use hippocamp_engine_library::FloatMode;
use prost::Message;
use smallvec::SmallVec;

use super::api::{self, Operation, Output};
use super::graph::{Graph, borrowed, null_byte};
use super::library::Library;
use super::status::Status;
use super::tensor::Tensor;
use crate::error::{Fault, code};
use crate::messages::{ConfigProto, MetaGraph, RunOptions};

/// A session and its graph. Any number of threads may run it at the same time.
#[derive(Debug)]
pub(crate) struct Session {
    library: &'static Library,
    raw: NonNull<api::Session>,
    pub(crate) graph: Graph,
}

// SAFETY: a session is not bound to a thread, and the library is made for runs at the same time.
unsafe impl Send for Session {}
// SAFETY: see above.
unsafe impl Sync for Session {}

/// The settings of sessions that are being made.
struct Options<'a> {
    library: &'a Library,
    raw: *mut api::SessionOptions,
}

impl<'a> Options<'a> {
    fn new(library: &'a Library, config: &ConfigProto) -> Result<Options<'a>, Fault> {
        // SAFETY: takes no argument; the result is owned.
        let options = Options { library, raw: unsafe { (library.api.TF_NewSessionOptions)() } };
        let (config, status) = (config.encode_to_vec(), Status::new(library));
        // SAFETY: options and status are live; the bytes are read during the call only.
        unsafe {
            (library.api.TF_SetConfig)(options.raw, config.as_ptr().cast(), config.len(), status.as_ptr());
        }
        status.outcome().map(|()| options)
    }
}

impl Drop for Options<'_> {
    fn drop(&mut self) {
        // SAFETY: the options are live and owned.
        unsafe { (self.library.api.TF_DeleteSessionOptions)(self.raw) };
    }
}

impl Session {
    /// A session of a graph.
    pub(crate) fn new(
        library: &'static Library,
        graph: Graph,
        config: &ConfigProto,
    ) -> Result<Session, Fault> {
        let (options, status) = (Options::new(library, config)?, Status::new(library));
        // SAFETY: all are live; the session is owned, and is dropped before the graph.
        let raw = unsafe { (library.api.TF_NewSession)(graph.as_ptr(), options.raw, status.as_ptr()) };
        status.outcome()?;
        Ok(Session { library, raw: made(raw)?, graph })
    }

    /// A session of the graph with these tags in the folder of a `SavedModel`, with its variables restored.
    pub(crate) fn of_saved_model(
        library: &'static Library,
        folder: &Path,
        tags: &[&str],
        config: &ConfigProto,
    ) -> Result<(Session, MetaGraph), Fault> {
        let graph = Graph::new(library);
        let (options, status) = (Options::new(library, config)?, Status::new(library));
        let folder = CString::new(folder.as_os_str().as_encoded_bytes());
        let folder = folder.map_err(|_| null_byte("the path of the folder"))?;
        let tags = tags.iter().map(|tag| CString::new(*tag)).collect::<Result<Vec<_>, _>>();
        let tags = tags.map_err(|_| null_byte("a tag"))?;
        let tags: Vec<*const c_char> = tags.iter().map(|tag| tag.as_ptr()).collect();
        // SAFETY: all are live during the call; the buffer is released here, and not read after that.
        let (raw, content) = unsafe {
            let buffer = (library.api.TF_NewBuffer)();
            let raw = (library.api.TF_LoadSessionFromSavedModel)(
                options.raw,
                null(),
                folder.as_ptr(),
                tags.as_ptr(),
                tags.len() as i32,
                graph.as_ptr(),
                buffer,
                status.as_ptr(),
            );
            let content = match ((*buffer).data.is_null(), (*buffer).length) {
                (false, length) => {
                    MetaGraph::decode(std::slice::from_raw_parts((*buffer).data.cast::<u8>(), length))
                }
                _ => Ok(MetaGraph::default()),
            };
            (library.api.TF_DeleteBuffer)(buffer);
            (raw, content)
        };
        status.outcome()?;
        let session = Session { library, raw: made(raw)?, graph };
        let content = content.map_err(|error| {
            Fault::new(code::INVALID_ARGUMENT, &format!("its signatures cannot be read: {error}"))
        })?;
        Ok((session, content))
    }

    /// Runs the graph. `targets` are nodes that run without a result. Returns as many tensors as `outputs` names.
    ///
    /// All tensors and nodes are of this session's graph.
    pub(crate) fn run(
        &self,
        options: &RunSettings,
        inputs: &[(Output, Tensor<'_>)],
        outputs: &[Output],
        targets: &[*mut Operation],
    ) -> Result<SmallVec<[Tensor<'static>; 4]>, Fault> {
        let places: SmallVec<[Output; 4]> = inputs.iter().map(|(place, _)| *place).collect();
        let given: SmallVec<[*mut api::Tensor; 4]> =
            inputs.iter().map(|(_, tensor)| tensor.as_ptr()).collect();
        let mut results: SmallVec<[*mut api::Tensor; 4]> = SmallVec::from_elem(null_mut(), outputs.len());
        let options = borrowed(&options.0);
        let status = Status::new(self.library);
        // As on the library's own threads: otherwise the last bits of results would depend on the thread, and such numbers take a
        // hundred times as long.
        let flushing = FloatMode::flushing();
        // SAFETY: the session is live; every array has the given length and outlives the call; so do the tensors in
        // `inputs`. The results are owned.
        unsafe {
            (self.library.api.TF_SessionRun)(
                self.raw.as_ptr(),
                &raw const options,
                places.as_ptr(),
                given.as_ptr(),
                given.len() as i32,
                outputs.as_ptr(),
                results.as_mut_ptr(),
                results.len() as i32,
                targets.as_ptr().cast(),
                targets.len() as i32,
                null_mut(),
                status.as_ptr(),
            );
        }
        drop(flushing);
        status.outcome()?;
        // SAFETY: after success each is a tensor that nobody else releases.
        results.into_iter().map(|raw| unsafe { Tensor::from_raw(self.library, raw) }).collect()
    }

    pub(crate) fn library(&self) -> &'static Library {
        self.library
    }
}

fn made(raw: *mut api::Session) -> Result<NonNull<api::Session>, Fault> {
    NonNull::new(raw).ok_or_else(|| Fault::new(code::UNAVAILABLE, "the library made no session"))
}

impl Drop for Session {
    fn drop(&mut self) {
        let status = Status::new(self.library);
        // SAFETY: the session is live and owned; nothing runs it any more. What an orderly end fails for changes nothing.
        unsafe {
            (self.library.api.TF_CloseSession)(self.raw.as_ptr(), status.as_ptr());
            (self.library.api.TF_DeleteSession)(self.raw.as_ptr(), status.as_ptr());
        }
    }
}

/// How runs are executed.
#[derive(Debug)]
pub(crate) struct RunSettings(Vec<u8>);

impl RunSettings {
    /// On the calling thread, with other threads within an operation; or by the session's threads, where operations that do
    /// not depend on each other run at the same time.
    pub(crate) fn new(on_calling_thread: bool) -> RunSettings {
        let inter_op_thread_pool = if on_calling_thread { -1 } else { 0 };
        RunSettings(RunOptions { inter_op_thread_pool }.encode_to_vec())
    }
}
