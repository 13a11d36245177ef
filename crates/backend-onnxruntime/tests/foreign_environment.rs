//! Tests that models load where another part of the process has used the same library before, as Triton's own backend for ONNX
//! Runtime does. The environment of the library is then not this crate's.

#![allow(unsafe_code, reason = "calls the library as another part of the process does")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::ptr::null_mut;

use kit::onnx::{Graph, element};
use kit::{input, load, numbers};
use ort::sys::{ORT_API_VERSION, OrtApiBase, OrtLoggingLevel};

/// Opens the library and makes its environment, both for good.
fn make_environment() {
    let library = hippocamp_engine_library::open(&kit::library()).unwrap();
    // SAFETY: the symbol of this name has this type.
    let base =
        unsafe { library.get::<extern "system" fn() -> *const OrtApiBase>(c"OrtGetApiBase") }.unwrap()();
    let mut environment = null_mut();
    // SAFETY: the tables live as long as the library; the name and the address are valid during the call.
    let failed = unsafe {
        let api = ((*base).GetApi)(ORT_API_VERSION);
        ((*api).CreateEnv)(
            OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR,
            c"foreign".as_ptr(),
            &raw mut environment,
        )
    };
    assert!(failed.0.is_null() && !environment.is_null());
    std::mem::forget(library);
}

#[test]
fn models_load_into_an_environment_that_others_have_made() {
    make_environment();
    let graph = || {
        let graph = Graph::default().node("Neg", &["x"], &["y"]);
        graph.input("x", element::FLOAT, Some(&[2])).output("y", element::FLOAT, Some(&[2]))
    };
    // The first finds out that there is no pool, the next ones know. With threads of its own it makes no difference.
    let number = "parameters { key: \"intra_op_thread_count\" value { string_value: \"1\" } }";
    for config in ["", "", number, "instance_group { count: 2 kind: KIND_CPU }"] {
        let (_, data) = load(graph(), config).unwrap().output(vec![input(&[2], numbers([1f32, 2.]))]);
        assert_eq!(data, numbers([-1f32, -2.]), "{config}");
    }
}
