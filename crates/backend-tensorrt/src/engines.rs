//! The engines of a model: one a device, shared by the instances there.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Error, ModelSource, Result};
use hippocamp_device::{Device, Devices, Stream};
use hippocamp_tensor::MemoryError;
use hippocamp_tensorrt_sys::{Engine, Library, capture};
use parking_lot::Mutex;
use tracing::{debug, info};

use crate::libraries::library_for;
use crate::plan::Plan;
use crate::plan_file::{self, Header};
use crate::{Settings, log, refusal};

/// The engines of a version of a model.
#[derive(Debug)]
pub(crate) struct Engines {
    source: ModelSource,
    settings: Settings,
    devices: Devices,
    loaded: Mutex<BTreeMap<i32, Arc<Loaded>>>,
}

/// An engine in the memory of a device, where it is dropped, too, whichever thread does it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) plan: Plan,
    pub(crate) library: Library,
    /// Held while a context is made: TensorRT does not promise that several can be at once.
    pub(crate) making: Mutex<()>,
    stream: Arc<dyn Stream>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // The engine frees its memory on the current device of the thread.
        if let Err(error) = self.stream.make_current() {
            debug!("an engine is dropped on a device that fails: {error}");
        }
    }
}

impl Engines {
    pub(crate) fn new(source: ModelSource, settings: Settings, devices: Devices) -> Engines {
        Engines { source, settings, devices, loaded: Mutex::default() }
    }

    pub(crate) fn devices(&self) -> &Devices {
        &self.devices
    }

    pub(crate) fn model(&self) -> &Arc<str> {
        &self.source.name
    }

    /// The engine on the device with this id. The first call reads it there; others wait.
    pub(crate) fn get(&self, id: i32) -> Result<Arc<Loaded>> {
        let mut loaded = self.loaded.lock();
        if let Some(engine) = loaded.get(&id) {
            return Ok(Arc::clone(engine));
        }
        let engine = Arc::new(self.load(id)?);
        Ok(Arc::clone(loaded.entry(id).or_insert(engine)))
    }

    fn load(&self, id: i32) -> Result<Loaded> {
        let model = &self.source.name;
        let device = self.devices.gpu(id).ok_or_else(|| no_gpu(model, Some(id)))?;
        let path = plan_file::path(&self.source, device.compute_capability)?;
        let content = plan_file::read(model, &path, device.compute_capability)?;
        let header = Header::of(&content);
        let library = library_for(&self.settings, header)?;
        let _named = log::of_model(model);
        let stream = self.devices.stream(id).and_then(|stream| stream.make_current().map(|()| stream));
        let stream = stream.map_err(|error| Error::of_memory(model, error.into()))?;
        let (runtime, messages) = capture(|| library.runtime());
        let runtime = runtime.ok_or_else(|| {
            Error::unavailable(format!(
                "unable to load model '{model}', {library} makes no runtime on GPU {id}: {}",
                log::errors(&messages)
            ))
        })?;
        if self.settings.version_compatible {
            runtime.set_engine_host_code_allowed(true);
        }
        let (engine, messages) = capture(|| runtime.deserialize(&content));
        let engine = engine.ok_or_else(|| {
            let logged = log::errors(&messages);
            if is_out_of_memory(&logged) {
                return Error::unavailable(format!(
                    "model '{model}': GPU {id} has no memory for its engine: {logged}"
                ));
            }
            refusal::refused(model, &path, header, (&library, device), &logged)
        })?;
        let plan = Plan::of(model, &engine)?;
        info!(
            model = &**model,
            gpu = id,
            plan = %path.display(),
            profiles = plan.profile_count,
            "{library} has read the plan, whose contexts take {} bytes each",
            engine.device_memory_size()
        );
        Ok(Loaded { engine, plan, library, making: Mutex::default(), stream })
    }
}

/// Whether a line of the library's log is of memory that is short.
pub(crate) fn is_out_of_memory(logged: &str) -> bool {
    let logged = logged.to_ascii_lowercase();
    logged.contains("out of memory")
        || logged.contains("outofmemory")
        || logged.contains("cudaerrormemoryallocation")
}

/// The error of something that the library did not do on a device.
#[cold]
pub(crate) fn failed(model: &str, device: i32, what: &str, logged: &str) -> Error {
    if is_out_of_memory(logged) {
        let error = MemoryError::Device { device, reason: logged.into() };
        return Error::unavailable(format!("model '{model}' is out of memory: {error}"));
    }
    let logged = if logged.is_empty() { "TensorRT does not say why" } else { logged };
    Error::internal(format!("model '{model}' on GPU {device}: {what}: {logged}"))
}

/// The error of a plan on a machine without the GPU that it would run on.
#[cold]
pub(crate) fn no_gpu(model: &str, id: Option<i32>) -> Error {
    let which = id.map_or_else(|| "there is no GPU".to_owned(), |id| format!("there is no GPU {id}"));
    Error::unavailable(format!(
        "unable to load model '{model}', {which}, and TensorRT plans run on GPUs only: start the server where its driver sees \
         one (nvidia-smi lists them), or serve the model's ONNX file, which runs on the CPU, too"
    ))
}

/// The device that the first instance will be on, as far as the config says it: the first GPU that it names, else the first that
/// there is.
pub(crate) fn likely_device<'a>(source: &ModelSource, devices: &'a Devices) -> Result<&'a Device> {
    let named = source.config.instance_group.iter().flat_map(|group| &group.gpus).next();
    match named {
        Some(id) => devices.gpu(*id).ok_or_else(|| no_gpu(&source.name, Some(*id))),
        None => devices.gpus().next().ok_or_else(|| no_gpu(&source.name, None)),
    }
}
