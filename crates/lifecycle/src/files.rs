//! Finds a model's files.

use hippocamp_backend::Error;
use hippocamp_repository::{ModelFolder, ScanFault, find};

use crate::overrides::{LoadOverrides, ModelFiles, OverrideFolder};
use crate::settings::Repositories;

/// Finds a model's files in the repositories, or writes those of the load request to a temporary folder. Files in a remote
/// store are downloaded. Fails if no repository has the model, a download fails, or override files come without a config.
pub fn find_files(
    repositories: &Repositories,
    name: &str,
    overrides: &LoadOverrides,
) -> Result<(ModelFolder, Option<ModelFiles>), Error> {
    if !overrides.files.is_empty() {
        if overrides.config.is_none() {
            return Err(Error::invalid_arg(format!(
                "override files of model '{name}' came without a 'config' parameter"
            )));
        }
        let files = OverrideFolder::write(name, &overrides.files)?;
        return Ok((files.read(name, overrides.trusted)?, Some(ModelFiles::Override(files))));
    }
    let found = find(&repositories.locations, name, &repositories.options).map_err(|fault| match fault {
        ScanFault::Fetch { .. } => Error::unavailable(fault.to_string()),
        fault => Error::internal(fault.to_string()),
    })?;
    let found = found.ok_or_else(|| Error::not_found(format!("no model repository has model '{name}'")))?;
    Ok((found.folder, found.files.map(ModelFiles::Snapshot)))
}
