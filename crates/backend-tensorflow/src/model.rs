//! A loaded model.

use std::sync::Arc;

use hippocamp_backend::{
    Device, Error, InstanceSpec, Model, ModelSource, MovableInstance, NewInstance, Result,
};
use hippocamp_batching::Batched;
use hippocamp_engine_library::give_back;
use hippocamp_model_config::{CompleteOptions, Fault, Faults, ModelConfig, Signature, check, complete};
use parking_lot::Mutex;

use crate::Settings;
use crate::ffi::library::Library;
use crate::ffi::session::RunSettings;
use crate::instance::Instance;
use crate::model_file::{ModelFile, Opened};
use crate::options::Options;
use crate::sessions::Sessions;
use crate::trial::try_run;

pub(crate) struct TensorFlowModel {
    library: &'static Library,
    source: ModelSource,
    file: ModelFile,
    options: Options,
    settings: Settings,
    signature: Signature,
    sessions: Sessions,
    /// The sessions that were run once.
    tried: Mutex<Vec<usize>>,
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

impl TensorFlowModel {
    /// Loads the file. The config may be incomplete.
    pub(crate) fn load(
        library: &'static Library,
        source: &ModelSource,
        file: ModelFile,
        options: Options,
        settings: Settings,
    ) -> Result<TensorFlowModel> {
        // From here on a failed load releases its memory, too.
        let end = GiveBack;
        let opened = file.open(library, source, &options, &settings)?;
        // What was read to load it takes as much as the model.
        give_back();
        let signature = opened.ports.signature();
        let keeps = opened.ports.keeper.is_some();
        let share_count = options.session_share_count.unwrap_or(if keeps { 1 } else { usize::MAX });
        let sessions = Sessions::with_first(Arc::new(opened), share_count);
        Ok(TensorFlowModel {
            library,
            source: source.clone(),
            file,
            options,
            settings,
            signature,
            sessions,
            tried: Mutex::default(),
            _end: end,
        })
    }

    fn instance(&self, spec: &InstanceSpec) -> Result<Batched<Instance>> {
        if let Device::Gpu(gpu) = spec.device {
            return Err(Error::unsupported(format!(
                "unable to load model '{}', TensorFlow runs on the CPU here, its config names GPU {gpu}",
                self.source.name
            )));
        }
        let open = || self.file.open(self.library, &self.source, &self.options, &self.settings);
        let opened = self.sessions.get(open)?;
        let run = RunSettings::new(self.options.on_calling_thread(&self.settings));
        let instance = Instance::new(Arc::clone(&self.source.name), opened, run, &spec.interface)?;
        self.try_once(&instance, spec)?;
        Ok(Batched::new(instance, Arc::clone(&spec.interface)))
    }

    /// Runs each session once, which shows what loading does not, and takes the time of optimizing off the first request.
    fn try_once(&self, instance: &Instance, spec: &InstanceSpec) -> Result<()> {
        let session = Arc::as_ptr(instance.opened()) as usize;
        // Locked until the run ends: other instances of the session wait for it.
        let mut tried = self.tried.lock();
        if !tried.contains(&session) {
            try_run(instance, &self.source.name, &spec.interface)?;
            tried.push(session);
        }
        Ok(())
    }

    fn refused(&self, faults: Vec<Fault>) -> Error {
        let prefix = format!("unable to load model '{}', ", self.source.name);
        let mut text = String::new();
        for Fault { message, .. } in &faults {
            // Each fault names the model; one mention is enough.
            let rest = message.strip_prefix(&prefix).unwrap_or(message);
            if text.is_empty() {
                text.push_str(message);
            } else {
                text.extend(["; ", rest]);
            }
        }
        Error::invalid_arg(text).with_source(Faults { origin: "config".to_owned(), faults })
    }
}

impl Model for TensorFlowModel {
    fn complete_config(&self, config: &mut ModelConfig, default_max_batch_size: i32) -> Result<()> {
        let options = CompleteOptions { default_max_batch_size, disable: false };
        complete(config, &self.signature, &options).map_err(|faults| self.refused(faults))
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        check(config, &self.signature).map_err(|faults| self.refused(faults))
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        self.instance(spec).map(NewInstance::movable)
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        // Whoever gives a number of sessions means no more than that.
        let is_free = self.sessions.all_share_one() && self.options.session_share_count.is_none();
        Some(Box::new(is_free.then(|| self.instance(spec).ok())??))
    }
}

impl std::fmt::Debug for TensorFlowModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorFlowModel").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Opened {
    /// Whether runs are independent of each other.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.ports.keeper.is_none()
    }
}
