//! Scans the repositories, and finds single models in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_files as files;
use thiserror::Error;
use tracing::warn;

use crate::location::RemoteTimeout;
use crate::model_folder::config_path;
use crate::namespace::{namespaces, qualified_name, resolve_step, split_qualified};
use crate::survey::is_model_folder;
use crate::{Fingerprint, ModelFolder, RemoteFault, RepositoryLocation, Snapshot, Survey, check_name};

/// Something in a repository that cannot be used. The rest of the repository can be used.
#[derive(Clone, Debug, Error)]
pub enum ScanFault {
    #[error("failed to read model repository '{}': {source}", path.display())]
    Repository { path: PathBuf, source: Arc<io::Error> },
    #[error("failed to read model repository '{location}': {source}")]
    Remote { location: String, source: RemoteFault },
    #[error("failed to read the folder of model '{name}': {source}")]
    Model { name: String, source: Arc<io::Error> },
    #[error("failed to fetch model '{name}' from '{location}': {source}")]
    Fetch { name: String, location: String, source: RemoteFault },
    #[error("ignored folder {name:?} in model repository '{repository}': not a model's name, {reason}")]
    Name { name: String, repository: String, reason: String },
    #[error("ignored {name:?} in model repository '{repository}': it is {found}, expected a model's folder")]
    NotAFolder { name: String, repository: String, found: String },
    #[error(
        "model '{name}' is in more than one repository: {}; keep one of them, or serve each under a name of its own \
         by --model-namespacing=true",
        quoted(repositories)
    )]
    Duplicate { name: String, repositories: Vec<String> },
    #[error(
        "There are {} identifiers of model '{name}' in global map, model namespace must be provided to resolve \
         ambiguity. They are {}",
        identifiers.len(),
        quoted(identifiers)
    )]
    Ambiguous { name: String, identifiers: Vec<String> },
}

impl ScanFault {
    /// Whether a whole repository cannot be read, so that its models are unknown.
    pub fn is_of_repository(&self) -> bool {
        matches!(self, ScanFault::Repository { .. } | ScanFault::Remote { .. })
    }

    /// Whether the entry is ignored with a warning: it is no model, and does not affect any model.
    pub fn is_warning(&self) -> bool {
        matches!(self, ScanFault::Name { .. } | ScanFault::NotAFolder { .. })
    }

    /// The model that has the fault; `None` if the fault is that of a repository.
    pub fn model(&self) -> Option<&str> {
        match self {
            ScanFault::Repository { .. } | ScanFault::Remote { .. } => None,
            ScanFault::Model { name, .. }
            | ScanFault::Fetch { name, .. }
            | ScanFault::Name { name, .. }
            | ScanFault::NotAFolder { name, .. }
            | ScanFault::Duplicate { name, .. }
            | ScanFault::Ambiguous { name, .. } => Some(name),
        }
    }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    quoted.join(" and ")
}

/// Options of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// The name of the custom config that is used for each model that has it.
    pub config_name: Option<String>,
    /// Whether models of the same name are served from each repository that has one.
    pub namespacing: bool,
    pub remote_timeout: RemoteTimeout,
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// The models, by the name under which each is served.
    pub models: BTreeMap<String, Fingerprint>,
    /// Names that cannot be served, because more than one repository has them.
    pub duplicates: BTreeSet<String>,
    pub faults: Vec<ScanFault>,
}

/// A model that was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub folder: ModelFolder,
    /// The files of a remote model; they exist until this is dropped. `None` for a local model.
    pub files: Option<Arc<dyn Snapshot>>,
}

/// Scans all models of all repositories.
pub fn scan(repositories: &[RepositoryLocation], options: &ScanOptions) -> Scan {
    let mut survey = Survey::new(repositories.to_vec(), options.clone());
    survey.scan_all();
    survey.scan()
}

/// Lists the names of all models, without reading their folders, which is much cheaper than [`scan`]. The faults are those of
/// whole repositories and of names that several repositories have.
pub fn list(repositories: &[RepositoryLocation], options: &ScanOptions) -> Listing {
    let mut survey = Survey::new(repositories.to_vec(), options.clone());
    survey.scan_names();
    let Scan { models, duplicates, faults } = survey.scan();
    Listing { models: models.into_keys().collect(), duplicates, faults }
}

/// The names of all models.
#[derive(Debug, Default)]
pub struct Listing {
    /// The names under which models are served.
    pub models: BTreeSet<String>,
    /// Names that cannot be served, because more than one repository has them.
    pub duplicates: BTreeSet<String>,
    pub faults: Vec<ScanFault>,
}

/// The config of a model that was found without reading the rest of its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundConfig {
    /// The namespace of the repository; `None` if namespaces are not used.
    pub namespace: Option<String>,
    /// `None` if it has no config, or one that cannot be read.
    pub text: Option<String>,
}

/// Finds one model by the name under which it is served, without reading the others. A remote model is fetched. Returns
/// `None` if no repository has it.
pub fn find(
    repositories: &[RepositoryLocation],
    name: &str,
    options: &ScanOptions,
) -> Result<Option<Found>, ScanFault> {
    let Some(place) = locate(repositories, name, options)? else { return Ok(None) };
    let found = read(place.repository, place.folder_name, options)?;
    Ok(found.map(|mut found| {
        name.clone_into(&mut found.folder.name);
        found.folder.namespace = place.namespace;
        found
    }))
}

/// Finds the config of one model by the name under which the model is served. The rest of a remote model is not fetched.
pub fn find_config(
    repositories: &[RepositoryLocation],
    name: &str,
    options: &ScanOptions,
) -> Result<Option<FoundConfig>, ScanFault> {
    let Some(Place { repository, folder_name, namespace }) = locate(repositories, name, options)? else {
        return Ok(None);
    };
    let config_name = options.config_name.as_deref();
    let text = match repository {
        RepositoryLocation::Local(path) => {
            let path = config_path(&path.join(folder_name), config_name);
            path.and_then(|path| files::read_text(&path, files::TEXT_LIMIT).ok())
        }
        RepositoryLocation::Remote(remote) => {
            let text = remote.config(folder_name, config_name).map_err(|source| {
                let location = remote.location().to_owned();
                ScanFault::Fetch { name: name.to_owned(), location, source }
            })?;
            let Some(text) = text else { return Ok(None) };
            Some(text)
        }
    };
    Ok(Some(FoundConfig { namespace, text }))
}

/// The fingerprint of a model's config in its repository, which changes when the config is written or replaced. Returns
/// `None` if no repository has the model.
pub fn config_fingerprint(
    repositories: &[RepositoryLocation],
    name: &str,
    options: &ScanOptions,
) -> Result<Option<Fingerprint>, ScanFault> {
    let Some(place) = locate(repositories, name, options)? else { return Ok(None) };
    if let RepositoryLocation::Local(path) = place.repository {
        let path = config_path(&path.join(place.folder_name), options.config_name.as_deref());
        return Ok(Some(path.and_then(|path| Fingerprint::of_file(&path).ok()).unwrap_or_default()));
    }
    let found = find_config(repositories, name, options)?;
    Ok(found.map(|found| found.text.map_or_else(Fingerprint::default, |text| Fingerprint::of(&text))))
}

/// The served name of the model that an ensemble step refers to. With namespaces this is the model in `namespace`, or the only
/// one of that name. If neither exists, `name` is returned as it is.
pub fn find_step(
    repositories: &[RepositoryLocation],
    namespace: Option<&str>,
    name: &str,
    options: &ScanOptions,
) -> String {
    if !options.namespacing || check_name(name).is_err() {
        return name.to_owned();
    }
    let namespaces = namespaces(repositories);
    let served: Vec<String> = match having(repositories, name) {
        Ok(several) if several.len() > 1 => {
            several.iter().map(|at| qualified_name(&namespaces[*at], name)).collect()
        }
        Ok(_) | Err(_) => vec![name.to_owned()],
    };
    let meant = resolve_step(served.iter().map(String::as_str), namespace, name);
    meant.unwrap_or(name).to_owned()
}

/// The place of a model.
struct Place<'a> {
    repository: &'a RepositoryLocation,
    folder_name: &'a str,
    namespace: Option<String>,
}

/// Finds the place of the model with that served name.
fn locate<'a>(
    repositories: &'a [RepositoryLocation],
    name: &'a str,
    options: &ScanOptions,
) -> Result<Option<Place<'a>>, ScanFault> {
    let qualified = split_qualified(name).filter(|_| options.namespacing);
    let folder_name = qualified.map_or(name, |(_, own)| own);
    // A client may have sent the name, and no name leads out of a repository.
    if check_name(folder_name).is_err() {
        return Ok(None);
    }
    let with_it = having(repositories, folder_name)?;
    let namespaces = namespaces(repositories);
    let index = match (&with_it[..], qualified) {
        // A name that only one repository has is served unqualified only; otherwise one model would have two names.
        ([index], None) => *index,
        ([] | [_], _) => return Ok(None),
        (several, Some((namespace, _))) => match several.iter().find(|at| namespaces[**at] == namespace) {
            Some(index) => *index,
            None => return Ok(None),
        },
        (several, None) if options.namespacing => {
            let identifiers = several.iter().map(|at| qualified_name(&namespaces[*at], name)).collect();
            return Err(ScanFault::Ambiguous { name: name.to_owned(), identifiers });
        }
        (several, None) => {
            let repositories = several.iter().map(|at| repositories[*at].to_string()).collect();
            return Err(ScanFault::Duplicate { name: name.to_owned(), repositories });
        }
    };
    let namespace = options.namespacing.then(|| namespaces[index].clone());
    Ok(Some(Place { repository: &repositories[index], folder_name, namespace }))
}

/// The indices of the repositories that have a model of that name.
fn having(repositories: &[RepositoryLocation], name: &str) -> Result<Vec<usize>, ScanFault> {
    let mut with_it = Vec::new();
    let mut unreadable = None;
    for (index, repository) in repositories.iter().enumerate() {
        match repository {
            RepositoryLocation::Local(path) if is_model_folder(&path.join(name)) => with_it.push(index),
            RepositoryLocation::Local(_) => {}
            // The only repository is not asked: fetching the model finds out whether it has it.
            RepositoryLocation::Remote(_) if repositories.len() == 1 => with_it.push(index),
            RepositoryLocation::Remote(remote) => match remote.contains(name) {
                Ok(true) => with_it.push(index),
                Ok(false) => {}
                Err(source) => unreadable = Some((remote.location().to_owned(), source)),
            },
        }
    }
    match unreadable {
        Some((location, source)) if with_it.is_empty() => {
            Err(ScanFault::Fetch { name: name.to_owned(), location, source })
        }
        Some((location, source)) => {
            // Models of other repositories can be loaded while this store is down.
            warn!(
                model = name,
                "it is not known whether model repository '{location}' has it, too: {source}"
            );
            Ok(with_it)
        }
        None => Ok(with_it),
    }
}

fn read(
    repository: &RepositoryLocation,
    name: &str,
    options: &ScanOptions,
) -> Result<Option<Found>, ScanFault> {
    let config_name = options.config_name.as_deref();
    let unreadable = |source| ScanFault::Model { name: name.to_owned(), source: Arc::new(source) };
    match repository {
        RepositoryLocation::Local(path) => {
            let folder = ModelFolder::read(name, &path.join(name), config_name).map_err(unreadable)?;
            Ok(Some(Found { folder, files: None }))
        }
        RepositoryLocation::Remote(remote) => {
            let fetched = remote.fetch(name).map_err(|source| {
                let location = remote.location().to_owned();
                ScanFault::Fetch { name: name.to_owned(), location, source }
            })?;
            let Some(model) = fetched else { return Ok(None) };
            let mut folder = ModelFolder::read(name, model.files.path(), config_name).map_err(unreadable)?;
            folder.fingerprint = model.fingerprint;
            Ok(Some(Found { folder, files: Some(model.files) }))
        }
    }
}

#[cfg(test)]
mod tests;
