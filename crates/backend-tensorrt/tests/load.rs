//! What is loaded, and what is refused with which words.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use hippocamp_backend::{Backend, Code};
use hippocamp_device::testing::TestDriver;
use kit::{Setup, VERSIONS, floats, input, output, plan, refused};

const TWICE: &str = "
    input x FLOAT -1,2 device data 1,2:4,2:8,2
    output y FLOAT x.0,2 device data
    affine x y 2 0";

#[test]
fn the_plan_is_chosen_by_compute_capability() {
    // Simulated devices are of compute capability 9.0.
    let setup = Setup::new(0)
        .file("hopper.plan", &plan(0, TWICE))
        .file("model.plan", b"not the one")
        .file("other.plan", &plan(0, TWICE));
    let load = |config: &str| setup.load(config).map(drop).map_err(|error| error.message().to_owned());
    load("cc_model_filenames { key: \"9.0\" value: \"hopper.plan\" }").unwrap();
    load("cc_model_filenames { key: \"8.6\" value: \"none.plan\" } default_model_filename: \"other.plan\"")
        .unwrap();
    assert!(load("").unwrap_err().contains("it does not begin like a plan"));
    let missing = load("cc_model_filenames { key: \"9.0\" value: \"none.plan\" }").unwrap_err();
    assert!(missing.ends_with("none.plan', the plan for GPUs of compute capability 9.0"), "{missing}");
}

#[test]
fn a_plan_of_another_version_says_what_is_here_and_what_to_do() {
    let mut other = plan(0, TWICE);
    other[24..27].copy_from_slice(&[10, 7, 0]);
    let error = Setup::new(0).file("model.plan", &other).load("").err().unwrap();
    let text = error.message();
    assert_eq!(error.code(), Code::InvalidArg);
    for part in [
        "unable to load model 'm', the plan '",
        "it was built by TensorRT 10.7.0, here are TensorRT 10.16.1 and GPU 0 (test device, compute capability 9.0)",
        "expecting library version 10.7.0, please rebuild",
        "build it here from its ONNX model, with 'hippocamp plan' or trtexec",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_library_is_chosen_by_the_plan() {
    let setup = Setup::new(0).file("model.plan", &plan(1, TWICE));
    std::fs::copy(
        setup.libraries.path().join("libnvinfer.so.10"),
        setup.libraries.path().join("libnvinfer.so.11"),
    )
    .unwrap();
    setup.load("").unwrap();
    std::fs::write(setup.folder.path("model.plan"), plan(0, TWICE)).unwrap();
    setup.load("").unwrap();
    std::fs::write(setup.folder.path("model.plan"), plan(2, TWICE)).unwrap();
    let text = setup.load("").err().unwrap().message().to_owned();
    assert!(text.contains("Plans of TensorRT for RTX run with its own library only"), "{text}");
}

#[test]
fn code_in_plans_has_to_be_allowed() {
    let text = format!("{TWICE}\nhost-code");
    let denied = refused(1, &text, "");
    assert!(denied.contains("--backend-config=tensorrt,version-compatible=true"), "{denied}");
    let mut older = plan(1, &text);
    older[25] = 1;
    let setup = Setup::new(1).option("version-compatible", "true").file("model.plan", &older);
    let model = setup.load("").unwrap();
    let responses = model.run(vec![vec![input(&[1, 2], floats([1.0, 2.0]))]]);
    assert_eq!(output(responses[0].as_ref().unwrap(), 0).1, floats([2.0, 4.0]));
}

#[test]
fn plugins_are_registered_and_those_that_are_missing_are_said_how_to_name() {
    let denied = refused(0, &format!("{TWICE}\nplugin MyPlugin"), "");
    assert!(denied.contains("--backend-config=tensorrt,plugins=PATH"), "{denied}");
    // The double is a library with plugins, too.
    let setup = Setup::new(0).file("model.plan", &plan(0, &format!("{TWICE}\nplugin MyPlugin")));
    let library = setup.libraries.path().join(VERSIONS[0].0);
    setup.option("plugins", library.to_str().unwrap()).load("").unwrap();
    let setup = Setup::new(0).option("plugins", "/nowhere/plugins.so").file("model.plan", &plan(0, TWICE));
    let error = setup.load("").err().unwrap();
    assert!(
        error.message().starts_with("'/nowhere/plugins.so' cannot be opened for its plugins"),
        "{error:?}"
    );
}

#[test]
fn formats_types_and_batches_that_requests_cannot_have_are_refused() {
    let vectorised = refused(0, &format!("{TWICE}\nformat x 5"), "");
    assert!(
        vectorised.contains("tensor 'x' of its plan is stored in format Chw32 (a format of the double)"),
        "{vectorised}"
    );
    assert!(vectorised.contains("--inputIOFormats=fp32:chw"), "{vectorised}");
    let fp8 = refused(0, &TWICE.replace("x FLOAT", "x FP8"), "");
    assert!(fp8.contains("has elements of type Fp8, which no client can send or read"), "{fp8}");
    let implicit = refused(0, &format!("{TWICE}\nimplicit-batch"), "");
    assert!(implicit.contains("leave 'reshape' out of the config"), "{implicit}");
    let reshaped = "max_batch_size: 4 \
        input { name: \"x\" data_type: TYPE_FP32 dims: 2 reshape { shape: [ 1, 1, 2 ] } } \
        output { name: \"y\" data_type: TYPE_FP32 dims: 2 }";
    let reshaped = refused(0, TWICE, reshaped);
    assert!(reshaped.contains("'reshape' of plans with an implicit batch has to go"), "{reshaped}");
    assert_eq!(
        refused(0, TWICE, "max_batch_size: 9"),
        "Invalid argument: unable to load model 'm', configuration specified max-batch 9 but TensorRT engine only supports \
         max-batch 8"
    );
}

#[test]
fn graph_specs_are_checked() {
    let spec = |text: &str| {
        let config =
            format!("max_batch_size: 8 optimization {{ cuda {{ graphs: true graph_spec {{ {text} }} }} }}");
        let (_setup, model) = Setup::with_plan(0, TWICE, &config).unwrap();
        model.instance_on(0, 0).err().map(|error| error.message().to_owned()).unwrap_or_default()
    };
    assert_eq!(spec("batch_size: 4"), "");
    assert!(spec("batch_size: 9").ends_with("from 1 to max_batch_size 8, got 9"));
    assert!(
        spec("batch_size: 4 input { key: \"z\" value { dim: 2 } }").contains("for 'z', which is no input")
    );
}

#[test]
fn without_a_gpu_it_says_what_to_do() {
    let setup = Setup::on(TestDriver::new(0, 0), VERSIONS[0].0).file("model.plan", &plan(0, TWICE));
    let error = setup.load("").err().unwrap();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        error
            .message()
            .starts_with("unable to load model 'm', there is no GPU, and TensorRT plans run on GPUs only")
    );
    let setup = Setup::new(0).file("model.plan", &plan(0, TWICE));
    let error = setup.load("instance_group { kind: KIND_GPU gpus: 3 }").err().unwrap();
    assert!(error.message().starts_with("unable to load model 'm', there is no GPU 3"), "{error:?}");
    let model = setup.load("instance_group { kind: KIND_CPU }").unwrap();
    let error = model.model.new_instance(&model.spec(hippocamp_backend::Device::Cpu)).err().unwrap();
    assert!(error.message().contains("asks for the CPU, and TensorRT plans run on GPUs only"), "{error:?}");
}

#[test]
fn a_library_that_is_not_known_or_missing_is_said() {
    let setup =
        Setup::on(TestDriver::new(1, 1 << 30), "libnvinfer.so.12").file("model.plan", &plan(0, TWICE));
    let error = setup.load("").err().unwrap();
    assert!(error.message().ends_with("it is TensorRT 12.0.0, expected is version 10 and 11"), "{error:?}");
    assert!(setup.backend().available().is_err());
    std::fs::remove_file(setup.libraries.path().join("libnvinfer.so.12")).unwrap();
    let error = setup.load("").err().unwrap();
    assert!(error.message().starts_with("TensorRT was not found: install TensorRT 10 or 11"), "{error:?}");
    let broken = setup.libraries.path().join("broken.so");
    std::fs::write(&broken, "text").unwrap();
    let setup = setup.option("library", broken.to_str().unwrap());
    let error = setup.load("").err().unwrap();
    assert!(error.message().ends_with("cannot be used as TensorRT: it is not a shared library"), "{error:?}");
}
