//! The steps as a load takes them.

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

/// A config that was read and found usable, and what it selects.
#[derive(Debug)]
pub struct Prepared {
    pub folder: ModelFolder,
    pub config: ModelConfig,
    /// Lowest first; at least one.
    pub versions: Vec<u64>,
    /// What is not as it was probably meant, to be logged when the model is loaded.
    pub(crate) warnings: Vec<Fault>,
}

/// What a usable config requires, found to be there.
#[derive(Debug)]
pub struct Required {
    /// With instances on the CPU where that was asked for.
    pub config: ModelConfig,
    /// The labels of each output that has a label file.
    pub labels: BTreeMap<Arc<str>, Vec<String>>,
}

/// Reads and checks the config, without touching the model files. `json` replaces the config on disk. The error tells all
/// that is wrong.
pub fn prepare(context: &Context, folder: ModelFolder, json: Option<&str>) -> Result<Prepared> {
    let mut model = Preparation::new(context, &folder, json);
    model.take(&CONFIG, Until::End);
    let Preparation { written, versions, report, .. } = model;
    join(report.errors).map_or(Ok(()), Err)?;
    let warnings = report.warnings;
    Ok(Prepared { folder, config: written.config, versions, warnings })
}

/// Looks whether all is there that the config requires beside the model files. The error tells the first that is not.
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
