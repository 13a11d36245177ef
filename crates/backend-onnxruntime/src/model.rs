//! A loaded ONNX file.

use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Model, MovableInstance, NewInstance, Result};
use hippocamp_batching::Batched;
use hippocamp_model_config::{
    CompleteOptions, Fault, Faults, ModelConfig, Signature, check, complete, differ_in_scheduling_only,
};
use tracing::warn;

use crate::Settings;
use crate::ffi::memory::give_back;
use crate::guard::Guard;
use crate::instance::OnnxInstance;
use crate::messages::LoggedMessages;
use crate::model_file::ModelFile;
use crate::options::Options;
use crate::pools::{Pool, pool};
use crate::runtime::Runtime;
use crate::session::{Placement, open};
use crate::sessions::{Sessions, UsedSession, can_be_shared};
use crate::signature;
use crate::small_model::SmallModel;
use crate::undivided::Undivided;

pub(crate) struct OnnxModel {
    name: Arc<str>,
    file: PathBuf,
    options: Options,
    runtime: Arc<Runtime>,
    settings: Settings,
    signature: Signature,
    guard: Guard,
    sessions: Sessions,
    /// `None` if further sessions would cost much.
    small: Option<Arc<SmallModel>>,
    _logged: LoggedMessages,
    /// Declared after the sessions, so that it is dropped after them. Instances hold the model until their sessions are
    /// dropped.
    _end: GiveBack,
}

/// Trims the allocator when the last part of a model is dropped.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        give_back();
    }
}

impl OnnxModel {
    /// Loads the file. The config may be incomplete.
    pub(crate) fn load(
        name: Arc<str>,
        file: PathBuf,
        options: Options,
        runtime: Arc<Runtime>,
        settings: Settings,
        config: &ModelConfig,
    ) -> Result<OnnxModel> {
        // From here on a failed load releases its memory, too.
        let end = GiveBack;
        let logged = LoggedMessages::of(&name);
        let placement = placement(&settings, &options, config, likely_device(config));
        let session = open(&runtime, &name, &file, &options, placement)?;
        let content = ModelFile::read(&file);
        let signature = signature::read(&name, &session.session, config, &content)?;
        let guard = Guard::of(&content);
        let sessions = Sessions::with_first(placement, session);
        let small = SmallModel::of(&runtime, &name, &file, &options).map(Arc::new);
        Ok(OnnxModel {
            name,
            file,
            options,
            runtime,
            settings,
            signature,
            guard,
            sessions,
            small,
            _logged: logged,
            _end: end,
        })
    }

    fn instance(&self, spec: &InstanceSpec) -> Result<Batched<OnnxInstance>> {
        let session = self.session(spec)?;
        let is_divided = self.settings.threads > 1 && self.placement(spec).pool == Pool::Shared;
        let small = self.small(spec).filter(|_| is_divided).map(Arc::clone);
        self.instance_with(session, Undivided::of(small), spec)
    }

    fn instance_with(
        &self,
        session: UsedSession,
        undivided: Undivided,
        spec: &InstanceSpec,
    ) -> Result<Batched<OnnxInstance>> {
        let sessions = (session, undivided);
        let (options, signature) = (&self.options, &self.signature);
        let instance =
            OnnxInstance::new(&self.name, sessions, options, signature, &self.guard, &spec.interface)?;
        Ok(Batched::new(instance, Arc::clone(&spec.interface)))
    }

    fn placement(&self, spec: &InstanceSpec) -> Placement {
        placement(&self.settings, &self.options, &spec.config, spec.device)
    }

    /// Makes further sessions for instances that could share one.
    fn small(&self, spec: &InstanceSpec) -> Option<&Arc<SmallModel>> {
        self.small.as_ref().filter(|_| can_be_shared(&self.options, self.placement(spec)))
    }

    fn session(&self, spec: &InstanceSpec) -> Result<UsedSession> {
        let wanted = self.placement(spec);
        let create = || open(&self.runtime, &self.name, &self.file, &self.options, wanted);
        self.sessions.get(wanted, &self.options, create)
    }

    fn refused(&self, faults: Vec<Fault>) -> Error {
        let mut text = String::new();
        for Fault { message, .. } in &faults {
            text.push_str(if text.is_empty() { "" } else { "; " });
            // Each fault names the model; one mention is enough.
            let prefix = format!("unable to load model '{}', ", self.name);
            text.push_str(if text.is_empty() {
                message
            } else {
                message.strip_prefix(&prefix).unwrap_or(message)
            });
        }
        Error::invalid_arg(text).with_source(Faults { origin: "config".to_owned(), faults })
    }
}

impl Model for OnnxModel {
    fn complete_config(&self, config: &mut ModelConfig, default_max_batch_size: i32) -> Result<()> {
        let options = CompleteOptions { default_max_batch_size, disable: false };
        complete(config, &self.signature, &options).map_err(|faults| self.refused(faults))
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        if let Pool::Own(size) = placement(&self.settings, &self.options, config, Device::Cpu).pool {
            let (wanted, budget) = (size.intra * instances(config), self.settings.threads);
            if wanted > budget {
                let model = &*self.name;
                warn!(model, "its instances compute on up to {wanted} threads, there are CPUs for {budget}");
            }
        }
        check(config, &self.signature).map_err(|faults| self.refused(faults))
    }

    fn serves_under(&self, loaded: &ModelConfig, config: &ModelConfig) -> bool {
        // If each session has its own threads, their number depends on the number of instances.
        let pool = |config| placement(&self.settings, &self.options, config, Device::Cpu).pool;
        differ_in_scheduling_only(loaded, config) && pool(loaded) == pool(config)
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let instance = self.instance(spec)?;
        // Providers of other devices may have thread-local state.
        Ok(match spec.device {
            Device::Cpu => NewInstance::movable(instance),
            Device::Gpu(_) => NewInstance::bound(instance),
        })
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        let session = UsedSession::alone(self.small(spec)?.open()?);
        let instance = self.instance_with(session, Undivided::of(None), spec);
        Some(Box::new(instance.ok()?))
    }
}

/// Where an instance on that device runs.
pub(crate) fn placement(
    settings: &Settings,
    options: &Options,
    config: &ModelConfig,
    device: Device,
) -> Placement {
    let pool = pool(settings, options.counts, instances(config));
    Placement { device, pool, allow_spinning: settings.allow_spinning }
}

/// The number of instances, as far as the config says it.
fn instances(config: &ModelConfig) -> usize {
    let counts = config.instance_group.iter().map(|group| {
        let each = usize::try_from(group.count).unwrap_or(0).max(1);
        each.saturating_mul(group.gpus.len().max(1))
    });
    counts.fold(0, usize::saturating_add).max(1)
}

/// The device of the first instance, which can then use the first session. A config that names no GPUs yet means the
/// CPU.
fn likely_device(config: &ModelConfig) -> Device {
    let gpu = config.instance_group.first().and_then(|group| group.gpus.first());
    gpu.map_or(Device::Cpu, |id| Device::Gpu(*id))
}
