//! Tests that a backend gets the libraries beside it, where this server has loaded others of the same names.

#![allow(unsafe_code, reason = "calls a library in C")]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use libloading::os::unix::{Library, RTLD_NOW};

use kit::{Backends, TENSORS, start};

#[tokio::test]
async fn a_backend_gets_the_library_beside_it_and_not_that_of_the_server() {
    let backends = Backends { folder: tempfile::tempdir().unwrap() };
    let elsewhere = backends.compile_with_own_library();
    let engine = hippocamp_engine_library::open(&elsewhere).unwrap();
    let config = format!("backend: \"own_library\" {TENSORS}");
    let (_server, failed) = start(backends.settings(), &[("m", config)]).await;
    assert_eq!(failed, Vec::<String>::new());
    // Whatever else is opened by that name afterwards gets what it would have got before.
    // SAFETY: the libraries do nothing while they are opened, and the function has this type.
    let version = unsafe {
        let found = Library::open(Some("libonnxruntime.so.1"), RTLD_NOW).unwrap();
        found.get::<extern "C" fn() -> i32>(c"namesake_version").unwrap()()
    };
    assert_eq!(version, 1);
    drop(engine);
}
