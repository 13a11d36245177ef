//! Models for tests: graphs and saved models in a temporary folder, loaded as the server does.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its part")]

pub(crate) mod graph;

use std::path::{Path, PathBuf};

use hippocamp_backend::Result;
use hippocamp_backend_tensorflow::{Settings, TensorFlowBackend};
use hippocamp_batching::testing;
pub(crate) use hippocamp_batching::testing::{
    Folder, Loaded, execute, execute_together, input, numbers, only_output, strings,
};
use prost::Message;

use graph::{Graph, SavedModel};

/// The path of the library that `scripts/fetch tensorflow` downloads.
pub(crate) fn library() -> PathBuf {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tensorflow/lib/libtensorflow_cc.so.2");
    assert!(path.is_file(), "'{}' is missing: run scripts/fetch tensorflow", path.display());
    path
}

pub(crate) fn backend() -> TensorFlowBackend {
    TensorFlowBackend::new(Settings::new(library()))
}

pub(crate) fn of_graph(graph: &Graph) -> Folder {
    Folder::with("model.graphdef", &graph.encode())
}

pub(crate) fn of_saved_model(model: &SavedModel) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("model.savedmodel")).unwrap();
    folder.file("model.savedmodel/saved_model.pb", &model.encode_to_vec());
    folder
}

/// Loads a graph with a config that may be incomplete.
pub(crate) fn load(graph: &Graph, config: &str) -> Result<Loaded> {
    load_folder(of_graph(graph), config)
}

pub(crate) fn load_saved(model: &SavedModel, config: &str) -> Result<Loaded> {
    load_folder(of_saved_model(model), config)
}

pub(crate) fn load_folder(folder: Folder, config: &str) -> Result<Loaded> {
    testing::load(&backend(), folder, config)
}

/// The error of loading a graph and of making an instance.
pub(crate) fn refused(graph: &Graph, config: &str) -> String {
    refused_folder(of_graph(graph), config)
}

pub(crate) fn refused_folder(folder: Folder, config: &str) -> String {
    testing::refused(&backend(), folder, config)
}
