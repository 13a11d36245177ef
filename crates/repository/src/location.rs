//! The location of a model repository: a local folder, or a remote store whose models are fetched.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::Fingerprint;

/// A model repository.
#[derive(Clone, Debug)]
pub enum RepositoryLocation {
    /// A folder, as the user wrote it.
    Local(PathBuf),
    /// An object store, or another source that fetches models on demand.
    Remote(Arc<dyn RemoteRepository>),
}

impl RepositoryLocation {
    /// Whether models have to be fetched from it.
    pub fn is_remote(&self) -> bool {
        matches!(self, RepositoryLocation::Remote(_))
    }

    /// Removes the temporary files of a remote repository. Nothing is fetched from it afterwards.
    pub fn close(&self) {
        if let RepositoryLocation::Remote(remote) = self {
            remote.close();
        }
    }

    /// The components of its path from the last to the first, of which namespaces are made.
    pub(crate) fn path_parts(&self) -> Vec<String> {
        match self {
            RepositoryLocation::Local(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let parts = path.components().rev().filter_map(|part| match part {
                    std::path::Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
                    _ => None,
                });
                parts.collect()
            }
            RepositoryLocation::Remote(remote) => {
                let parts = remote.location().rsplit('/').filter(|part| !part.is_empty());
                parts.map(|part| part.replace(':', "-")).collect()
            }
        }
    }
}

impl fmt::Display for RepositoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepositoryLocation::Local(path) => path.display().fmt(f),
            RepositoryLocation::Remote(remote) => f.write_str(remote.location()),
        }
    }
}

impl From<PathBuf> for RepositoryLocation {
    fn from(path: PathBuf) -> Self {
        RepositoryLocation::Local(path)
    }
}

impl From<&Path> for RepositoryLocation {
    fn from(path: &Path) -> Self {
        RepositoryLocation::Local(path.to_owned())
    }
}

/// How long a scan waits for a remote repository that does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteTimeout {
    /// The scan waits until the client of the store gives up its retries.
    #[default]
    Full,
    /// The scan waits for some seconds and then uses the previous listing. This is for requests, whose client waits.
    Short,
}

/// A repository that is not on this machine's disk. Its methods block on the network and must not be called on the threads
/// that do the I/O of requests.
pub trait RemoteRepository: fmt::Debug + Send + Sync {
    /// The location as the user wrote it. It contains no secret.
    fn location(&self) -> &str;

    /// Lists all models, each with the fingerprint of its content.
    fn list(&self, remote_timeout: RemoteTimeout) -> Result<BTreeMap<String, Fingerprint>, RemoteFault>;

    /// Removes the temporary files on this machine.
    fn close(&self) {}

    /// Whether it has that model. This is cheaper than listing or fetching.
    fn contains(&self, name: &str) -> Result<bool, RemoteFault>;

    /// The text of one model's config, without the rest of the model; `config_name` is the custom config that is preferred.
    /// `None` if it has no such model. The text is empty if the model has no config, or one that is too large to be one.
    fn config(&self, name: &str, config_name: Option<&str>) -> Result<Option<String>, RemoteFault>;

    /// Fetches the files of one model to this machine. Returns `None` if it has no such model.
    fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault>;
}

/// Why a remote repository could not be read: the request, the answer, and what the user can do, in one text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RemoteFault(pub String);

/// A model that was fetched.
#[derive(Clone, Debug)]
pub struct RemoteModel {
    /// The fingerprint that a listing gives for this content.
    pub fingerprint: Fingerprint,
    pub files: Arc<dyn Snapshot>,
}

/// The files of a model as they were at one moment. They do not change, and they exist until this value is dropped.
pub trait Snapshot: fmt::Debug + Send + Sync {
    /// The model's folder.
    fn path(&self) -> &Path;
}
