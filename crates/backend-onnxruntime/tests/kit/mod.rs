//! Models for tests: an ONNX file in a temporary folder, loaded as the server does.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its part")]

pub(crate) mod onnx;

use std::path::{Path, PathBuf};

use hippocamp_backend::Result;
use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};
use hippocamp_batching::testing;
pub(crate) use hippocamp_batching::testing::{Folder, Loaded, execute, execute_together, input, numbers};

use onnx::Graph;

/// The name of the model file.
pub(crate) const FILE: &str = "model.onnx";
/// The name of the backend.
pub(crate) const BACKEND: &str = "onnxruntime";

/// The path of the library that `scripts/fetch` downloads.
pub(crate) fn library() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/onnxruntime/lib/libonnxruntime.so");
    assert!(path.is_file(), "'{}' is missing: run scripts/fetch onnxruntime", path.display());
    path
}

pub(crate) fn backend() -> OnnxRuntimeBackend {
    OnnxRuntimeBackend::new(Settings::new(library()))
}

/// Loads a graph with a config that may be incomplete.
pub(crate) fn load(graph: Graph, config: &str) -> Result<Loaded> {
    load_file(&graph.encode(), config)
}

pub(crate) fn load_file(content: &[u8], config: &str) -> Result<Loaded> {
    testing::load(&backend(), Folder::with(FILE, content), config)
}

/// The error of loading.
pub(crate) fn refused(graph: Graph, config: &str) -> String {
    load(graph, config).expect_err("the model was expected to be refused").reason()
}
