//! The server as its backends see it: what they ask for goes the way of clients' requests.

mod outbound;

use std::pin::pin;
use std::sync::{Arc, Weak, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hippocamp_backend::{
    AboutServer, Backend, Error, InProcessEvent, InProcessOverrides, InProcessRequest, InProcessServer,
    InProcessSink, IndexedModel, Result, Sequence, ServedModel, ServerHandle,
};
use hippocamp_serving::{Accepted, IncomingRequest, InferInput, InferRequest, Origin, OutputPlan, Responses};
use hippocamp_shm::SharedMemory;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::{
    IndexEntry, InferenceServer, LoadOverrides, LoadedModel, ServerMetadata, Settings, State, VersionState,
};
use outbound::Outbound;

/// Calls a server for its backends, and does not keep it alive.
#[derive(Debug)]
struct InProcess {
    server: Weak<InferenceServer>,
    /// The runtime of what a backend waits for; `None` if there was none when the server was made.
    runtime: Option<Handle>,
}

impl InferenceServer {
    /// Makes a server without models; [`InferenceServer::load_repositories`] loads them. Its backends are given its handle. What they
    /// wait for runs on the runtime of background work that the settings name, or on that in which this is called.
    pub fn new(settings: Settings, backends: Vec<Arc<dyn Backend>>) -> Arc<InferenceServer> {
        let runtime = settings.background.clone().or_else(|| Handle::try_current().ok());
        let server = Arc::new(InferenceServer::unconnected(settings, backends.clone()));
        let in_process = InProcess { server: Arc::downgrade(&server), runtime };
        // It is the first.
        let _ = server.in_process.set(Arc::new(in_process));
        for backend in backends {
            backend.connect(server.handle());
        }
        server
    }

    /// The handle of this server for backends, which does not keep it alive.
    pub fn handle(&self) -> ServerHandle {
        self.in_process.get().map_or(ServerHandle::none(), |server| ServerHandle::new(Arc::downgrade(server)))
    }
}

impl InProcess {
    fn server(&self) -> Result<Arc<InferenceServer>> {
        self.server.upgrade().ok_or_else(|| Error::unavailable("the server has ended"))
    }

    fn runtime(&self) -> Result<&Handle> {
        self.runtime.as_ref().ok_or_else(|| Error::unavailable("the server was made without a runtime"))
    }

    /// Runs a future on the server's runtime, while the calling thread waits.
    fn wait<T: Send + 'static>(&self, future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        if Handle::try_current().is_ok() {
            return Err(Error::internal(
                "a backend cannot wait for the server on a thread that serves connections: its instances have to be bound \
                 to threads of their own",
            ));
        }
        let (done, outcome) = mpsc::sync_channel(1);
        self.runtime()?.spawn(async move { drop(done.send(future.await)) });
        outcome.recv().unwrap_or_else(|_| Err(Error::unavailable("the server ended meanwhile")))
    }
}

/// Whether a request would load the model first.
fn is_lazy(server: &InferenceServer, name: &str) -> bool {
    server.lazy.as_ref().is_some_and(|lazy| lazy.is_unloaded(name))
}

impl InProcessServer for InProcess {
    fn model(&self, name: &str, version: Option<u64>) -> Result<ServedModel> {
        let server = self.server()?;
        let model = match server.model(name, version) {
            Err(_) if is_lazy(&server, name) => {
                let (server, name) = (Arc::clone(&server), name.to_owned());
                self.wait(async move { server.model_or_load(&name, version).await })?
            }
            found => found?,
        };
        let mut versions: Vec<u64> = server.ready_versions(name).iter().map(|model| model.version).collect();
        if versions.is_empty() {
            // It was unloaded since it was found.
            versions.push(model.version);
        }
        let (config, interface) = (Arc::clone(&model.config), Arc::clone(&model.interface));
        Ok(ServedModel { name: Arc::clone(&model.name), version: model.version, versions, config, interface })
    }

    fn is_model_ready(&self, name: &str, version: Option<u64>) -> Result<bool> {
        let server = self.server()?;
        if server.is_stopping() {
            return Err(Error::unavailable("Server not ready"));
        }
        match server.model(name, version) {
            Ok(model) => {
                Ok(server.can_execute(&model) && model.ready_check.as_ref().is_none_or(|check| check.ask()))
            }
            Err(_) if is_lazy(&server, name) => {
                let name = name.to_owned();
                self.wait(async move { Ok(server.is_model_ready(&name, version).await) })
            }
            Err(_) => Ok(false),
        }
    }

    fn infer(&self, request: InProcessRequest, sink: Box<dyn InProcessSink>) -> Result<()> {
        let arrived = Instant::now();
        let server = self.server()?;
        // A load needs the runtime, also to begin.
        let _entered = if server.lazy.is_some() { Some(self.runtime()?.enter()) } else { None };
        let accepted = {
            let accepting = pin!(server.accept(&request.model, request.version, Responses::Any));
            accepting.poll(&mut Context::from_waker(Waker::noop()))
        };
        if let Poll::Ready(accepted) = accepted {
            return submit(&server, accepted?, request, arrived, sink, None);
        }
        let sink = UnusedSink::default().holding(sink);
        self.runtime()?.spawn(async move {
            let outcome = match server.accept(&request.model, request.version, Responses::Any).await {
                Ok(accepted) => match sink.take() {
                    Some(taken) => submit(&server, accepted, request, arrived, taken, Some(sink.clone())),
                    None => Ok(()),
                },
                Err(error) => Err(error),
            };
            if let (Err(error), Some(mut sink)) = (outcome, sink.take()) {
                sink.deliver(InProcessEvent::Failed { error, last: true });
            }
        });
        Ok(())
    }

    fn load(&self, name: &str, overrides: InProcessOverrides) -> Result<()> {
        let (server, name) = (self.server()?, name.to_owned());
        let InProcessOverrides { config, files } = overrides;
        self.wait(async move { server.load(&name, LoadOverrides { config, files, trusted: true }).await })
    }

    fn unload(&self, name: &str, dependents: bool) -> Result<()> {
        let (server, name) = (self.server()?, name.to_owned());
        self.wait(async move { server.begin_unload(&name, dependents).await })
    }

    fn index(&self, ready_only: bool) -> Result<Vec<IndexedModel>> {
        Ok(self.server()?.index(ready_only).into_iter().map(indexed).collect())
    }

    fn about(&self) -> Result<AboutServer> {
        let ServerMetadata { name, version, extensions } = self.server()?.metadata();
        Ok(AboutServer { name, version, extensions })
    }
}

fn indexed(IndexEntry { name, version, unavailable }: IndexEntry) -> IndexedModel {
    if let Some((version, VersionState { state, reason })) = version {
        return IndexedModel { name, version: Some(version), state: state.name(), reason };
    }
    let state = if unavailable.is_some() { State::Unavailable.name() } else { "" };
    IndexedModel { name, version: None, state, reason: unavailable.unwrap_or_default().to_owned() }
}

/// Submits a request whose model was found. On an error the sink is dropped, or given back to `unused`.
fn submit(
    server: &Arc<InferenceServer>,
    accepted: Accepted,
    mut request: InProcessRequest,
    arrived: Instant,
    sink: Box<dyn InProcessSink>,
    unused: Option<UnusedSink>,
) -> Result<()> {
    let origin = Origin { deadline: request.deadline, observer: request.observer.take() };
    let mut incoming = Incoming { request, arrived };
    accepted.of(origin).submit_into(&**server, &mut incoming, |model, counted| {
        Box::new(Outbound::new(model, counted, sink, unused))
    })
}

/// Where a sink is put that got no event, because its request was refused after its caller had been told that it was queued.
#[derive(Clone, Debug, Default)]
struct UnusedSink(Arc<Unused>);

#[derive(Debug, Default)]
struct Unused(Mutex<Option<Box<dyn InProcessSink>>>);

impl Drop for Unused {
    /// The task that was to wait for the load is gone: the runtime has ended, or it has panicked.
    fn drop(&mut self) {
        if let Some(mut sink) = self.0.get_mut().take() {
            let error = Error::unavailable("the server ended meanwhile");
            sink.deliver(InProcessEvent::Failed { error, last: true });
        }
    }
}

impl UnusedSink {
    fn holding(self, sink: Box<dyn InProcessSink>) -> UnusedSink {
        self.put(sink);
        self
    }

    fn put(&self, sink: Box<dyn InProcessSink>) {
        *self.0.0.lock() = Some(sink);
    }

    fn take(&self) -> Option<Box<dyn InProcessSink>> {
        self.0.0.lock().take()
    }
}

/// A backend's request, as the one call reads it.
struct Incoming {
    request: InProcessRequest,
    arrived: Instant,
}

impl IncomingRequest for Incoming {
    fn sequence(&self) -> Option<&Sequence> {
        self.request.sequence.as_ref()
    }

    fn decode<'a>(
        &'a mut self,
        _: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let request = &mut self.request;
        let inputs = request.inputs.iter_mut().map(|input| InferInput {
            name: &input.name,
            data_type: Some(input.data_type),
            shape: std::mem::take(&mut input.shape),
            data: std::mem::take(&mut input.data),
        });
        Ok(InferRequest {
            id: &request.id,
            outputs: request.outputs.iter().map(|name| &**name).collect(),
            output_place: request.output_place,
            parameters: std::mem::take(&mut request.parameters),
            priority: request.priority,
            timeout: request.timeout,
            sequence: request.sequence.clone(),
            ..InferRequest::arrived_at(self.arrived, inputs.collect())
        })
    }
}
