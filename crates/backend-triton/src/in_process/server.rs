//! What a backend asks of the server in whose process it is: readiness, inference, loads and unloads.

#![allow(unsafe_code, reason = "reads files that a backend lends for a load")]

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hippocamp_backend::{
    Error, InProcessEvent, InProcessOverrides, InProcessServer, InProcessSink, Result, ServerHandle,
    observe_both,
};
use hippocamp_in_process::{Cancel, Mailbox};
use tracing::warn;

use super::answer::{Item, mailbox};
use super::calls::{Calls, RunningCall};
use super::gpus::Gpus;
use super::lending::Lending;
use super::request::InferenceRequestObject;
use super::waits::{Caller, Wait};
use crate::border::{Flag, Kind, Object, Out, Ref, Registry, Returned, Text, call, misuse};
use crate::objects::parameter::{self, ParameterContent, ParameterObject};
use crate::objects::{TraceObject, trace};

/// The server as a model sees it.
#[derive(Debug)]
pub(crate) struct ServerObject {
    handle: ServerHandle,
    /// Calls whose callbacks have not all returned.
    calls: Arc<Calls>,
    /// Calls that have memory of the backend.
    lending: Arc<Calls>,
    /// The model.
    pub(crate) caller: Caller,
    gpus: Arc<Gpus>,
}

impl Object for ServerObject {
    const KIND: Kind = Kind::Server;

    fn registry() -> &'static Registry<Self> {
        static SERVERS: Registry<ServerObject> = Registry::new(Kind::Server);
        &SERVERS
    }
}

impl ServerObject {
    pub(crate) fn new(handle: ServerHandle, caller: Caller, gpus: Gpus) -> ServerObject {
        ServerObject { handle, calls: Arc::default(), lending: Arc::default(), caller, gpus: Arc::new(gpus) }
    }

    pub(super) fn gpus(&self) -> &Arc<Gpus> {
        &self.gpus
    }

    pub(super) fn server(&self) -> Result<Arc<dyn InProcessServer>> {
        self.handle.get()
    }

    /// Waits until the calls that the model has made so far have ended. Nobody needs them if `nobody_waits`: then they are cancelled.
    /// A callback that does not return, as its reader is gone, is not waited for beyond `limit`; memory that is lent is, however long
    /// that takes: whoever reads it would read what is not there any more.
    pub(crate) fn end_calls(&self, instance: &str, limit: Duration, nobody_waits: bool) {
        if !self.calls.wait(limit, nobody_waits) {
            warn!(
                instance,
                "callbacks of calls to other models did not end within {limit:?} and are not waited for"
            );
        }
        while !self.lending.wait(limit, false) {
            warn!(
                instance,
                "waits for a called model, which still reads inputs that are in the instance's memory"
            );
        }
    }
}

/// The version of a model; -1 leaves the choice to the server.
pub(super) fn version_of(version: i64) -> Result<Option<u64>> {
    match version {
        -1 => Ok(None),
        version => u64::try_from(version)
            .map(Some)
            .map_err(|_| misuse(format!("'model_version' is {version}, expected -1 or a version's number"))),
    }
}

type Server = Ref<ServerObject>;

pub(crate) extern "C" fn model_is_ready(
    server: Server,
    model: Text,
    version: i64,
    is_ready: Out<bool>,
) -> Returned {
    call("TRITONSERVER_ServerModelIsReady", || {
        is_ready.check("ready")?;
        let server = server.get()?.server()?;
        is_ready.set("ready", server.is_model_ready(model.read("model_name")?, version_of(version)?)?)
    })
}

pub(crate) extern "C" fn model_transaction_properties(
    server: Server,
    model: Text,
    version: i64,
    flags: Out<u32>,
    further: Out<*mut c_void>,
) -> Returned {
    call("TRITONSERVER_ServerModelTransactionProperties", || {
        flags.check("txn_flags")?;
        let server = server.get()?.server()?;
        let model = server.model(model.read("model_name")?, version_of(version)?)?;
        further.set_if_wanted(std::ptr::null_mut());
        flags.set("txn_flags", if model.interface.decoupled { Flag::DECOUPLED } else { Flag::ONE_TO_ONE })
    })
}

pub(crate) extern "C" fn model_batch_properties(
    server: Server,
    model: Text,
    version: i64,
    flags: Out<u32>,
    further: Out<*mut c_void>,
) -> Returned {
    call("TRITONSERVER_ServerModelBatchProperties", || {
        flags.check("flags")?;
        let server = server.get()?;
        let (model, version) = (model.read("model_name")?, version_of(version)?);
        let batches = match server.caller.batches(model, version) {
            Some(batches) => batches,
            None => server.server()?.model(model, version)?.config.max_batch_size > 0,
        };
        further.set_if_wanted(std::ptr::null_mut());
        flags.set("flags", if batches { Flag::BATCH_FIRST_DIM } else { Flag::BATCH_UNKNOWN })
    })
}

/// A backend that asks is served.
pub(crate) extern "C" fn is_live(server: Server, is_live: Out<bool>) -> Returned {
    call("TRITONSERVER_ServerIsLive", || is_live.set("live", server.get()?.server().is_ok()))
}

/// Queues a request. Only if that succeeds, the backend is called back, and trace and request belong to the server meanwhile.
pub(crate) extern "C" fn infer_async(
    server: Server,
    request: Ref<InferenceRequestObject>,
    trace: Ref<TraceObject>,
) -> Returned {
    call("TRITONSERVER_ServerInferAsync", || {
        let server = server.get()?;
        let in_process = server.server()?;
        let object = request.get()?;
        let observer = trace::observer(trace)?;
        let cancel = Cancel::default();
        object.execute(cancel.clone(), |content| {
            let release = content.release.ok_or_else(|| misuse("the request has no release callback"))?;
            let response = content.response.ok_or_else(|| misuse("the request has no response callback"))?;
            let running = Calls::begin(&server.calls);
            let answer = mailbox(request, response, release, &running, &server.gpus);
            let lending = Lending::new(answer.clone(), Calls::begin(&server.lending));
            // What can fail comes before others may answer it.
            let mut request = content.request(&lending)?;
            let wait = server.caller.call(&*in_process, &content.called, &answer, &cancel);
            let way = wait.as_ref().map(|wait| Arc::clone(wait.way()));
            request.observer = observe_both(observer, wait.as_ref().and_then(Wait::observer));
            let sink = Sink { answer, cancel, running, wait };
            if let Err(error) = in_process.infer(request, Box::new(sink))
                && way.as_ref().is_none_or(|way| way.closes())
            {
                return Err(error);
            }
            lending.arm();
            // By now it may be answered: by an error, or by the response cache.
            if let Some(way) = way {
                way.check();
            }
            Ok(())
        })?;
        trace::take(trace);
        Ok(())
    })
}

/// Puts what comes back into the mailbox.
#[derive(Debug)]
struct Sink {
    answer: Mailbox<Item>,
    cancel: Cancel,
    running: Arc<RunningCall>,
    /// If whoever has made the call waits for it.
    wait: Option<Wait>,
}

impl InProcessSink for Sink {
    fn deliver(&mut self, event: InProcessEvent) {
        match &self.wait {
            Some(wait) => wait.way().deliver(event),
            None => self.answer.put(Item::Event(event)),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.running.is_cancelled()
    }
}

/// Loads or reloads a model, and returns when it serves.
pub(crate) extern "C" fn load_model_with_parameters(
    server: Server,
    model: Text,
    parameters: *const Ref<ParameterObject>,
    count: u64,
) -> Returned {
    call("TRITONSERVER_ServerLoadModelWithParameters", || {
        let server = server.get()?.server()?;
        let model = model.read("model_name")?;
        let mut overrides = InProcessOverrides::default();
        for parameter in parameter::all(parameters, count, "parameters")? {
            let name = parameter.name.as_str();
            // SAFETY: the caller has the parameter by a handle, and lends its bytes for as long as that is good.
            let bytes = unsafe { parameter.content.lent_bytes() };
            match (name, &parameter.content, name.strip_prefix("file:"), bytes) {
                ("config", ParameterContent::String(config), ..) => overrides.config = Some(config.clone()),
                (_, _, Some(path), Some(bytes)) => {
                    overrides.files.push((path.to_owned(), Bytes::copy_from_slice(bytes)));
                }
                ("config", ..) | (_, _, Some(_), _) => {
                    return Err(Error::invalid_arg(format!(
                        "load parameter '{name}' for model '{model}' has the wrong type, expected a string for 'config' and \
                         bytes for 'file:PATH'"
                    )));
                }
                _ => {
                    return Err(Error::invalid_arg(format!(
                        "unrecognized load parameter '{name}' for model '{model}', expected 'config' or 'file:PATH'"
                    )));
                }
            }
        }
        server.load(model, overrides)
    })
}

fn unload(server: Server, model: Text, dependents: bool) -> Result<()> {
    let server = server.get()?.server()?;
    server.unload(model.read("model_name")?, dependents)
}

pub(crate) extern "C" fn unload_model(server: Server, model: Text) -> Returned {
    call("TRITONSERVER_ServerUnloadModel", || unload(server, model, false))
}

pub(crate) extern "C" fn unload_model_and_dependents(server: Server, model: Text) -> Returned {
    call("TRITONSERVER_ServerUnloadModelAndDependents", || unload(server, model, true))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;

    use super::*;

    #[test]
    fn an_instance_waits_for_whoever_reads_its_memory_and_not_for_a_callback_that_hangs() {
        let server = Arc::new(ServerObject::new(ServerHandle::none(), Caller::new("m", 1), Gpus::default()));
        let _hangs = Calls::begin(&server.calls);
        // Two parts of a request, of which a called model may keep one for longer.
        let lending = Lending::new(Mailbox::new(|_: Item| {}), Calls::begin(&server.lending));
        let parts = [Arc::clone(&lending), lending];
        let (ended, end) = channel();
        let of_instance = Arc::clone(&server);
        let instance = thread::spawn(move || {
            of_instance.end_calls("m_0_0", Duration::from_millis(1), true);
            ended.send(()).unwrap();
        });
        for part in parts {
            assert_eq!(end.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
            drop(part);
        }
        end.recv_timeout(Duration::from_mins(1)).unwrap();
        instance.join().unwrap();
    }
}
