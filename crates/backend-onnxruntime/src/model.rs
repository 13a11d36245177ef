//! A loaded ONNX file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hippocamp_backend::{Device, Error, InstanceSpec, Model, MovableInstance, NewInstance, Result};
use hippocamp_batching::{Batched, PlanSizes};
use hippocamp_engine_library::give_back;
use hippocamp_model_config::{
    CompleteOptions, Fault, Faults, Interface, ModelConfig, Signature, check, complete,
    differ_in_scheduling_only,
};
use ort::session::builder::GraphOptimizationLevel;
use tracing::warn;

use crate::Settings;
use crate::arena::OpenSession;
use crate::cuda_libraries;
use crate::dynamic_quantization;
use crate::gpu::{
    Capturing, Content, GpuInstance, PlanCounters, Prepared, may_miss, needs_preparation, prepare,
};
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
    /// The operator that measures whole batches, if there is one.
    measures_batches: Option<&'static str>,
    sessions: Sessions,
    /// `None` if further sessions would cost much.
    small: Option<Arc<SmallModel>>,
    gpu: OnGpu,
    _logged: LoggedMessages,
    /// Declared after the sessions, so that it is dropped after them. Instances hold the model until their sessions are
    /// dropped.
    _end: GiveBack,
}

/// What instances on GPUs share.
struct OnGpu {
    capturing: Capturing,
    needs_preparation: bool,
    counters: Option<Arc<PlanCounters>>,
    /// What the files had, for instances that make sessions while they serve.
    content: OnceLock<Arc<Content>>,
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
        if let Device::Gpu(_) = placement.device {
            cuda_libraries::open(&name, &runtime.library, &settings.cuda_libraries)?;
        }
        let session = first_session(&runtime, &name, &file, (&options, &settings), placement)?;
        let content = ModelFile::read(&file);
        let signature = signature::read(&name, &session.session, config, &content)?;
        let guard = Guard::of(&content);
        let measures_batches = dynamic_quantization::operator(&content);
        let sessions = match placement.device {
            Device::Cpu => Sessions::with_first(placement, session),
            // Instances on GPUs have sessions of their own streams.
            Device::Gpu(_) => Sessions::default(),
        };
        let small = SmallModel::of(&runtime, &name, &file, &options).map(Arc::new);
        let gpu = OnGpu {
            capturing: Capturing::new(options.can_be_captured()),
            needs_preparation: needs_preparation(&content),
            counters: matches!(placement.device, Device::Gpu(_)).then(|| PlanCounters::of(&name)),
            content: OnceLock::new(),
        };
        Ok(OnnxModel {
            name,
            file,
            options,
            runtime,
            settings,
            signature,
            guard,
            measures_batches,
            sessions,
            small,
            gpu,
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

    /// An instance on the GPU `id`, with its plans.
    fn gpu_instance(&self, spec: &InstanceSpec, id: i32) -> Result<Batched<GpuInstance>> {
        cuda_libraries::open(&self.name, &self.runtime.library, &self.settings.cuda_libraries)?;
        let counters = self.gpu.counters.as_ref().map_or_else(|| PlanCounters::of(&self.name), Arc::clone);
        let sizes = PlanSizes::from_config(&spec.config, &spec.interface)?;
        let makes_sessions = self.gpu.needs_preparation && may_miss(&sizes, &spec.interface);
        if makes_sessions && self.gpu.content.get().is_none() {
            let content = Content::read(&self.name, &self.file, &self.options)?;
            self.gpu.content.get_or_init(|| Arc::new(content));
        }
        let prepared = Prepared {
            name: &self.name,
            file: &self.file,
            options: &self.options,
            runtime: &self.runtime,
            settings: &self.settings,
            signature: &self.signature,
            guard: &self.guard,
            capturing: &self.gpu.capturing,
            needs_preparation: self.gpu.needs_preparation,
            counters: &counters,
            content: self.gpu.content.get(),
            placement: self.placement(spec),
            instances: instances(&spec.config),
        };
        let (instance, gather) = prepare(&prepared, spec, id)?;
        Ok(Batched::gathering(instance, Arc::clone(&spec.interface), gather))
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
        if let Some(operator) = self.measures_batches {
            dynamic_quantization::warn_of_shared_batches(&self.name, operator, config);
        }
        check(config, &self.signature).map_err(|faults| self.refused(faults))
    }

    fn serves_under(&self, loaded: &ModelConfig, config: &ModelConfig) -> bool {
        // If each session has its own threads, their number depends on the number of instances.
        let pool = |config| placement(&self.settings, &self.options, config, Device::Cpu).pool;
        differ_in_scheduling_only(loaded, config) && pool(loaded) == pool(config)
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(match spec.device {
            Device::Cpu => NewInstance::movable(self.instance(spec)?),
            // The provider has state of the thread, graphs among it.
            Device::Gpu(id) => NewInstance::bound(self.gpu_instance(spec, id)?),
        })
    }

    fn prepared_batch_sizes(&self, config: &ModelConfig) -> Vec<usize> {
        let on_gpu = matches!(likely_device(config), Device::Gpu(_));
        let is_prepared = self.gpu.capturing.is_possible() || self.gpu.needs_preparation;
        if !on_gpu || !is_prepared {
            return Vec::new();
        }
        let interface = Interface::new(config).ok();
        let sizes = interface.and_then(|interface| PlanSizes::from_config(config, &interface).ok());
        sizes.map(|sizes| sizes.as_slice().to_vec()).unwrap_or_default()
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        let session = UsedSession::alone(self.small(spec)?.open()?);
        let instance = self.instance_with(session, Undivided::of(None), spec);
        Some(Box::new(instance.ok()?))
    }
}

/// The session from which the model's signature is read. For instances on a GPU it is one on the CPU that is not optimised,
/// unless the model has operators for GPUs alone.
fn first_session(
    runtime: &Runtime,
    model: &Arc<str>,
    file: &Path,
    (options, settings): (&Options, &Settings),
    placement: Placement,
) -> Result<Arc<OpenSession>> {
    if let Device::Gpu(id) = placement.device {
        let plain = Options { level: GraphOptimizationLevel::Disable, ..options.clone() };
        let on_cpu = Placement { device: Device::Cpu, ..placement };
        if let Ok(session) = open(runtime, model, file, &plain, on_cpu) {
            // It would ask for the provider if there were none.
            options.providers.dispatches(model, placement.device, None)?;
            return Ok(session);
        }
        // So that this thread may allocate while others capture.
        let current = settings.devices.stream(id).and_then(|stream| stream.make_current());
        current.map_err(|error| Error::of_memory(model, error.into()))?;
    }
    open(runtime, model, file, options, placement)
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
