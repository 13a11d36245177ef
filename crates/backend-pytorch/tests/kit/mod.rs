//! Models for tests: scripts in a temporary folder, loaded as the server does.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its part")]

pub(crate) mod script;

use std::path::{Path, PathBuf};

use hippocamp_backend::Result;
use hippocamp_backend_pytorch::{PyTorchBackend, Settings};
use hippocamp_batching::testing;
pub(crate) use hippocamp_batching::testing::{
    Folder, Loaded, execute, execute_together, input, numbers, only_output, strings,
};

use script::Script;

/// The path of the library that `scripts/fetch torch` downloads.
pub(crate) fn library() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/torch/lib");
    let missing = ["libtorch_cpu.so", "libhippocamp_torch.so"].map(|name| folder.join(name)).into_iter();
    if let Some(path) = { missing }.find(|path| !path.is_file()) {
        panic!("'{}' is missing: run scripts/fetch torch and scripts/torch-shim", path.display());
    }
    folder.join("libtorch_cpu.so")
}

pub(crate) fn backend() -> PyTorchBackend {
    PyTorchBackend::new(Settings::new(library()))
}

fn folder(script: &Script) -> Folder {
    Folder::with("model.pt", &script.encode())
}

/// Loads a model with its config.
pub(crate) fn load(script: &Script, config: &str) -> Result<Loaded> {
    load_folder(folder(script), config)
}

pub(crate) fn load_folder(folder: Folder, config: &str) -> Result<Loaded> {
    testing::load(&backend(), folder, config)
}

/// The error of loading a model and of making an instance.
pub(crate) fn refused(script: &Script, config: &str) -> String {
    refused_folder(folder(script), config)
}

pub(crate) fn refused_folder(folder: Folder, config: &str) -> String {
    testing::refused(&backend(), folder, config)
}
