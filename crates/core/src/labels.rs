//! The label files of a model's outputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_files as files;
use hippocamp_model_config::{FaultKind, FileUse, Interface};

use crate::faults::{Collected, about};

/// Reads the label file of every output that names one: a line a class, from class 0 on.
pub(crate) fn read(
    model: &str,
    directory: &Path,
    interface: &Interface,
) -> Result<BTreeMap<Arc<str>, Vec<String>>> {
    let outputs = interface.outputs.iter().enumerate();
    let mut faults = Collected::default();
    let mut labels = BTreeMap::new();
    for (index, output) in outputs.filter(|(_, output)| !output.label_filename.is_empty()) {
        let text = read_file(model, directory, index, &output.name, &output.label_filename);
        if let Some(text) = faults.take(text) {
            let lines = text.lines().map(|line| line.trim_end().to_owned()).collect();
            labels.insert(Arc::clone(&output.name), lines);
        }
    }
    faults.into_result().map(|()| labels)
}

/// The text of the label file of the output of that number.
pub(crate) fn read_file(
    model: &str,
    directory: &Path,
    index: usize,
    output: &str,
    file: &str,
) -> Result<String> {
    let path = directory.join(file);
    files::read_text(&path, files::TEXT_LIMIT).map_err(|e| {
        let path = path.display();
        let error = Error::invalid_arg(format!(
            "unable to load model '{model}', failed to read the labels of output '{output}' from '{path}': {e}"
        ));
        about(error, &format!("output[{index}].label_filename"), FaultKind::File(FileUse::Labels))
    })
}
