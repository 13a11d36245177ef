//! Overrides that a load request may contain: a config, and optionally the model files.

use std::fs;
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_repository::{Fingerprint, ModelFolder, Snapshot, TemporaryFolder, config_fingerprint};

use crate::settings::Repositories;

/// The overrides of one load request. Files apply to that load only; the next load without overrides uses the repository
/// again. A config without files also applies to later loads without overrides, until the config in the repository is
/// written or the model is unloaded, as in Triton.
#[derive(Clone, Debug, Default)]
pub struct LoadOverrides {
    /// A model config in JSON, instead of `config.pbtxt`.
    pub config: Option<String>,
    /// Files that replace the model's folder, each with its path relative to that folder. They require a config.
    pub files: Vec<(String, Bytes)>,
    /// Whether they come from a model of this server, which executes code already: then libraries and scripts among the files may
    /// be executed. Not so by default, as clients send overrides, too.
    pub trusted: bool,
}

/// A config from a load request that applies to the model files in a repository.
#[derive(Clone, Debug)]
pub(crate) struct GivenConfig {
    json: Arc<str>,
    /// The fingerprint of the repository's config at the time of the load request.
    beside: Fingerprint,
}

impl GivenConfig {
    /// The config of a load request that later loads use too; `None` if the request has no config, or has files as well.
    /// Reads a file or asks a store, so it may block.
    pub(crate) fn of(
        repositories: &Repositories,
        name: &str,
        overrides: &LoadOverrides,
    ) -> Option<GivenConfig> {
        let json = overrides.config.as_deref().filter(|_| overrides.files.is_empty())?;
        Some(GivenConfig { json: json.into(), beside: own_config(repositories, name)? })
    }
}

impl GivenConfig {
    /// The config in JSON; `None` if the config in the repository was written since. Reads a file or asks a store, so it may
    /// block.
    pub(crate) fn json_if_newer(&self, repositories: &Repositories, name: &str) -> Option<String> {
        (own_config(repositories, name) == Some(self.beside)).then(|| self.json.to_string())
    }
}

/// The fingerprint of the config in the repository; `None` if it cannot be read.
fn own_config(repositories: &Repositories, name: &str) -> Option<Fingerprint> {
    config_fingerprint(&repositories.locations, name, &repositories.options).ok().flatten()
}

/// Temporary model files of one load. The value is only held: dropping it deletes the files, when no version uses them any
/// more.
#[derive(Debug)]
pub enum ModelFiles {
    Override(OverrideFolder),
    Snapshot(Arc<dyn Snapshot>),
}

/// A temporary folder with the model files of a load request. It is deleted on drop.
#[derive(Debug)]
pub struct OverrideFolder {
    directory: TemporaryFolder,
}

impl OverrideFolder {
    /// Writes the files to a new temporary folder. Returns an error before anything is written if a path leads out of the
    /// folder.
    pub(crate) fn write(name: &str, files: &[(String, Bytes)]) -> Result<OverrideFolder> {
        for (path, _) in files {
            let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside || path.is_empty() {
                return Err(Error::invalid_arg(format!(
                    "override file '{path}' of model '{name}' does not lie inside of the model's folder"
                )));
            }
        }
        let failed = |e: std::io::Error| {
            Error::internal(format!("failed to write the override files of model '{name}': {e}"))
                .with_source(e)
        };
        let directory = TemporaryFolder::new().map_err(failed)?;
        for (path, content) in files {
            let path = directory.path().join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(path, content).map_err(failed)?;
        }
        Ok(OverrideFolder { directory })
    }

    /// The folder of the model. `trusted` says whether code in it may be executed.
    pub(crate) fn read(&self, name: &str, trusted: bool) -> Result<ModelFolder> {
        let folder = ModelFolder::read(name, self.directory.path(), None).map_err(|e| {
            Error::internal(format!("failed to read the override files of model '{name}': {e}"))
                .with_source(e)
        })?;
        Ok(ModelFolder { came_with_request: !trusted, ..folder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(paths: &[&str]) -> Result<OverrideFolder> {
        let files: Vec<_> = paths.iter().map(|p| ((*p).to_owned(), Bytes::from_static(b"x"))).collect();
        OverrideFolder::write("m", &files)
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["../x", "1/../../x", "/etc/x", "", "..", "./1/x"] {
            assert!(write(&["1/model.onnx", path]).is_err(), "{path}");
        }
    }

    #[test]
    fn versions_of_the_files_are_found() {
        let folder = write(&["1/model.onnx", "3/sub/model.onnx", "labels.txt"]).unwrap();
        assert_eq!(folder.read("m", false).unwrap().versions, [1, 3].into());
    }
}
