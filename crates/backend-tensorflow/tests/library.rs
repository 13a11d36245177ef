//! Whatever is in the place of the shared library is refused with a helpful message, until the right library is there.
//!
//! One test, because a process opens the library once.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;

use hippocamp_backend::Backend;
use hippocamp_backend_tensorflow::{Settings, TensorFlowBackend};
use kit::library;

/// Why a library was refused; asserts the rest of the message.
fn refused(library: &Path) -> String {
    let error = TensorFlowBackend::new(Settings::new(library)).available();
    let reason = error.expect_err("the library was expected to be refused").reason();
    let start = format!("Unavailable: TensorFlow cannot be loaded from '{}': ", library.display());
    let end = ". Version 2.21.0 is expected, with libtensorflow_framework.so.2 in the same folder: get it with scripts/fetch \
               tensorflow, or name the library with --backend-config=tensorflow,library=PATH";
    let why = reason.strip_prefix(&start).and_then(|rest| rest.strip_suffix(end));
    why.unwrap_or_else(|| panic!("another text was expected: {reason}")).to_owned()
}

/// Compiles a library from C code.
fn compiled(folder: &Path, name: &str, code: &str) -> PathBuf {
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&source, code).unwrap();
    let run = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(run.expect("this test needs a C compiler by the name of cc").success());
    library
}

#[test]
fn only_the_right_library_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let place = folder.join("libtensorflow_cc.so.2");
    assert_eq!(refused(&place), "No such file or directory (os error 2)");
    assert_eq!(refused(folder), "it is not a file");
    std::fs::write(&place, "nothing of the kind").unwrap();
    assert_eq!(refused(&place), "it is not a shared library");
    let head = hippocamp_files::head(&library(), 1 << 20).unwrap();
    std::fs::write(&place, head).unwrap();
    assert!(refused(&place).starts_with("it is truncated: "));

    let other = compiled(folder, "other", "int answer(void) { return 42; }");
    assert_eq!(refused(&other), "it is not TensorFlow: it has no 'TF_Version'");
    let version = |name: &str, version: &str| {
        compiled(folder, name, &format!("const char *TF_Version(void) {{ return {version}; }}"))
    };
    assert_eq!(refused(&version("mute", "0")), "it does not say its version");
    assert_eq!(refused(&version("first", "\"1.15.5\"")), "it is version 1.15.5");
    assert_eq!(refused(&version("old", "\"2.12.0\"")), "it is version 2.12.0");
    let hollow = refused(&version("hollow", "\"2.21.0\""));
    assert_eq!(hollow, "it is version 2.21.0, without 'TF_GetAllOpList'");

    std::fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(library(), &place).unwrap();
    let missing = Settings::not_found(vec![folder.join("a"), folder.join("b")]);
    let error = TensorFlowBackend::new(missing).available().unwrap_err();
    assert!(error.message().starts_with("TensorFlow was not found. Version 2.21.0 is expected"), "{error}");
    assert!(error.message().contains(&format!("{}/b", folder.display())), "{error}");

    let right = TensorFlowBackend::new(Settings::new(library()));
    right.available().unwrap();
    assert!(refused(&place).starts_with("this process already uses '"));
    right.available().unwrap();
}
