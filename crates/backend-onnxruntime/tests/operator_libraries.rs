//! Custom operators of a library beside the model, and the places from which libraries are accepted.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::mem::offset_of;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hippocamp_backend::{Backend, Device, InstanceSpec};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults};
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, execute, input, library, numbers};
use ort::sys::OrtApi;

/// Compiles `models/times_two.c` to that path.
fn compile(target: &Path) {
    let places = [
        ("INPUT", offset_of!(OrtApi, KernelContext_GetInput)),
        ("OUTPUT", offset_of!(OrtApi, KernelContext_GetOutput)),
        ("SHAPE", offset_of!(OrtApi, GetTensorTypeAndShape)),
        ("RANK", offset_of!(OrtApi, GetDimensionsCount)),
        ("DIMS", offset_of!(OrtApi, GetDimensions)),
        ("COUNT", offset_of!(OrtApi, GetTensorShapeElementCount)),
        ("RELEASE_SHAPE", offset_of!(OrtApi, ReleaseTensorTypeAndShapeInfo)),
        ("DATA", offset_of!(OrtApi, GetTensorMutableData)),
        ("DOMAIN", offset_of!(OrtApi, CreateCustomOpDomain)),
        ("ADD", offset_of!(OrtApi, CustomOpDomain_Add)),
        ("ADD_DOMAIN", offset_of!(OrtApi, AddCustomOpDomain)),
    ];
    let places = places.map(|(name, offset)| format!("-DPLACE_{name}={}", offset / size_of::<usize>()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/times_two.c");
    let run = Command::new("cc")
        .args(["-std=c11", "-shared", "-fPIC", "-o"])
        .args([target, &source])
        .args(places)
        .status();
    assert!(run.expect("this test needs a C compiler by the name of cc").success());
}

/// The folder of a model that uses the operator.
fn folder() -> Folder {
    let graph = Graph::default()
        .node_of("test", "TimesTwo", &["x"], &["y"], &[])
        .input("x", element::FLOAT, Some(&[-1]))
        .output("y", element::FLOAT, Some(&[-1]));
    Folder::with(FILE, &graph.encode_for(9, &[("", 19), ("test", 1)]))
}

/// The result for [1, 2] of the model with a config that names this library.
fn answer(folder: &Folder, settings: Settings, name: &str) -> hippocamp_backend::Result<bytes::Bytes> {
    let source = folder.source(
        BACKEND,
        &format!("max_batch_size: 0 model_operations {{ op_library_filename: \"{name}\" }}"),
    );
    let model = OnnxRuntimeBackend::new(settings).load(&source)?;
    let mut config = ModelConfig::clone(&source.config);
    model.complete_config(&mut config, 4)?;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    let interface = Arc::new(Interface::new(&config).unwrap());
    let spec = InstanceSpec {
        name: "m_0_0".into(),
        index: 0,
        device: Device::Cpu,
        config: Arc::new(config),
        interface: Arc::clone(&interface),
    };
    let mut instance = model.new_instance(&spec)?.into_box();
    let response = execute(&mut *instance, &interface, vec![input(&[2], numbers([1f32, 2.]))])?;
    Ok(response.outputs[0].data.to_host().unwrap())
}

fn settings(operator_folders: &[&Path]) -> Settings {
    let operator_folders = operator_folders.iter().map(|path| path.to_path_buf()).collect();
    Settings { operator_folders, ..Settings::new(library()) }
}

#[test]
fn a_library_is_taken_from_the_models_folder_and_from_those_that_are_named() {
    let folder = folder();
    let model = folder.root().join("m");
    let elsewhere = tempfile::tempdir().unwrap();
    let aside = elsewhere.path().join("operators.so");
    compile(&aside);
    let twice = numbers([2f32, 4.]);
    std::fs::copy(&aside, model.join("beside.so")).unwrap();
    assert_eq!(answer(&folder, settings(&[]), "beside.so").unwrap(), twice);
    std::fs::copy(&aside, model.join("1/within.so")).unwrap();
    assert_eq!(answer(&folder, settings(&[]), "within.so").unwrap(), twice);
    assert_eq!(answer(&folder, settings(&[]), "1/within.so").unwrap(), twice);

    let path = aside.to_str().unwrap();
    for name in ["operators.so", path] {
        assert_eq!(answer(&folder, settings(&[elsewhere.path()]), name).unwrap(), twice);
    }
    let link = model.join("link.so");
    std::os::unix::fs::symlink(&aside, &link).unwrap();
    for name in ["operators.so", path, "link.so", "../../operators.so"] {
        let reason = answer(&folder, settings(&[]), name).unwrap_err().reason();
        assert!(
            reason.starts_with(&format!(
                "Invalid argument: unable to load model 'm', operator library '{name}' of its config was not found; such \
                 libraries are taken from '"
            )),
            "{reason}"
        );
    }
}

#[test]
fn what_is_no_library_is_refused() {
    let folder = folder();
    let file = folder.root().join("m/operators.so");
    std::fs::write(&file, "nothing of the kind").unwrap();
    let reason = |folder: &Folder| answer(folder, settings(&[]), "operators.so").unwrap_err().reason();
    assert!(reason(&folder).contains("cannot be opened: it is not a shared library"), "{}", reason(&folder));
    compile(&file);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 4]).unwrap();
    assert!(reason(&folder).contains("cannot be opened: it is truncated"), "{}", reason(&folder));
    assert!(answer(&folder, settings(&[]), "none.so").is_err());
}
