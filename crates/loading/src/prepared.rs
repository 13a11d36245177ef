//! The load's use of the list of steps in [`steps`](crate::steps).

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::Result;
use hippocamp_model_config::{Fault, ModelConfig};
use hippocamp_repository::ModelFolder;
use tracing::warn;

use crate::Context;
use crate::faults::join;
use crate::preparation::{Preparation, Until};
use crate::steps::{CONFIG, REQUIREMENTS};

/// A model whose config was read and validated.
#[derive(Debug)]
pub struct Prepared {
    pub folder: ModelFolder,
    pub config: ModelConfig,
    /// The versions that the version policy selects, in ascending order; there is at least one.
    pub versions: Vec<u64>,
    /// Warnings, which are logged when the model is loaded.
    pub(crate) warnings: Vec<Fault>,
}

/// What loading needs besides the model file, once it was checked.
#[derive(Debug)]
pub struct Required {
    /// The config. Instances whose GPUs cannot be used are on the CPU if the settings ask for that.
    pub config: ModelConfig,
    /// The labels of each output that has a label file, by the output's name.
    pub labels: BTreeMap<Arc<str>, Vec<String>>,
}

/// Reads and validates the config; opens no model file. A config in `json` replaces the one in the folder. The error has all
/// faults of the config.
pub fn prepare(context: &Context, folder: ModelFolder, json: Option<&str>) -> Result<Prepared> {
    let mut model = Preparation::new(context, &folder, json);
    model.take(&CONFIG, Until::End);
    let Preparation { written, versions, report, .. } = model;
    join(report.errors).map_or(Ok(()), Err)?;
    let warnings = report.warnings;
    Ok(Prepared { folder, config: written.config, versions, warnings })
}

/// Checks that the server and the folder have everything that the config refers to, except for the model file. The error is
/// that of the first step that fails.
pub fn require(context: &Context, prepared: &Prepared) -> Result<Required> {
    let Prepared { folder, config, versions, warnings } = prepared;
    let mut model = Preparation::new(context, folder, None);
    model.written.config = config.clone();
    model.versions.clone_from(versions);
    model.take(&REQUIREMENTS, Until::FirstFault);
    let Preparation { written, labels, report, .. } = model;
    for Fault { path, message, .. } in warnings.iter().chain(&report.warnings) {
        if path.is_empty() {
            warn!(model = folder.name, "{message}");
        } else {
            warn!(model = folder.name, "config field '{path}': {message}");
        }
    }
    join(report.errors).map_or(Ok(()), Err)?;
    Ok(Required { config: written.config, labels })
}
