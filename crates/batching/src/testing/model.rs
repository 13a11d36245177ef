//! A model in a temporary folder, loaded as the server does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource, NewInstance, Response,
    Result,
};
use hippocamp_interface::{Interface, ModelConfig};
use hippocamp_model_config::{DefaultFacts, apply_defaults, infer_backend, parse};
use hippocamp_tensor::Shape;
use tempfile::TempDir;

use super::requests::{execute, only_output};

/// The folder of model `m` with version 1, which is deleted when this is dropped.
#[derive(Debug)]
pub struct Folder(TempDir);

#[allow(clippy::new_without_default, reason = "it makes a folder")]
impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("m/1")).unwrap();
        Folder(folder)
    }

    /// With a file in the version's folder.
    pub fn with(name: &str, content: &[u8]) -> Folder {
        let folder = Folder::new();
        folder.file(name, content);
        folder
    }

    /// The folder that the model's is in.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Where the file of that name is, or would be, in the version's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("m/1").join(name)
    }

    /// Writes a file into the version's folder.
    pub fn file(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// What the server hands to a backend of that name, with the names of the config completed from the files.
    pub fn source(&self, backend: &str, config: &str) -> ModelSource {
        let mut config = parse(config, "config.pbtxt").unwrap().config;
        config.backend = backend.into();
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
pub struct Loaded {
    pub model: Box<dyn Model>,
    pub config: Arc<ModelConfig>,
    pub interface: Arc<Interface>,
    /// `None` if whoever loaded the model has it.
    _folder: Option<Folder>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Loads a model with a config that may be incomplete.
///
/// # Errors
/// That of the backend.
pub fn load(backend: &dyn Backend, folder: Folder, config: &str) -> Result<Loaded> {
    let source = folder.source(backend.name(), config);
    let loaded = load_source(backend, &source, &DefaultFacts::default())?;
    Ok(Loaded { _folder: Some(folder), ..loaded })
}

/// Loads what the server hands to a backend, on a machine of which `facts` are known. The files stay the caller's.
///
/// # Errors
/// That of the backend.
pub fn load_source(backend: &dyn Backend, source: &ModelSource, facts: &DefaultFacts) -> Result<Loaded> {
    let model = backend.load(source)?;
    let mut config = ModelConfig::clone(&source.config);
    apply_defaults(&mut config, "m", facts);
    model.complete_config(&mut config, 4)?;
    apply_defaults(&mut config, "m", facts);
    model.check_config(&config)?;
    let interface = Arc::new(Interface::new(&config).unwrap());
    Ok(Loaded { model, config: Arc::new(config), interface, _folder: None })
}

/// The error of loading a model and of making an instance.
///
/// # Panics
/// If there is none.
pub fn refused(backend: &dyn Backend, folder: Folder, config: &str) -> String {
    let instance = load(backend, folder, config).and_then(|loaded| loaded.instance_on(Device::Cpu).map(drop));
    instance.expect_err("the model was expected to be refused").reason()
}

impl Loaded {
    /// An instance on a device.
    ///
    /// # Errors
    /// That of the model.
    pub fn instance_on(&self, device: Device) -> Result<Box<dyn ModelInstance>> {
        self.model.new_instance(&self.spec(device)).map(NewInstance::into_box)
    }

    pub fn spec(&self, device: Device) -> InstanceSpec {
        self.spec_of(0, device)
    }

    /// Of the instance of that number in its group.
    pub fn spec_of(&self, index: usize, device: Device) -> InstanceSpec {
        let (config, interface) = (Arc::clone(&self.config), Arc::clone(&self.interface));
        InstanceSpec { name: format!("m_0_{index}"), index, device, config, interface }
    }

    /// An instance on the CPU.
    pub fn instance(&self) -> Box<dyn ModelInstance> {
        self.instance_on(Device::Cpu).unwrap()
    }

    /// The response to one request for all outputs, of an instance of its own.
    ///
    /// # Errors
    /// That of the instance.
    pub fn run(&self, inputs: Vec<Option<InputTensor>>) -> Result<Response> {
        execute(&mut *self.instance(), &self.interface, inputs)
    }

    /// The output of a model that has one.
    pub fn output(&self, inputs: Vec<Option<InputTensor>>) -> (Shape, Bytes) {
        only_output(&self.run(inputs).unwrap())
    }
}
