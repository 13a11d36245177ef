//! Models whose weights are in files beside them, while others change these files.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::{Backend, Device, InstanceSpec, Model, ModelInstance};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults};
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, backend, execute, input, numbers};

/// Floats of a weight: 36 MiB. A block of that size is unmapped when freed, even by an allocator that keeps blocks of
/// 32 MiB, so that reading it after that would crash.
const WIDTH: usize = 9 << 20;

const CONFIG: &str = "max_batch_size: 0";

/// y = x + weight. No operator repacks the weight, so the engine reads it in place for every request.
fn graph(file: &str) -> Graph {
    let width = WIDTH as i64;
    Graph::default()
        .node("Add", &["x", "weight"], &["y"])
        .input("x", element::FLOAT, Some(&[1]))
        .external_initializer("weight", element::FLOAT, &[width], (file, 4096, 4 * WIDTH as u64))
        .output("y", element::FLOAT, Some(&[width]))
}

/// A model folder with weights of this value in `weights.bin`.
fn folder(value: f32) -> (Folder, PathBuf) {
    let folder = Folder::with(FILE, &graph("weights.bin").encode());
    let path = folder.path(FILE).with_file_name("weights.bin");
    let mut file = File::create(&path).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    file.write_all(&numbers(vec![value; WIDTH])).unwrap();
    (folder, path)
}

struct Serving {
    model: Box<dyn Model>,
    spec: InstanceSpec,
}

fn load(folder: &Folder, config: &str) -> hippocamp_backend::Result<Serving> {
    let source = folder.source(BACKEND, config);
    let model = backend().load(&source)?;
    let mut config = ModelConfig::clone(&source.config);
    model.complete_config(&mut config, 4)?;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    let interface = Arc::new(Interface::new(&config).unwrap());
    let (name, config) = ("m_0_0".to_owned(), Arc::new(config));
    let spec = InstanceSpec { name, index: 0, device: Device::Cpu, config, interface };
    Ok(Serving { model, spec })
}

impl Serving {
    fn instance(&self) -> Box<dyn ModelInstance> {
        self.model.new_instance(&self.spec).unwrap().into_box()
    }

    /// Whether all elements of the response to 1 have this value.
    fn answers(&self, instance: &mut dyn ModelInstance, value: f32) -> bool {
        let response = execute(instance, &self.spec.interface, vec![input(&[1], numbers([1f32]))]).unwrap();
        response.outputs[0].data.to_host().unwrap() == numbers(vec![value; WIDTH])
    }
}

#[test]
fn weights_that_are_taken_away_are_kept() {
    let (folder, path) = folder(2.0);
    let serving = load(&folder, CONFIG).unwrap();
    let (mut first, mut second) = (serving.instance(), serving.instance());
    assert!(serving.answers(&mut *first, 3.0));
    // As `cp` overwrites a file: it is truncated first.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(serving.answers(&mut *first, 3.0));
    assert!(serving.answers(&mut *second, 3.0), "an instance that was not used before");
}

#[test]
fn weights_that_are_written_over_are_kept() {
    let (folder, path) = folder(2.0);
    let serving = load(&folder, CONFIG).unwrap();
    let mut instance = serving.instance();
    OpenOptions::new().write(true).open(&path).unwrap().write_all(&vec![0; 4096 + 4 * WIDTH]).unwrap();
    assert!(serving.answers(&mut *instance, 3.0));
}

#[test]
fn weights_that_are_too_short_or_missing_fail_the_load() {
    let (folder, path) = folder(2.0);
    File::options().write(true).open(&path).unwrap().set_len(8192).unwrap();
    assert!(load(&folder, CONFIG).is_err(), "cut short");
    std::fs::remove_file(&path).unwrap();
    let error = load(&folder, CONFIG).err().unwrap();
    assert!(error.message().contains("weights.bin"), "{error}");
}

#[test]
fn no_file_outside_of_the_folder_is_read() {
    let (folder, path) = folder(2.0);
    for name in ["../weights.bin", path.to_str().unwrap()] {
        let outside = folder.path(FILE).parent().unwrap().with_file_name("weights.bin");
        std::fs::copy(&path, outside).unwrap();
        std::fs::write(folder.path(FILE), graph(name).encode()).unwrap();
        assert!(load(&folder, CONFIG).is_err(), "{name}");
    }
}

#[test]
fn files_may_be_mapped_if_the_config_says_so() {
    let (folder, path) = folder(2.0);
    let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap());
    let serving = load(&folder, CONFIG).unwrap();
    let mut instance = serving.instance();
    assert!(serving.answers(&mut *instance, 3.0) && !mapped());
    drop(instance);
    let config = r#"max_batch_size: 0
        parameters { key: "map_external_data" value { string_value: "1" } }"#;
    let serving = load(&folder, config).unwrap();
    let mut instance = serving.instance();
    assert!(serving.answers(&mut *instance, 3.0) && mapped());
}
