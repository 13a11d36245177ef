//! Whatever is in the place of the shared library is refused with a helpful message, until the right library is there.
//!
//! One test, because a process opens the library once.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;

use hippocamp_backend::{Backend, Model, Result};
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, library};

fn load(library: &Path) -> Result<Box<dyn Model>> {
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, Some(&[2])).output(
        "y",
        element::FLOAT,
        Some(&[2]),
    );
    let folder = Folder::with(FILE, &graph.encode());
    OnnxRuntimeBackend::new(Settings::new(library)).load(&folder.source(BACKEND, ""))
}

/// Why a library was refused; asserts the rest of the message.
fn refused(library: &Path) -> String {
    let reason = load(library).err().expect("the library was expected to be refused").reason();
    let start = format!("Unavailable: ONNX Runtime cannot be loaded from '{}': ", library.display());
    let end = ". Version 1.31.1 or later is expected: get it with scripts/fetch, or name the library with \
               --backend-config=onnxruntime,library=PATH";
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

/// A library with ONNX Runtime's entry point and that version, but without an interface.
fn imitation(folder: &Path, name: &str, version: &str) -> PathBuf {
    let code = format!(
        "static const char *version(void) {{ return \"{version}\"; }}
         static const void *api(unsigned number) {{ return 0; }}
         static const struct {{ const void *(*api)(unsigned); const char *(*version)(void); }} base = {{ api, version }};
         const void *OrtGetApiBase(void) {{ return &base; }}"
    );
    compiled(folder, name, &code)
}

#[test]
fn only_the_right_library_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let place = folder.join("libonnxruntime.so");
    assert_eq!(refused(&place), "No such file or directory (os error 2)");
    assert_eq!(refused(folder), "it is not a file");
    std::fs::write(&place, "nothing of the kind").unwrap();
    assert_eq!(refused(&place), "it is not a shared library");

    let whole = std::fs::read(library()).unwrap();
    for part in [100, 4096, whole.len() / 2, whole.len() - (2 << 20)] {
        std::fs::write(&place, &whole[..part]).unwrap();
        assert!(refused(&place).starts_with("it is truncated: "), "{part}");
    }

    let other = compiled(folder, "other", "int answer(void) { return 42; }");
    assert_eq!(refused(&other), "it is not ONNX Runtime: it has no 'OrtGetApiBase'");
    let empty = compiled(folder, "empty", "const void *OrtGetApiBase(void) { return 0; }");
    assert_eq!(refused(&empty), "it has no interface");
    assert_eq!(refused(&imitation(folder, "old", "1.20.1")), "it is version 1.20.1");
    assert_eq!(refused(&imitation(folder, "hollow", "1.31.1")), "it is version 1.31.1, without interface 31");

    // The same path works once the right file is there, without a restart.
    std::fs::write(&place, &whole).unwrap();
    load(&place).map(drop).unwrap();
    assert!(refused(&library()).starts_with("this process already uses '"));
    load(&place).map(drop).unwrap();
}
