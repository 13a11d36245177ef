//! The label files of a model's outputs.

use std::path::Path;

use hippocamp_backend::{Error, Result};
use hippocamp_files as files;
use hippocamp_model_config::{FaultKind, FileUse};

use crate::faults::about;

/// The labels in the text of a label file. Line `n`, counted from 0, is the label of class `n`.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Reads the label file of the output at that index of the config.
pub(crate) fn read_file(
    model: &str,
    directory: &Path,
    index: usize,
    output: &str,
    file: &str,
) -> Result<String> {
    let path = files::named_from(directory, file);
    files::read_text(&path, files::TEXT_LIMIT).map_err(|e| {
        let path = path.display();
        let error = Error::invalid_arg(format!(
            "unable to load model '{model}', failed to read the labels of output '{output}' from '{path}': {e}"
        ));
        about(error, &format!("output[{index}].label_filename"), FaultKind::File(FileUse::Labels))
    })
}
