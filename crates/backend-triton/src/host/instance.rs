//! An instance: it gives batches to the backend, and takes back what the backend does not take.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hippocamp_backend::{
    Batch, Device, Error, FailureReason, InstanceSpec, LossCalls, ModelInstance, Request, Result,
};
use hippocamp_model_config::{ModelConfig, sequence_batching};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tracing::{debug, error, warn};

use hippocamp_python_stubs::{AwaitedEnd, SharedCore, Stub};

use super::left_alone;
use super::loaded::LoadedBackend;
use super::model::Version;
use super::pace::Pace;
use super::python;
use super::threads::InstanceThreads;
use super::told::{Parts, Told};
use super::watchdog::{self, Abandoned, Awaited};
use crate::border::{InstanceKind, Owned, Ref, own, text};
use crate::in_process::{StartedRequests, WaitingInstance};
use crate::library::{call_if_there, execute};
use crate::life::{InstanceObject, Policy, State, TensorNames};
use crate::objects::MessageObject;
use crate::request::{Input, RequestObject, Rescheduled};
use crate::response::{Execution, Executions, Gathered, Outstanding, left_behind};

/// How long an instance that ends waits for callbacks of calls of its model to other models.
const CALLS_END: Duration = Duration::from_secs(10);

/// How long after the end of its process the backend may take to answer what that had.
const ABANDONED: Duration = Duration::from_secs(5);

/// How long after the end of its process an execution that has not returned is given up.
const STUCK: Duration = Duration::from_secs(10);

/// An instance. Dropped, it waits until the backend has given back all requests, and is finalized.
#[derive(Debug)]
pub(super) struct TritonInstance {
    known: Arc<KnownInstance>,
    /// Where a batch is executed alone on the device.
    device: Option<Arc<Mutex<()>>>,
    /// Tell of the end of the process, and of an execution that goes on long after it.
    watched: Option<[AwaitedEnd; 2]>,
    /// Where the process runs. Not that of a model which may answer later, as the thread that executes does not wait for it.
    shared_core: Option<SharedCore>,
    /// Its answers, which several are sent of together while others wait. Only while the process shares a core: without that it was
    /// not shown to save anything.
    gathered: Option<Arc<Gathered>>,
    pace: Pace,
    /// A call of the scheduler runs, or a panic has left it: then another instance takes the place of this one.
    in_call: bool,
}

/// An instance that the backend was told of: whoever has it keeps it from being finalized.
pub(super) type KnownInstance = Told<InstanceParts>;

/// What of an instance stays until it is finalized.
#[derive(Debug)]
pub(super) struct InstanceParts {
    pub(super) object: Owned<InstanceObject>,
    names: Arc<TensorNames>,
    version: Arc<Version>,
    /// The process of an instance of a Python model, once it is started.
    stub: OnceLock<Arc<Stub>>,
    /// Those which the backend has started for it, if they can be told from others.
    threads: OnceLock<Arc<InstanceThreads>>,
    /// Has what the process had be answered, whatever the instance's thread does.
    abandoning: OnceLock<AwaitedEnd>,
    /// Whether an execution was given up.
    pub(super) is_stuck: AtomicBool,
    /// If its executions wait for what it calls.
    waiting: Option<WaitingInstance>,
}

impl TritonInstance {
    pub(super) fn new(version: &Arc<Version>, spec: &InstanceSpec) -> Result<TritonInstance> {
        let is_python = version.backend.python.is_some();
        let python = version.backend.python.as_ref();
        let shares_cores = python.map(|python| python::shares_cores(python, &spec.config, &version.settings));
        let shares_cores = shares_cores.transpose()?.flatten();
        let is_decoupled = spec.config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
        version.object.server.caller.set_batches(spec.config.max_batch_size > 0);
        let group = Group::of(spec);
        let host_policy = version.settings.host_policy(&group.host_policy);
        let object = own(InstanceObject {
            name: text(&spec.name),
            kind: group.kind,
            device: spec.device,
            model: version.object.as_ref(),
            host_policy: own(MessageObject::new(host_policy.as_bytes()))?,
            profiles: group.profiles.iter().map(|profile| text(profile)).collect(),
            secondary_devices: group.secondary_devices.iter().map(|(kind, id)| (text(kind), *id)).collect(),
            state: State::default(),
            outstanding: Arc::new(Outstanding::default()),
            executions: Executions::default(),
        })?;
        let parts = InstanceParts {
            object,
            names: Arc::new(TensorNames::new(&spec.interface, &spec.config)),
            version: Arc::clone(version),
            stub: OnceLock::new(),
            threads: OnceLock::new(),
            abandoning: OnceLock::new(),
            is_stuck: AtomicBool::new(false),
            waiting: (is_python && !is_decoupled).then(|| version.object.server.caller.instance()),
        };
        let _one_at_a_time = (!may_load_in_parallel(version)).then(|| version.initializing.lock());
        let known = Arc::new(initialized(parts, &spec.name)?);
        version.instances.fetch_add(1, Ordering::AcqRel);
        if let Some(waiting) = &known.waiting {
            waiting.is_ready();
        }
        if version.backend.entry_points.instance_ready.is_some() {
            let mut ready = version.ready.lock();
            ready.retain(|other| other.upgrade().is_some());
            ready.push(Arc::downgrade(&known));
        }
        let stub = known.stub.get().filter(|_| !is_decoupled);
        let shared_core = stub.zip(shares_cores).map(|(stub, how)| SharedCore::new(Arc::clone(stub), how));
        let device = device_lock(version, spec.device, &spec.config);
        let gathered = shared_core.as_ref().map(|_| Arc::default());
        Ok(TritonInstance {
            known,
            device,
            watched: None,
            shared_core,
            gathered,
            pace: Pace::default(),
            in_call: false,
        })
    }

    /// Answers the requests whose clients are gone.
    fn drop_cancelled(batch: &mut Batch) {
        if batch.iter().any(Request::is_cancelled) {
            let (gone, there): (Vec<Request>, Vec<Request>) =
                batch.drain(..).partition(Request::is_cancelled);
            batch.extend(there);
            for request in gone {
                request.fail(Error::cancelled("Request cancelled"), FailureReason::Canceled);
            }
        }
    }

    /// Gives requests to the backend. If it does not take them, they are answered with its error.
    fn give(
        &mut self,
        requests: &[Ref<RequestObject>],
        execution: &Arc<Execution>,
        called: &StartedRequests,
        waited: Duration,
    ) {
        let _alone = self.device.as_ref().map(|device| device.lock());
        let call = || execute(&self.known.backend().entry_points, self.known.object.as_ref(), requests);
        let threads = self.known.threads.get();
        let call = || threads.map_or_else(call, |threads| threads.execute(call));
        let executing = self.known.waiting.as_ref().map(|waiting| waiting.execution(called));
        let executed = match &mut self.shared_core {
            Some(shared) => shared.execute(waited, call),
            None => call(),
        };
        drop(executing);
        let is_stuck = &self.known.is_stuck;
        if is_stuck.load(Ordering::Acquire) && is_stuck.swap(false, Ordering::AcqRel) {
            left_alone::returned("execute", &self.known.name());
        }
        let Err(error) = executed else { return };
        self.known.object.executions.forget(execution);
        for request in requests {
            if let Ok(request) = request.remove() {
                request.channel.refuse(error.clone());
                request.released(None);
            } else {
                warn!(
                    model = self.known.names.model(),
                    "the backend released a request and then returned an error for it: {}",
                    error.message()
                );
            }
        }
    }
}

impl TritonInstance {
    /// Does what the scheduler asks for. What a panic leaves does not reach the end.
    fn call(&mut self, call: impl FnOnce(&mut Self)) {
        self.in_call = true;
        call(self);
        self.in_call = false;
    }

    fn execute_batch(&mut self, batch: &mut Batch) {
        let (started, waited) = (batch.started(), waited(batch));
        let called = StartedRequests::of_this_thread();
        TritonInstance::drop_cancelled(batch);
        let Some(execution) = Execution::of(batch) else { return };
        let execution = Arc::new(execution.gathering(self.gathered.as_ref()));
        self.known.object.executions.begin(&execution);
        let again = self.known.names.is_iterative.then(|| Arc::new(Rescheduled::default()));
        let mut given: SmallVec<[Ref<RequestObject>; 8]> = SmallVec::new();
        for request in batch.drain(..) {
            let inputs = match Input::all(&request.inputs, &self.known.names) {
                Ok(inputs) => inputs,
                Err(error) => {
                    request.fail(error, FailureReason::Backend);
                    continue;
                }
            };
            let outstanding = &self.known.object.outstanding;
            let names = &self.known.names;
            let object =
                RequestObject::new(request, inputs, names, started, &execution, outstanding, again.as_ref());
            match Ref::new(object) {
                Ok(handle) => {
                    if let Some(again) = &again {
                        again.begin();
                    }
                    given.push(handle);
                }
                // It was dropped, which answers it.
                Err(error) => error!(model = self.known.names.model(), "{}", error.message()),
            }
        }
        if !given.is_empty() {
            self.give(&given, &execution, &called, waited);
        }
        if let Some(again) = again {
            let again: Vec<Request> = again.wait(|| self.lost().is_some());
            batch.extend(again);
        }
    }

    fn begin_batch(&mut self, batch: &mut Batch) {
        let Some(gathered) = self.gathered.clone() else { return self.execute_batch(batch) };
        let (began, waited) = (batch.started(), waited(batch));
        let is_shared = self.shared_core.as_ref().is_some_and(SharedCore::is_shared);
        let together = if is_shared { self.pace.together() } else { 1 };
        if together > 1 {
            gathered.open();
        } else {
            // Nothing more is kept, nor what was kept before while this executes.
            gathered.send();
        }
        self.execute_batch(batch);
        self.pace.note(began.elapsed(), waited);
        if gathered.len() >= together {
            gathered.send();
        }
    }

    fn send_gathered(&mut self) {
        if let Some(gathered) = &self.gathered {
            gathered.send();
        }
    }
}

impl ModelInstance for TritonInstance {
    fn execute(&mut self, batch: &mut Batch) {
        self.call(|instance| instance.execute_batch(batch));
    }

    fn begin(&mut self, batch: &mut Batch) {
        self.call(|instance| instance.begin_batch(batch));
    }

    fn has_begun(&self) -> bool {
        self.gathered.as_ref().is_some_and(|gathered| gathered.len() > 0)
    }

    fn finish(&mut self) {
        self.call(TritonInstance::send_gathered);
    }

    fn lost(&self) -> Option<Error> {
        let stub = self.known.stub.get()?;
        (!stub.is_alive()).then(|| python::ended(&self.known.name()))
    }

    fn when_lost(&mut self, calls: LossCalls) {
        // Those before are let go of first, as one may be running.
        self.watched = None;
        let Some(stub) = self.known.stub.get() else { return };
        let LossCalls { lost, stuck } = calls;
        let known = Arc::downgrade(&self.known);
        let given_up = stub.when_ended(STUCK, move || {
            if let Some(known) = known.upgrade() {
                known.give_up(|error| stuck(error));
            }
        });
        self.watched = Some([stub.when_ended(Duration::ZERO, move || lost()), given_up]);
    }
}

impl Drop for TritonInstance {
    fn drop(&mut self) {
        // What they call has this instance meanwhile, and must not be the last.
        self.watched = None;
        self.send_gathered();
        // The next process of the thread starts with all cores.
        self.shared_core = None;
        let (name, version) = (self.known.name(), &self.known.version);
        if let Some(waiting) = &self.known.waiting {
            waiting.end(self.in_call || self.lost().is_some());
        }
        self.known.object.outstanding.wait(&name, || self.lost());
        let is_last = version.instances.fetch_sub(1, Ordering::AcqRel) == 1;
        version.object.server.end_calls(&name, CALLS_END, is_last);
    }
}

/// How long the first request of a batch has waited.
fn waited(batch: &Batch) -> Duration {
    batch.first().map_or(Duration::ZERO, |first| batch.started().saturating_duration_since(first.queued))
}

/// Has the backend initialize an instance. What fails is finalized, too.
fn initialized(parts: InstanceParts, name: &str) -> Result<Told<InstanceParts>> {
    let initialize = |known: &Told<InstanceParts>| {
        if let Some(waiting) = &known.waiting {
            waiting.name_thread(&known.name());
        }
        if let Some(python) = &known.backend().python {
            let threads = InstanceThreads::of_this_thread(python, &known.name(), known.waiting.is_some());
            threads.and_then(|threads| known.threads.set(threads).ok());
        }
        call_if_there(known.backend().entry_points.instance_initialize, known.object.as_ref())?;
        // It may have ended by now, which is noticed as any other end.
        if let Some(stub) = known.backend().python.as_ref().and_then(|python| python.stub_of_this_thread()) {
            known.watch(stub);
        }
        Ok(())
    };
    let Some(python) = parts.backend().python.clone() else {
        let known = Told::new(parts);
        return initialize(&known).map(|()| known);
    };
    let awaited = python.awaited()?;
    let model = &parts.version.object;
    let folder = Path::new(&*model.folder.to_string_lossy()).join(model.version.to_string());
    let called = watchdog::call(("initialize", name), &awaited, Told::new(parts), initialize);
    let (known, result) = called.map_err(|abandoned| {
        python.swept_up(&abandoned);
        python::did_not_start(name, &abandoned)
    })?;
    result.inspect_err(|error| python.explain(error, &known.version.object))?;
    if known.stub.get().is_none()
        && let Some(stub) = python.stub_of(name, &folder)
    {
        known.watch(stub);
    }
    Ok(known)
}

impl InstanceParts {
    /// Sets the process.
    fn watch(&self, stub: Stub) {
        debug!(instance = self.name(), pid = stub.pid(), "the stub of the instance is watched");
        let (outstanding, error) = (Arc::clone(&self.object.outstanding), python::ended(&self.name()));
        let abandoning = stub.when_ended(ABANDONED, move || outstanding.abandon(&error));
        // Both were empty.
        let _ = self.abandoning.set(abandoning);
        let stub = Arc::new(stub);
        if let Some(threads) = self.threads.get() {
            threads.belong_to(&stub);
        }
        let _ = self.stub.set(stub);
    }
}

impl InstanceParts {
    /// Its process has ended long ago: has an execution given up that still waits for it.
    fn give_up(&self, stuck: impl FnOnce(Error) -> bool) {
        // Set before: whoever returns just then looks at it.
        self.is_stuck.store(true, Ordering::Release);
        let left = left_alone::leave();
        // Before its successor is made.
        if let Some(waiting) = &self.waiting {
            waiting.end(true);
        }
        let name = self.name();
        if !stuck(python::ended(&name)) {
            if self.is_stuck.swap(false, Ordering::AcqRel) {
                left_alone::is_back();
                if let Some(waiting) = &self.waiting {
                    waiting.is_back();
                }
            }
            return;
        }
        error!(instance = name, left, "execute of the Python backend waits for a process that has ended");
        let region = self.stub.get().and_then(|stub| stub.region());
        if let Some((python, region)) = self.backend().python.as_ref().zip(region) {
            python.swept_up(&Abandoned::new(String::new(), Some(region.to_owned())));
        }
    }
}

impl Parts for InstanceParts {
    const WHAT: &'static str = "finalize instance";

    fn name(&self) -> String {
        self.object.name.to_string_lossy().into_owned()
    }

    fn backend(&self) -> &LoadedBackend {
        &self.version.backend
    }

    fn finalize(&self) -> Result<()> {
        call_if_there(self.backend().entry_points.instance_finalize, self.object.as_ref())
    }

    fn awaited(&self) -> Awaited {
        Awaited::Stub(self.stub.get().cloned())
    }
}

impl Drop for InstanceParts {
    fn drop(&mut self) {
        let left = left_behind(&self.names);
        if left > 0 {
            let (instance, model) = (self.name(), self.names.model());
            warn!(
                model,
                instance, left, "the backend finalized the instance and still had handles of its requests"
            );
        }
    }
}

/// Whether instances of the model may be initialized at the same time: as the backend says, unless the environment does.
fn may_load_in_parallel(version: &Version) -> bool {
    match std::env::var("TRITON_PARALLEL_INSTANCE_LOADING").as_deref() {
        Ok("0") => false,
        Ok("1") => true,
        _ => version.backend.attributes.parallel_instance_loading,
    }
}

/// The lock of a device, for a backend that wants one execution at a time there. Not with sequences, as in Triton.
fn device_lock(version: &Version, device: Device, config: &ModelConfig) -> Option<Arc<Mutex<()>>> {
    let Device::Gpu(id) = device else { return None };
    let wanted =
        version.backend.object.policy() == Policy::DeviceBlocking && sequence_batching(config).is_none();
    wanted.then(|| Arc::clone(version.devices.lock().entry(id).or_default()))
}

/// What the config says of the group of an instance.
#[derive(Debug)]
struct Group {
    kind: InstanceKind,
    /// The name.
    host_policy: String,
    profiles: Vec<String>,
    secondary_devices: Vec<(String, i64)>,
}

impl Group {
    fn of(spec: &InstanceSpec) -> Group {
        /// The numbers of the kinds in configs.
        const KIND_MODEL: i32 = 3;
        let suffix = format!("_{}", spec.index);
        let name = spec.name.strip_suffix(&suffix).unwrap_or(&spec.name);
        let group = spec.config.instance_group.iter().find(|group| group.name == name);
        let kind = match (spec.device, group) {
            (_, Some(group)) if group.kind == KIND_MODEL => InstanceKind::Model,
            (Device::Gpu(_), _) => InstanceKind::Gpu,
            (Device::Cpu, _) => InstanceKind::Cpu,
        };
        let usual = match (kind, spec.device) {
            (InstanceKind::Model, _) => "model".to_owned(),
            (_, Device::Gpu(id)) => format!("gpu_{id}"),
            (_, Device::Cpu) => "cpu".to_owned(),
        };
        let named = group.map(|group| group.host_policy.clone()).filter(|name| !name.is_empty());
        let secondary = group.into_iter().flat_map(|group| &group.secondary_devices);
        Group {
            kind,
            host_policy: named.unwrap_or(usual),
            profiles: group.map(|group| group.profile.clone()).unwrap_or_default(),
            secondary_devices: secondary
                .map(|device| (device.kind().as_str_name().to_owned(), device.device_id))
                .collect(),
        }
    }
}
