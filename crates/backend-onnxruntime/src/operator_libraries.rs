//! Libraries of custom operators, whose code a config loads into the process.
//!
//! They come from the model's own folder, or from folders that the command line names. Anyone who can write to these
//! folders can run code in this process; a load request cannot name a library (`loading/src/supported.rs`).

use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, ModelSource, Result};

use crate::Settings;
use hippocamp_engine_library::fault;

/// The paths of the libraries that the config of a model names, in its order.
pub(crate) fn operator_libraries(source: &ModelSource, settings: &Settings) -> Result<Vec<PathBuf>> {
    let operations = source.config.model_operations.iter();
    let names = operations.flat_map(|operations| &operations.op_library_filename);
    names.map(|name| find(source, settings, name)).collect()
}

fn find(source: &ModelSource, settings: &Settings, name: &str) -> Result<PathBuf> {
    let own = [source.model_directory.as_path(), source.version_directory.as_path()];
    let folders = || own.into_iter().chain(settings.operator_folders.iter().map(PathBuf::as_path));
    let found = folders().find_map(|folder| inside(folder, name));
    let refused = |why: &str| {
        let folders: Vec<_> = folders().map(|folder| format!("'{}'", folder.display())).collect();
        Error::invalid_arg(format!(
            "unable to load model '{}', operator library '{name}' of its config {why}; such libraries are taken from {} and \
             what --backend-config=onnxruntime,custom-op-directory=PATH names",
            source.name,
            folders.join(", ")
        ))
    };
    let file = found.ok_or_else(|| refused("was not found"))?;
    match fault(&file) {
        Some(why) => Err(refused(&format!("cannot be opened: {why}"))),
        None => Ok(file),
    }
}

/// The path of that file, if it is within the folder after all links are followed.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    // `join` replaces the folder by an absolute name.
    let file = folder.join(name).canonicalize().ok()?;
    (file.starts_with(&folder) && file.is_file()).then_some(file)
}
