//! Models for tests: a file in a temporary folder, loaded as the server does.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub(crate) mod script;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, OutputTensor, Request, Response, Result, channel,
};
use hippocamp_backend_pytorch::{PyTorchBackend, Settings};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults, infer_backend, parse};
use hippocamp_tensor::Shape;
use tempfile::TempDir;

use script::Script;

/// The path of the library that `scripts/fetch torch` downloads.
pub(crate) fn library() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/torch/lib");
    let missing = ["libtorch_cpu.so", "libhippocamp_torch.so"].map(|name| folder.join(name)).into_iter();
    if let Some(path) = { missing }.find(|path| !path.is_file()) {
        panic!("'{}' is missing: run scripts/fetch torch and scripts/torch-shim", path.display());
    }
    folder.join("libtorch_cpu.so")
}

pub(crate) fn backend() -> PyTorchBackend {
    PyTorchBackend::new(Settings::new(library()))
}

/// The folder of model `m` with version 1.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("m/1")).unwrap();
        Folder(folder)
    }

    pub(crate) fn with_script(script: &Script) -> Folder {
        let folder = Folder::new();
        folder.file("model.pt", &script.encode());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("m/1").join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// With the names of the config completed from the files, as the server does.
    pub(crate) fn source(&self, config: &str) -> ModelSource {
        let mut config = parse(config, "config.pbtxt").unwrap().config;
        config.backend = "pytorch".into();
        config.name = "m".into();
        let directory = self.0.path().join("m");
        let files = std::fs::read_dir(directory.join("1")).unwrap();
        let files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        infer_backend(&mut config, "m", &files, &DefaultFacts::default());
        ModelSource {
            name: "m".into(),
            version: 1,
            version_directory: directory.join("1"),
            model_directory: directory,
            config: Arc::new(config),
        }
    }
}

/// A loaded model that can make instances.
pub(crate) struct Loaded {
    pub(crate) model: Box<dyn Model>,
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) interface: Arc<Interface>,
    folder: Folder,
}

/// Loads a model with its config.
pub(crate) fn load(script: &Script, config: &str) -> Result<Loaded> {
    load_folder(Folder::with_script(script), config)
}

pub(crate) fn load_folder(folder: Folder, config: &str) -> Result<Loaded> {
    load_with(&backend(), folder, config)
}

pub(crate) fn load_with(backend: &PyTorchBackend, folder: Folder, config: &str) -> Result<Loaded> {
    let source = folder.source(config);
    let model = backend.load(&source)?;
    let mut config = ModelConfig::clone(&source.config);
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    model.complete_config(&mut config, 4)?;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    model.check_config(&config)?;
    let interface = Arc::new(Interface::new(&config).unwrap());
    Ok(Loaded { model, config: Arc::new(config), interface, folder })
}

/// The error of loading a model and of making an instance.
pub(crate) fn refused(script: &Script, config: &str) -> String {
    refused_folder(Folder::with_script(script), config)
}

pub(crate) fn refused_folder(folder: Folder, config: &str) -> String {
    let instance = load_folder(folder, config).and_then(|loaded| loaded.instance_on(Device::Cpu).map(drop));
    instance.expect_err("the model was expected to be refused").reason()
}

impl Loaded {
    pub(crate) fn instance_on(&self, device: Device) -> Result<Box<dyn ModelInstance>> {
        self.model.new_instance(&self.spec(device)).map(NewInstance::into_box)
    }

    pub(crate) fn spec(&self, device: Device) -> InstanceSpec {
        let (config, interface) = (Arc::clone(&self.config), Arc::clone(&self.interface));
        InstanceSpec { name: "m_0_0".into(), index: 0, device, config, interface }
    }

    pub(crate) fn instance(&self) -> Box<dyn ModelInstance> {
        self.instance_on(Device::Cpu).unwrap()
    }

    /// The response to one request for all outputs.
    pub(crate) fn run(&self, inputs: Vec<Option<InputTensor>>) -> Result<Response> {
        execute(&mut *self.instance(), &self.interface, inputs)
    }

    /// The output of a model that has one.
    pub(crate) fn output(&self, inputs: Vec<Option<InputTensor>>) -> (Shape, Bytes) {
        only_output(&self.run(inputs).unwrap())
    }
}

pub(crate) fn only_output(response: &Response) -> (Shape, Bytes) {
    let [OutputTensor { shape, data, .. }] = response.outputs.as_slice() else { panic!("{response:?}") };
    (shape.clone(), data.to_host().unwrap())
}

pub(crate) fn execute(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    inputs: Vec<Option<InputTensor>>,
) -> Result<Response> {
    execute_together(instance, interface, vec![inputs]).remove(0)
}

/// Executes requests as one batch and returns their responses.
pub(crate) fn execute_together(
    instance: &mut dyn ModelInstance,
    interface: &Interface,
    requests: Vec<Vec<Option<InputTensor>>>,
) -> Vec<Result<Response>> {
    let mut batch = Batch::new();
    let mut receivers = Vec::new();
    for inputs in requests {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
        let rows = inputs.iter().flatten().next().and_then(|i| i.shape.first().copied());
        let batch_size = if interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
        batch.push(Request::new(inputs.into_iter().collect(), batch_size, response));
        receivers.push(receiver);
    }
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
}

/// An input.
#[allow(clippy::unnecessary_wraps, reason = "stands in lists beside inputs that are not")]
pub(crate) fn input(shape: &[i64], data: impl Into<Bytes>) -> Option<InputTensor> {
    Some(InputTensor { shape: Shape::from(shape), data: data.into().into() })
}

/// Encodes strings in wire form.
pub(crate) fn strings<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Bytes {
    let mut wire = Vec::new();
    texts.into_iter().for_each(|text| hippocamp_tensor::push_element(&mut wire, text.as_ref()));
    wire.into()
}

/// Encodes numbers.
pub(crate) fn numbers<T: Number>(values: impl IntoIterator<Item = T>) -> Bytes {
    values.into_iter().flat_map(Number::bytes).collect::<Vec<u8>>().into()
}

pub(crate) trait Number {
    fn bytes(self) -> Vec<u8>;
}

macro_rules! number {
    ($($kind:ty)+) => {
        $(impl Number for $kind {
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        })+
    };
}

number!(i32 i64 f32 f64);
