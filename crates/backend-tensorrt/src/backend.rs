//! The backend `tensorrt`.

use hippocamp_backend::{
    Backend, BackendFacts, GpuSupport, Model, ModelFormat, ModelSource, Result, WithoutGpu,
};
use hippocamp_device::Devices;

use crate::Settings;
use crate::engines::{Engines, likely_device};
use crate::libraries::any_library;
use crate::model::TensorRtModel;
use crate::plan_file::DEFAULT_FILE;

/// The backend that runs TensorRT plans. Creating it is cheap: the library is opened when the first plan is loaded.
#[derive(Debug)]
pub struct TensorRtBackend {
    settings: Settings,
    devices: Devices,
}

impl TensorRtBackend {
    /// Creates the backend for the GPUs among these devices.
    pub fn new(settings: Settings, devices: Devices) -> TensorRtBackend {
        TensorRtBackend { settings, devices }
    }
}

impl Backend for TensorRtBackend {
    fn name(&self) -> &'static str {
        "tensorrt"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts {
            formats: &[ModelFormat { platform: "tensorrt_plan", filename: DEFAULT_FILE }],
            // The library says for which GPUs it has kernels, and a plan for which it was built.
            gpus: GpuSupport::From(0, 0),
            without_gpu: WithoutGpu::Impossible,
            ..BackendFacts::PLAIN
        }
    }

    fn available(&self) -> Result<()> {
        any_library(&self.settings).map(drop)
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let device = likely_device(source, &self.devices)?;
        let engines = Engines::new(source.clone(), self.settings.clone(), self.devices.clone());
        let first = engines.get(device.id)?;
        Ok(Box::new(TensorRtModel::new(engines, first.plan.clone())))
    }

    /// All instances on a device share its engine.
    fn shares_files(&self, config: &hippocamp_model_config::ModelConfig) -> bool {
        let devices = config.instance_group.iter().flat_map(|group| &group.gpus);
        devices.collect::<std::collections::BTreeSet<_>>().len() <= 1
    }
}
