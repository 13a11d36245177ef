//! Files with the initial states of sequences, `initial_state.data_file` in a config.

use std::path::Path;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_files as files;
use hippocamp_model_config::{FaultKind, FileUse, ModelConfig, sequence_batching};
use hippocamp_proto::inference::model_sequence_batching::initial_state::StateData;

use crate::faults::about;

/// The subfolder of the model's folder that has these files, as in Triton.
const FOLDER: &str = "initial_state";

/// The largest size, in bytes, of the file of one state.
const LIMIT: u64 = 1 << 30;

/// Reads the file that the config names for a state. The config was validated: its file names do not leave the folder.
pub fn read(model: &str, model_directory: &Path, config: &ModelConfig, file: &str) -> Result<Bytes> {
    let path = files::named_from(&model_directory.join(FOLDER), file);
    let data = files::read(&path, LIMIT).map_err(|e| unreadable(model, &path, config, file, &e))?;
    Ok(data.into())
}

/// Checks that the file can be opened, without reading it.
pub fn open(model: &str, model_directory: &Path, config: &ModelConfig, file: &str) -> Result<()> {
    let path = files::named_from(&model_directory.join(FOLDER), file);
    files::open(&path).map(drop).map_err(|e| unreadable(model, &path, config, file, &e))
}

/// The files of initial states that the config names, each with its field.
pub fn named(config: &ModelConfig) -> impl Iterator<Item = (String, &str)> {
    let states = sequence_batching(config).into_iter().flat_map(|batching| batching.state.iter().enumerate());
    let initial = states.flat_map(|(index, state)| {
        state.initial_state.iter().enumerate().map(move |(number, initial)| (index, number, initial))
    });
    initial.filter_map(|(index, number, initial)| {
        let Some(StateData::DataFile(file)) = &initial.state_data else { return None };
        let path = format!("sequence_batching.state[{index}].initial_state[{number}].data_file");
        Some((path, file.as_str()))
    })
}

#[cold]
fn unreadable(model: &str, path: &Path, config: &ModelConfig, file: &str, why: &std::io::Error) -> Error {
    let path = path.display();
    let error = Error::invalid_arg(format!(
        "failed to read '{path}' for the initial state of model '{model}': {why}"
    ));
    let field = named(config).find(|(_, named)| *named == file).map(|(field, _)| field);
    about(error, &field.unwrap_or_default(), FaultKind::File(FileUse::InitialState))
}
