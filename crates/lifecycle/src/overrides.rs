//! What a load request brings along: a config, and perhaps the model files themselves.

use std::fs;
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_repository::{Fingerprint, ModelFolder, Snapshot, config_fingerprint};
use tempfile::TempDir;

use crate::settings::Repositories;

/// The overrides of one load request. Files hold for that load; the next plain one goes back to the disk. A config without files
/// holds for plain loads as well, until the one in the repository is written or the model is unloaded, as in Triton.
#[derive(Clone, Debug, Default)]
pub struct LoadOverrides {
    /// A model config in JSON, instead of `config.pbtxt`.
    pub config: Option<String>,
    /// Files by their path inside the model's folder, instead of that folder. Needs a config.
    pub files: Vec<(String, Bytes)>,
}

/// A config that came with a load request, for files that lie in a repository.
#[derive(Clone, Debug)]
pub(crate) struct GivenConfig {
    json: Arc<str>,
    /// The repository's own config at that time.
    beside: Fingerprint,
}

impl GivenConfig {
    /// What is to be kept of a request; `None` if it brought no config, or files as well. Looks at the disk or asks a store.
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
    /// The config in JSON, unless the one in the repository was written since. Looks at the disk or asks a store.
    pub(crate) fn json_if_newer(&self, repositories: &Repositories, name: &str) -> Option<String> {
        (own_config(repositories, name) == Some(self.beside)).then(|| self.json.to_string())
    }
}

/// What stands for the config that lies in the repository; `None` if that cannot be told.
fn own_config(repositories: &Repositories, name: &str) -> Option<Fingerprint> {
    config_fingerprint(&repositories.locations, name, &repositories.options).ok().flatten()
}

/// Model files that were brought here for one load, and go when nothing serves from them any more. They are held and never
/// looked at: what they are good for is their drop.
#[derive(Debug)]
pub enum ModelFiles {
    Override(OverrideFolder),
    Snapshot(Arc<dyn Snapshot>),
}

/// Model files that came with a request, written to a folder of their own, which goes when the model does.
#[derive(Debug)]
pub struct OverrideFolder {
    directory: TempDir,
}

impl OverrideFolder {
    /// Writes the files. Refuses paths that lead out of the folder before anything is written.
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
        let directory = TempDir::with_prefix("hippocamp-").map_err(failed)?;
        for (path, content) in files {
            let path = directory.path().join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(path, content).map_err(failed)?;
        }
        Ok(OverrideFolder { directory })
    }

    pub(crate) fn read(&self, name: &str) -> Result<ModelFolder> {
        ModelFolder::read(name, self.directory.path(), None).map_err(|e| {
            Error::internal(format!("failed to read the override files of model '{name}': {e}"))
                .with_source(e)
        })
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
        assert_eq!(folder.read("m").unwrap().versions, [1, 3].into());
    }
}
