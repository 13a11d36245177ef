//! An instance: it gives batches to the backend, and takes back what the backend does not take.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hippocamp_backend::{Batch, Device, Error, FailureReason, InstanceSpec, ModelInstance, Request, Result};
use hippocamp_model_config::{ModelConfig, sequence_batching};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tracing::{error, warn};

use hippocamp_python_stubs::Stub;

use super::model::Version;
use super::python;
use crate::border::{InstanceKind, Owned, Ref, own, text};
use crate::library::{call_if_there, execute};
use crate::life::{InstanceObject, Policy, State, TensorNames};
use crate::objects::MessageObject;
use crate::request::{Input, RequestObject, Rescheduled};
use crate::response::{Execution, Executions, Outstanding};

/// How long an instance that ends waits for callbacks of calls of its model to other models.
const CALLS_END: Duration = Duration::from_secs(10);

/// An instance. Dropped, it waits until the backend has given back all requests, and is finalized.
#[derive(Debug)]
pub(super) struct TritonInstance {
    object: Owned<InstanceObject>,
    names: Arc<TensorNames>,
    /// Where a batch is executed alone on the device.
    device: Option<Arc<Mutex<()>>>,
    version: Arc<Version>,
    /// The process of an instance of a Python model.
    stub: Option<Stub>,
}

impl TritonInstance {
    pub(super) fn new(version: &Arc<Version>, spec: &InstanceSpec) -> Result<TritonInstance> {
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
        version.instances.fetch_add(1, Ordering::AcqRel);
        let mut instance = TritonInstance {
            object,
            names: Arc::new(TensorNames::new(&spec.interface, &spec.config)),
            device: device_lock(version, spec.device, &spec.config),
            version: Arc::clone(version),
            stub: None,
        };
        let entry_points = &version.backend.entry_points;
        let _one_at_a_time = (!may_load_in_parallel(version)).then(|| version.initializing.lock());
        // What fails is finalized, too: it is dropped.
        call_if_there(entry_points.instance_initialize, instance.object.as_ref())?;
        instance.stub = version.backend.python.as_ref().and_then(|python| {
            let model = &version.object;
            let folder = Path::new(&*model.folder.to_string_lossy()).join(model.version.to_string());
            python.stub_of(&spec.name, &folder)
        });
        Ok(instance)
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
    fn give(&self, requests: &[Ref<RequestObject>], execution: &Arc<Execution>) {
        let _alone = self.device.as_ref().map(|device| device.lock());
        let executed = execute(&self.version.backend.entry_points, self.object.as_ref(), requests);
        let Err(error) = executed else { return };
        self.object.executions.forget(execution);
        for request in requests {
            if let Ok(request) = request.remove() {
                request.channel.refuse(error.clone());
                request.released(None);
            } else {
                warn!(
                    model = self.names.model(),
                    "the backend released a request and then returned an error for it: {}",
                    error.message()
                );
            }
        }
    }
}

impl ModelInstance for TritonInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let started = batch.started();
        TritonInstance::drop_cancelled(batch);
        let Some(execution) = Execution::of(batch).map(Arc::new) else { return };
        self.object.executions.begin(&execution);
        let again = self.names.is_iterative.then(|| Arc::new(Rescheduled::default()));
        let mut given: SmallVec<[Ref<RequestObject>; 8]> = SmallVec::new();
        for request in batch.drain(..) {
            let inputs = match Input::all(&request.inputs, &self.names) {
                Ok(inputs) => inputs,
                Err(error) => {
                    request.fail(error, FailureReason::Backend);
                    continue;
                }
            };
            let outstanding = &self.object.outstanding;
            let names = &self.names;
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
                Err(error) => error!(model = self.names.model(), "{}", error.message()),
            }
        }
        if !given.is_empty() {
            self.give(&given, &execution);
        }
        if let Some(again) = again {
            let again: Vec<Request> = again.wait();
            batch.extend(again);
        }
    }

    fn lost(&self) -> Option<Error> {
        let ended = self.stub.as_ref().is_some_and(|stub| !stub.is_alive());
        ended.then(|| python::ended(&self.object.name.to_string_lossy()))
    }
}

impl Drop for TritonInstance {
    fn drop(&mut self) {
        let name = self.object.name.to_string_lossy();
        if let Some(error) = self.lost() {
            self.object.outstanding.abandon(&error);
        }
        self.object.outstanding.wait(&name);
        let is_last = self.version.instances.fetch_sub(1, Ordering::AcqRel) == 1;
        self.version.object.server.end_calls(&name, CALLS_END, is_last);
        let finalize = self.version.backend.entry_points.instance_finalize;
        if let Err(error) = call_if_there(finalize, self.object.as_ref()) {
            error!(instance = &*name, "failed to finalize the instance: {}", error.message());
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
