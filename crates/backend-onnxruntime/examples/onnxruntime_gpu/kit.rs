//! Models that are loaded, and requests to them.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Request, Response, Result, WantedOutputs, channel,
};
use hippocamp_backend_onnxruntime::OnnxRuntimeBackend;
use hippocamp_device::Devices;
use hippocamp_model_config::{DefaultFacts, Gpu, Interface, ModelConfig, apply_defaults, parse};
use hippocamp_tensor::Place;

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
        let facts = DefaultFacts { backends, gpus: Some(gpus) };
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

/// Executes requests as one batch and returns their responses.
pub(crate) fn execute(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    execute_to(Place::Host, instance, interface, requests)
}

/// As `execute`, with outputs that are wanted at that place.
pub(crate) fn execute_to(
    place: Place,
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for inputs in requests {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let rows = inputs.iter().flatten().next().and_then(|input| input.shape.first().copied());
        let batch_size = if interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
        let mut request = Request::new(inputs.into_iter().collect(), batch_size, response);
        request.outputs = WantedOutputs::all_at(place, interface.outputs.len());
        batch.push(request);
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
}

pub(crate) fn one(mut responses: Vec<Result<Response>>) -> Result<Response> {
    responses.remove(0)
}
