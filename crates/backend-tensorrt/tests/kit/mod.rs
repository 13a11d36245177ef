//! Plans for the double of TensorRT, loaded as the server does, on simulated devices.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub(crate) mod capturing;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use capturing::simulated;
use hippocamp_backend::{
    Backend, Device, InputTensor, ModelInstance, ModelSource, NewInstance, Response, Result, WantedOutputs,
};
use hippocamp_backend_tensorrt::{Settings, TensorRtBackend};
pub(crate) use hippocamp_batching::testing::input;
use hippocamp_batching::testing::{self, Folder, execute_wanted, load_source};
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_model_config::{DefaultFacts, Gpu};
use libloading::os::unix::Library;
use tempfile::TempDir;

/// The versions that the double plays, by the names of its file, and how its plans begin.
pub(crate) const VERSIONS: [(&str, &[u8; 4], [u8; 3]); 3] = [
    ("libnvinfer.so.10", b"ftrt", [10, 16, 1]),
    ("libnvinfer.so.11", b"ftrt", [11, 4, 0]),
    ("libtensorrt_rtx.so.1", b"vtrt", [1, 7, 1]),
];

/// The library of `examples/double`, which `cargo test` builds beside the tests. A program that was carried elsewhere names it.
fn double() -> PathBuf {
    if let Some(named) = std::env::var_os("HIPPOCAMP_TENSORRT_DOUBLE") {
        return named.into();
    }
    let test = std::env::current_exe().unwrap();
    let library = test.parent().and_then(Path::parent).unwrap().join("examples/libdouble.so");
    assert!(library.is_file(), "'{}' is missing: cargo build --examples makes it", library.display());
    library
}

/// A folder with the double under the name of a version.
pub(crate) fn library_folder(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(double(), folder.path().join(name)).unwrap();
    folder
}

/// The bytes of a plan for that version of the double.
pub(crate) fn plan(version: usize, text: &str) -> Vec<u8> {
    let (_, magic, [major, minor, patch]) = VERSIONS[version];
    let mut bytes = magic.to_vec();
    bytes.resize(24, 0);
    bytes.extend([major, minor, patch, 0, 0, 0, 0, 0]);
    bytes.extend(text.as_bytes());
    bytes
}

/// What a test loads: the libraries, the devices and a model `m`.
pub(crate) struct Setup {
    pub(crate) driver: Arc<TestDriver>,
    pub(crate) devices: Devices,
    pub(crate) libraries: TempDir,
    pub(crate) folder: Folder,
    options: Vec<(String, String)>,
    double: Option<Library>,
}

impl Setup {
    /// One device, and the library of that version.
    pub(crate) fn new(version: usize) -> Setup {
        Setup::on(TestDriver::new(1, 1 << 30), VERSIONS[version].0)
    }

    pub(crate) fn on(driver: Arc<TestDriver>, library: &str) -> Setup {
        let devices = Devices::of(Arc::clone(&driver) as Arc<dyn hippocamp_device::Driver>);
        let setup = Setup::on_devices(devices, library);
        let double = simulated(&setup.libraries.path().join(library));
        // It is the one that the backend opens as long as it is open.
        Setup { driver, double: Some(double), ..setup }
    }

    /// On devices that may be real ones.
    pub(crate) fn on_devices(devices: Devices, library: &str) -> Setup {
        Setup {
            devices,
            driver: TestDriver::new(0, 0),
            libraries: library_folder(library),
            folder: Folder::new(),
            options: Vec::new(),
            double: None,
        }
    }

    pub(crate) fn option(mut self, key: &str, value: &str) -> Setup {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Setup {
        self.folder.file(name, content);
        self
    }

    pub(crate) fn backend(&self) -> TensorRtBackend {
        let options = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let settings = Settings::new(vec![self.libraries.path().to_owned()]).with_options(options).unwrap();
        TensorRtBackend::new(settings, self.devices.clone())
    }

    /// What the server hands to the backend.
    pub(crate) fn source(&self, config: &str) -> ModelSource {
        let mut source = self.folder.source("tensorrt", config);
        Arc::make_mut(&mut source.config).platform = "tensorrt_plan".into();
        source
    }

    /// Loads model `m` with a config that may be incomplete.
    pub(crate) fn load(&self, config: &str) -> Result<Loaded> {
        let backend = self.backend();
        let gpus =
            self.devices.gpus().map(|gpu| Gpu { id: gpu.id, compute_capability: gpu.compute_capability });
        let facts = DefaultFacts {
            backends: [("tensorrt".to_owned(), backend.facts())].into_iter().collect(),
            gpus: Some(gpus.collect()),
            ..DefaultFacts::default()
        };
        load_source(&backend, &self.source(config), &facts).map(Loaded)
    }

    /// Loads the plan of that text.
    pub(crate) fn with_plan(version: usize, text: &str, config: &str) -> Result<(Setup, Loaded)> {
        let setup = Setup::new(version).file("model.plan", &plan(version, text));
        let loaded = setup.load(config)?;
        Ok((setup, loaded))
    }
}

/// The text of what a plan is refused for, or its config.
pub(crate) fn refused(version: usize, text: &str, config: &str) -> String {
    match Setup::with_plan(version, text, config) {
        Ok(_) => panic!("the model was expected to be refused"),
        Err(error) => error.reason(),
    }
}

/// A loaded model whose instances are on GPUs, the first if none is named.
pub(crate) struct Loaded(testing::Loaded);

impl Deref for Loaded {
    type Target = testing::Loaded;

    fn deref(&self) -> &testing::Loaded {
        &self.0
    }
}

impl Loaded {
    pub(crate) fn instance(&self) -> Box<dyn ModelInstance> {
        self.instance_on(0, 0).unwrap()
    }

    pub(crate) fn instance_on(&self, index: usize, gpu: i32) -> Result<Box<dyn ModelInstance>> {
        self.model.new_instance(&self.spec_of(index, Device::Gpu(gpu))).map(NewInstance::into_box)
    }

    /// Executes requests as one batch on a new instance.
    pub(crate) fn run(&self, requests: Vec<Vec<Option<InputTensor>>>) -> Vec<Result<Response>> {
        self.run_on(&mut *self.instance(), requests, &WantedOutputs::ALL)
    }

    pub(crate) fn run_on(
        &self,
        instance: &mut dyn ModelInstance,
        requests: Vec<Vec<Option<InputTensor>>>,
        wanted: &WantedOutputs,
    ) -> Vec<Result<Response>> {
        execute_wanted(instance, &self.interface, requests, wanted)
    }
}

/// Encodes FP32.
pub(crate) fn floats(values: impl IntoIterator<Item = f32>) -> Bytes {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// Encodes INT32.
pub(crate) fn integers(values: impl IntoIterator<Item = i32>) -> Bytes {
    values.into_iter().flat_map(i32::to_le_bytes).collect()
}

/// The shape and the bytes of an output, in host memory.
pub(crate) fn output(response: &Response, index: usize) -> (Vec<i64>, Bytes) {
    let output = response.outputs.iter().find(|output| output.index == index).unwrap();
    (output.shape.to_vec(), output.data.to_host().unwrap())
}
