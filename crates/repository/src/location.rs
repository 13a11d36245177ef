//! Where a model repository is: in a folder, or somewhere that has to be fetched first.

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
    /// An object store, or whatever else brings folders here when they are asked for.
    Remote(Arc<dyn RemoteRepository>),
}

impl RepositoryLocation {
    /// Whether it has to be fetched.
    pub fn is_remote(&self) -> bool {
        matches!(self, RepositoryLocation::Remote(_))
    }

    /// Gives back what it keeps on this machine for as long as the process runs. Nothing is fetched from it afterwards.
    pub fn close(&self) {
        if let RepositoryLocation::Remote(remote) = self {
            remote.close();
        }
    }

    /// The last parts of its path, the last first. Namespaces are made of them.
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

/// How long a remote repository that does not answer is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// Until its own retries are used up.
    #[default]
    Full,
    /// Some seconds; after that what was seen last has to do. For a client that waits for the answer.
    Short,
}

/// A repository that is not on this machine's disk. Its methods block for as long as the network takes: they are not
/// for the threads that do the I/O of requests.
pub trait RemoteRepository: fmt::Debug + Send + Sync {
    /// Where it is, as the user wrote it. Never holds a secret.
    fn location(&self) -> &str;

    /// All models, each with what stands for its content.
    fn list(&self, patience: Patience) -> Result<BTreeMap<String, Fingerprint>, RemoteFault>;

    /// Gives back what it keeps on this machine, unless that is meant to stay.
    fn close(&self) {}

    /// Whether it has that model. Cheaper than to list or to fetch.
    fn contains(&self, name: &str) -> Result<bool, RemoteFault>;

    /// The text of one model's config, without the rest of the model; `config_name` is the custom config that is preferred.
    /// `None` if it has no such model. The text is empty if the model has no config, or one that is too large to be one.
    fn config(&self, name: &str, config_name: Option<&str>) -> Result<Option<String>, RemoteFault>;

    /// Brings one model's files to this machine. `None` if it has no such model.
    fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault>;
}

/// Why a remote repository could not be read: what was asked of whom, what came back, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RemoteFault(pub String);

/// A model that was brought here.
#[derive(Clone, Debug)]
pub struct RemoteModel {
    /// The same that a listing has for this content.
    pub fingerprint: Fingerprint,
    pub files: Arc<dyn Snapshot>,
}

/// The files of a model as they were at one moment. They do not change, and they stay for as long as this lives.
pub trait Snapshot: fmt::Debug + Send + Sync {
    /// The model's folder.
    fn path(&self) -> &Path;
}
