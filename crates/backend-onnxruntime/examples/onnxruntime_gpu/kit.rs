//! Models that are loaded, and requests to them.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::{
    Backend, Device, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance, Response, Result,
};
use hippocamp_backend_onnxruntime::OnnxRuntimeBackend;
use hippocamp_device::Devices;
use hippocamp_model_config::{DefaultFacts, Gpu, Interface, ModelConfig, apply_defaults, parse};

pub(crate) struct Checks {
    pub(crate) devices: Devices,
    pub(crate) backend: OnnxRuntimeBackend,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) centerface: PathBuf,
    pub(crate) failed: bool,
}

/// A loaded model.
pub(crate) struct Loaded {
    pub(crate) model: Box<dyn Model>,
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) interface: Arc<Interface>,
}

impl Checks {
    pub(crate) fn load(&self, file: &PathBuf, config: &str) -> Result<Loaded> {
        let directory = self.folder.path().join("m");
        fs::create_dir_all(directory.join("1")).unwrap();
        fs::copy(file, directory.join("1/model.onnx")).unwrap();
        let mut config = parse(config, "config.pbtxt").unwrap().config;
        config.backend = "onnxruntime".into();
        let gpus = vec![Gpu { id: 0, compute_capability: (9, 0) }];
        let backends = [("onnxruntime".to_owned(), self.backend.facts())].into();
        let facts = DefaultFacts { backends, gpus: Some(gpus), ..DefaultFacts::default() };
        apply_defaults(&mut config, "m", &facts);
        let source = ModelSource {
            name: "m".into(),
            version: 1,
            version_directory: directory.join("1"),
            model_directory: directory,
            config: Arc::new(config.clone()),
        };
        let model = self.backend.load(&source)?;
        model.complete_config(&mut config, 4)?;
        apply_defaults(&mut config, "m", &facts);
        model.check_config(&config)?;
        let interface = Arc::new(Interface::new(&config).unwrap());
        Ok(Loaded { model, config: Arc::new(config), interface })
    }

    pub(crate) fn check(&mut self, holds: bool, what: &str) {
        println!("{} {what}", if holds { "ok    " } else { "FAILED" });
        self.failed |= !holds;
    }
}

pub(crate) const GPU: &str = "kind: KIND_GPU gpus: 0 count: 1";

pub(crate) fn config(dims: &str, group: &str, more: &str) -> String {
    // Further parameters, such as `enable_mem_pattern=1`.
    let further = env::var("PARAMETERS").unwrap_or_default();
    let further = further.split(',').filter_map(|parameter| parameter.split_once('='));
    let further = further
        .map(|(key, value)| format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}"));
    let more = further.fold(more.to_owned(), |more, parameter| more + " " + &parameter);
    format!(
        "name: 'm' max_batch_size: 32 input {{ name: \"input.1\" data_type: TYPE_FP32 {dims} }} instance_group {{ {group} }} {more}"
    )
}

impl Loaded {
    pub(crate) fn instance(&self, index: usize, device: Device) -> Result<Box<dyn ModelInstance>> {
        let (config, interface) = (Arc::clone(&self.config), Arc::clone(&self.interface));
        let spec = InstanceSpec { name: format!("m_0_{index}"), index, device, config, interface };
        self.model.new_instance(&spec).map(NewInstance::into_box)
    }
}

pub(crate) fn one(mut responses: Vec<Result<Response>>) -> Result<Response> {
    responses.remove(0)
}
