//! Selects the versions of a model that are loaded.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{self as model_config, FaultKind, ModelConfig};
use hippocamp_repository::{ModelFolder, select_versions};

use crate::faults::about;

/// The versions that the version policy selects, in ascending order. It is an error if there is none.
pub(crate) fn selected(folder: &ModelFolder, config: &ModelConfig) -> Result<Vec<u64>> {
    let mut available = folder.versions.clone();
    if available.is_empty() && model_config::is_ensemble(config) {
        // The version folder of an ensemble is empty, and git does not keep empty folders. So it may be missing.
        available.insert(1);
    }
    let versions = select_versions(&available, config.version_policy.as_ref());
    if versions.is_empty() {
        return Err(no_version(folder, config));
    }
    Ok(versions.into_iter().collect())
}

#[cold]
fn no_version(folder: &ModelFolder, config: &ModelConfig) -> Error {
    let file = Some(config.default_model_filename.as_str()).filter(|name| !name.is_empty());
    let misplaced = folder.misplaced_versions();
    let mut beside = None;
    let fix = match file.filter(|name| hippocamp_files::named_from(&folder.path, name).is_file()) {
        _ if !folder.versions.is_empty() => {
            let there: Vec<String> = folder.versions.iter().map(u64::to_string).collect();
            format!("widen the policy, there are the versions {}", there.join(", "))
        }
        _ if !misplaced.is_empty() => {
            let each = misplaced.iter().map(|(version, found)| format!("'{version}' is {found}"));
            format!("{}: make it a folder with the model file in it", each.collect::<Vec<_>>().join(", "))
        }
        Some(name) => {
            beside = Some(name.to_owned());
            format!("'{name}' lies in the model's folder: make a folder '1' there and move it into that")
        }
        None => "make a folder '1' with the model file in it".to_owned(),
    };
    let name = &folder.name;
    let error = Error::invalid_arg(format!(
        "at least one version must be available under the version policy of model '{name}'; {fix}"
    ));
    about(error, "version_policy", FaultKind::NoVersion { misplaced: beside })
}
