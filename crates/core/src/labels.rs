//! The label files of a model's outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::Interface;

/// Reads the label file of every output that names one: a line a class, from class 0 on.
pub(crate) fn read(
    model: &str,
    directory: &Path,
    interface: &Interface,
) -> Result<BTreeMap<Arc<str>, Vec<String>>> {
    let named = interface.outputs.iter().filter(|output| !output.label_filename.is_empty());
    named
        .map(|output| {
            let path = directory.join(&output.label_filename);
            let text = fs::read_to_string(&path).map_err(|e| {
                let (name, path) = (&output.name, path.display());
                Error::invalid_arg(format!(
                    "unable to load model '{model}', failed to read the labels of output '{name}' from '{path}': {e}"
                ))
                .with_source(e)
            })?;
            Ok((Arc::clone(&output.name), text.lines().map(|line| line.trim_end().to_owned()).collect()))
        })
        .collect()
}
