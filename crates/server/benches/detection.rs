//! Measures what the ensemble `detection` adds in processor time: decode, network and postprocess called one after the
//! other on one thread, against the same three models as an ensemble, in turns in one process.
//!
//! `cargo bench --bench detection -- MODEL_REPOSITORY PICTURE LIBRARY ROUNDS RUNS`; `scripts/bench detection` sets the
//! arguments, and also measures the whole server.

#![allow(clippy::print_stdout, reason = "printing is all that a bench is for")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Backend, Batch, Delivery, Device, InputTensor, InstanceSpec, ModelInstance, ModelSource, Observers,
    Request, Response, channel,
};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings as OnnxRuntimeSettings};
use hippocamp_backend_vision::VisionBackend;
use hippocamp_core::{ControlMode, InferInput, InferRequest, InferenceServer, Settings};
use hippocamp_model_config::{DefaultFacts, Interface, apply_defaults, parse};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{DataType, Shape, push_element};
use smallvec::SmallVec;

type Named = (Arc<str>, InputTensor);

/// A model with one instance, called on this thread.
struct Direct {
    instance: Box<dyn ModelInstance>,
    interface: Arc<Interface>,
    observers: Arc<Observers>,
}

impl Direct {
    fn load(backend: &dyn Backend, repository: &Path, name: &str) -> Direct {
        let folder = repository.join(name);
        let text = std::fs::read_to_string(folder.join("config.pbtxt")).expect("a config");
        let mut config = parse(&text, "config.pbtxt").expect("a config without faults").config;
        apply_defaults(&mut config, name, &DefaultFacts::default());
        let source = ModelSource {
            name: name.into(),
            version: 1,
            version_directory: folder.join("1"),
            model_directory: folder,
            config: Arc::new(config.clone()),
        };
        let model = backend.load(&source).expect("it loads");
        model.complete_config(&mut config, 4).expect("it can be completed");
        apply_defaults(&mut config, name, &DefaultFacts::default());
        let interface = Arc::new(Interface::new(&config).expect("an interface"));
        let spec = InstanceSpec {
            name: name.to_owned(),
            index: 0,
            device: Device::Cpu,
            config: Arc::new(config),
            interface: Arc::clone(&interface),
        };
        let instance = model.new_instance(&spec).expect("an instance").into_box();
        Direct { instance, interface, observers: Observers::counting(&Arc::new(ModelStatistics::default())) }
    }

    /// Runs the model on the tensors of one picture, given by name in any order.
    async fn run(&mut self, tensors: &[Named]) -> Vec<Named> {
        let now = Instant::now();
        let (response, receiver) = channel(Delivery::Once, now, Arc::clone(&self.observers));
        let find = |name: &str| tensors.iter().find(|(n, _)| &**n == name).map(|(_, tensor)| tensor.clone());
        let request =
            Request::new(self.interface.inputs.iter().map(|spec| find(&spec.name)).collect(), 1, response);
        self.instance.execute(&mut Batch::from_iter([request]));
        let response = receiver.only().await.expect("the model answers before it returns");
        let named = response.outputs.into_iter().map(|output| {
            let name = Arc::clone(&self.interface.outputs[output.index].name);
            (name, InputTensor { shape: output.shape, data: output.data })
        });
        named.collect()
    }
}

/// Processor time of all threads of this process, in seconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = text.rsplit(')').next().expect("a name in brackets");
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok()).expect("a number");
    (ticks() + ticks()) / 100.0
}

async fn ensemble(server: &InferenceServer, file: &Bytes) -> Response {
    let input = InferInput {
        name: "raw_image",
        data_type: Some(DataType::Bytes),
        shape: [1, 1].into(),
        data: file.clone().into(),
    };
    let request = InferRequest::new(SmallVec::from_iter([input]));
    let model = server.model("detection", None).expect("it is loaded");
    model.infer(request).expect("it is accepted").only().await.expect("it is answered")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [repository, picture, library, rounds, runs] = arguments.as_slice() else {
        // `cargo test --benches` starts it without arguments.
        println!("detection: MODEL_REPOSITORY PICTURE LIBRARY ROUNDS RUNS");
        return;
    };
    let number = |text: &str| text.parse::<usize>().expect("a number of rounds and runs");
    let (rounds, runs) = (number(rounds), number(runs));
    let mut file = Vec::new();
    push_element(&mut file, &std::fs::read(picture).expect("a picture"));
    let file = Bytes::from(file);
    let repository = PathBuf::from(repository);
    let onnxruntime = Arc::new(OnnxRuntimeBackend::new(OnnxRuntimeSettings::new(library)));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let mut steps = [
        Direct::load(&VisionBackend::default(), &repository, "detection-preprocess"),
        Direct::load(&*onnxruntime, &repository, "detection-network"),
        Direct::load(&VisionBackend::default(), &repository, "detection-postprocess"),
    ];
    let mut direct = || {
        let mut tensors: Vec<Named> =
            vec![("raw_image".into(), InputTensor { shape: Shape::from([1, 1]), data: file.clone().into() })];
        for step in &mut steps {
            let outputs = runtime.block_on(step.run(&tensors));
            tensors.extend(outputs);
        }
        assert!(tensors.iter().any(|(name, _)| &**name == "bbox"), "it finds faces");
    };

    let settings = Settings {
        repositories: vec![repository.clone().into()],
        control_mode: ControlMode::Explicit,
        load_models: vec!["detection".to_owned()],
        ..Settings::default()
    };
    let server = {
        let _in = runtime.enter();
        InferenceServer::new(settings, vec![Arc::new(VisionBackend::default()), onnxruntime])
    };
    let faults = runtime.block_on(server.load_repositories());
    assert!(faults.is_empty(), "everything loads: {faults:?}");

    let mut spent = [0.0; 2];
    for round in 0..=rounds {
        let started = cpu_seconds();
        (0..runs).for_each(|_| direct());
        let between = cpu_seconds();
        for _ in 0..runs {
            assert_eq!(runtime.block_on(ensemble(&server, &file)).outputs.len(), 4);
        }
        // The first round warms up.
        if round > 0 {
            spent[0] += between - started;
            spent[1] += cpu_seconds() - between;
        }
    }
    let [direct, ensemble] = spent.map(|seconds| seconds * 1000.0 / (rounds * runs) as f64);
    println!("{direct:.3} {ensemble:.3}");
}
