//! Files with what the sequences of a model begin with.

use std::path::Path;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};

/// The folder of a model that has them, as in Triton.
const FOLDER: &str = "initial_state";

/// The content of a file that the config names for a state; the config was checked to name none outside of the folder.
pub(crate) fn read(model: &str, model_directory: &Path, file: &str) -> Result<Bytes> {
    let path = model_directory.join(FOLDER).join(file);
    let data = std::fs::read(&path).map_err(|e| {
        Error::invalid_arg(format!(
            "failed to read '{}' for the initial state of model '{model}': {e}",
            path.display()
        ))
        .with_source(e)
    })?;
    Ok(data.into())
}
