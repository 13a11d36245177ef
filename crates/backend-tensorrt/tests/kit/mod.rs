//! Plans for the double of TensorRT, loaded as the server does, on simulated devices.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub(crate) mod capturing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use capturing::simulated;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Request, Response, Result, WantedOutputs, channel,
};
use hippocamp_backend_tensorrt::{Settings, TensorRtBackend};
use hippocamp_device::Devices;
use hippocamp_device::testing::TestDriver;
use hippocamp_model_config::{DefaultFacts, Gpu, Interface, ModelConfig, apply_defaults, parse};
use hippocamp_tensor::Shape;
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
    pub(crate) folder: TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("m/1")).unwrap();
        Setup {
            devices,
            driver: TestDriver::new(0, 0),
            libraries: library_folder(library),
            folder,
            options: Vec::new(),
            double: None,
        }
    }

    pub(crate) fn option(mut self, key: &str, value: &str) -> Setup {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Setup {
        std::fs::write(self.folder.path().join("m/1").join(name), content).unwrap();
        self
    }

    pub(crate) fn backend(&self) -> TensorRtBackend {
        let options = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let settings = Settings::new(vec![self.libraries.path().to_owned()]).with_options(options).unwrap();
        TensorRtBackend::new(settings, self.devices.clone())
    }

    pub(crate) fn source(&self, config: &str) -> ModelSource {
        let mut config = parse(&format!("name: \"m\" {config}"), "config.pbtxt").unwrap().config;
        (config.backend, config.platform) = ("tensorrt".into(), "tensorrt_plan".into());
        let directory = self.folder.path().join("m");
        ModelSource {
            name: "m".into(),
            version: 1,
            version_directory: directory.join("1"),
            model_directory: directory,
            config: Arc::new(config),
        }
    }

    /// Loads model `m` with a config that may be incomplete.
    pub(crate) fn load(&self, config: &str) -> Result<Loaded> {
        let (backend, source) = (self.backend(), self.source(config));
        let model = backend.load(&source)?;
        let gpus =
            self.devices.gpus().map(|gpu| Gpu { id: gpu.id, compute_capability: gpu.compute_capability });
        let facts = DefaultFacts {
            backends: [("tensorrt".to_owned(), backend.facts())].into_iter().collect(),
            gpus: Some(gpus.collect()),
        };
        let mut config = ModelConfig::clone(&source.config);
        apply_defaults(&mut config, "m", &facts);
        model.complete_config(&mut config, 4)?;
        apply_defaults(&mut config, "m", &facts);
        model.check_config(&config)?;
        let interface = Arc::new(Interface::new(&config).unwrap());
        Ok(Loaded { model, config: Arc::new(config), interface })
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

/// A loaded model that can make instances.
pub(crate) struct Loaded {
    pub(crate) model: Box<dyn Model>,
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) interface: Arc<Interface>,
}

impl Loaded {
    pub(crate) fn spec(&self, index: usize, device: Device) -> InstanceSpec {
        let (config, interface) = (Arc::clone(&self.config), Arc::clone(&self.interface));
        InstanceSpec { name: format!("m_0_{index}"), index, device, config, interface }
    }

    pub(crate) fn instance(&self) -> Box<dyn ModelInstance> {
        self.instance_on(0, 0).unwrap()
    }

    pub(crate) fn instance_on(&self, index: usize, gpu: i32) -> Result<Box<dyn ModelInstance>> {
        self.model.new_instance(&self.spec(index, Device::Gpu(gpu))).map(NewInstance::into_box)
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
        let mut batch = Batch::new();
        let mut receivers = Vec::new();
        for inputs in requests {
            let (response, receiver) = channel(Delivery::Once, Instant::now(), Arc::default());
            let rows = inputs.iter().flatten().next().and_then(|input| input.shape.first().copied());
            let batch_size = if self.interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
            let request = Request::new(inputs.into_iter().collect(), batch_size, response);
            batch.push(Request { outputs: wanted.clone(), ..request });
            receivers.push(receiver);
        }
        instance.execute(&mut batch);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect()
    }
}

/// An input.
#[allow(clippy::unnecessary_wraps, reason = "stands in lists beside inputs that are not")]
pub(crate) fn input(shape: &[i64], data: impl Into<Bytes>) -> Option<InputTensor> {
    Some(InputTensor { shape: Shape::from(shape), data: data.into().into() })
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
