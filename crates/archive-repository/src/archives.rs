//! The archives of model stores, and those that clients register.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_archive::{Options, is_archive_folder, is_archive_name};
use hippocamp_repository::Fingerprint;
use parking_lot::Mutex;
use tempfile::TempDir;
use thiserror::Error;

use crate::converted::{Conversions, Converted};
use crate::registration::{Called, Registered, Registration};

/// The archives of one server.
#[derive(Debug)]
pub struct Archives {
    /// The model stores.
    stores: Vec<PathBuf>,
    /// Whether archives are served because they lie there, or only if they are registered.
    serves_stores: bool,
    /// The names of the backends that there are.
    backends: Vec<String>,
    conversions: Conversions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    registered: Vec<Registered>,
    /// Archives in a store that a client has unregistered, until they change.
    hidden: BTreeMap<PathBuf, Fingerprint>,
}

/// Why an archive is not registered.
#[derive(Debug, Error)]
pub enum RegisterFault {
    /// There is no such archive in a model store.
    #[error("Model not found at: {0}")]
    NotFound(String),
    /// The path would lead out of the model store.
    #[error("Relative path is not allowed in url: {0}")]
    Relative(String),
    /// The version of the model is there already.
    #[error("Model version {version} is already registered for model {name}")]
    Duplicate {
        /// The model's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The archive cannot be served.
    #[error("{0}")]
    Archive(String),
}

/// One archive that is served, with the name of the server's model.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) converted: Arc<Converted>,
    pub(crate) registration: Registration,
}

impl Archives {
    /// The archives of these model stores, for a server with backends of these names. `serves_stores` says whether they are served
    /// because they lie there, or only when they are registered. Reads nothing yet.
    pub fn new(stores: Vec<PathBuf>, serves_stores: bool, backends: Vec<String>) -> Arc<Archives> {
        Arc::new(Archives {
            stores,
            serves_stores,
            backends,
            conversions: Conversions::default(),
            state: Mutex::default(),
        })
    }

    /// Whether a store has an archive now.
    pub fn any_in_store(&self) -> bool {
        !self.in_stores().is_empty()
    }

    /// Every archive that is served or could be: those registered by clients, and those that lie in a store. Blocks on the disk.
    pub fn registrations(&self) -> Vec<Registration> {
        self.served().into_iter().map(|served| served.registration).collect()
    }

    /// Finds an archive in the model stores by the name of its file.
    pub fn find(&self, url: &str) -> Result<PathBuf, RegisterFault> {
        if url.contains("..") {
            return Err(RegisterFault::Relative(url.to_owned()));
        }
        let inside = !url.is_empty() && !url.starts_with('/') && !url.contains('\\');
        let found = self
            .stores
            .iter()
            .map(|store| store.join(url))
            .find(|path| inside && path.try_exists().unwrap_or(false));
        found.ok_or_else(|| RegisterFault::NotFound(url.to_owned()))
    }

    /// Registers an archive, which is at `path`. `url` is what the client calls it; `downloaded` keeps the file. The model is not
    /// loaded yet. `is_taken` tells whether the server has another model of that name. Blocks on the disk.
    pub fn register(
        &self,
        path: &Path,
        url: &str,
        options: &Options,
        downloaded: Option<TempDir>,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Registration, RegisterFault> {
        let converted = self.conversions.of(path, options, &self.backends);
        let Some(manifest) = &converted.manifest else {
            return Err(RegisterFault::Archive(
                converted.conversion.as_ref().err().cloned().unwrap_or_default(),
            ));
        };
        if let Err(fault) = &converted.conversion {
            return Err(RegisterFault::Archive(fault.clone()));
        }
        let name = options.name.clone().unwrap_or_else(|| manifest.model_name.clone());
        hippocamp_repository::check_name(&name).map_err(|fault| {
            RegisterFault::Archive(format!("'{}' is no name of a model: {fault}", name.escape_debug()))
        })?;
        let version = manifest.model_version.clone();
        let served = self.served();
        let mut state = self.state.lock();
        let duplicate = || RegisterFault::Duplicate { name: name.clone(), version: version.clone() };
        if state.registered.iter().any(|r| r.name == name && r.version == version) {
            return Err(duplicate());
        }
        let others: BTreeSet<&str> = served
            .iter()
            .filter(|s| s.registration.name != name || s.registration.version != version)
            .map(|s| &*s.registration.model)
            .collect();
        // By another client since `served` was read, too.
        let is_registered = state.registered.iter().any(|r| r.options.name.as_ref() == Some(&name));
        let own = served.iter().find(|s| s.registration.name == name && s.registration.version == version);
        let model = match own {
            Some(own) => own.registration.model.clone(),
            None if others.contains(&*name) || is_registered => format!("{name}@{version}"),
            None if is_taken(&name) => return Err(duplicate()),
            None => name.clone(),
        };
        let options = Options { name: Some(model.clone()), ..options.clone() };
        state.registered.push(Registered {
            name: name.clone(),
            version: version.clone(),
            path: path.to_owned(),
            url: url.to_owned(),
            options: options.clone(),
            _downloaded: downloaded.map(Arc::new),
        });
        drop(state);
        let converted = self.conversions.of(path, &options, &self.backends);
        Ok({
            let called = Called { name: &name, version: &version, model: &model, url };
            Registration::new(called, &converted, options.workers, false)
        })
    }

    /// Removes a version of a model. An archive in a store that has that name and version of its own is passed over from now on,
    /// until it changes.
    pub fn unregister(&self, name: &str, version: &str) {
        let mut hidden = Vec::new();
        for path in self.in_stores() {
            let plain = self.conversions.of(&path, &Options::default(), &self.backends);
            if own_name(&path, &plain) == (name.to_owned(), version.to_owned()) {
                hidden.push((path, plain.stamp));
            }
        }
        let mut state = self.state.lock();
        state.registered.retain(|r| r.name != name || r.version != version);
        state.hidden.extend(hidden);
    }

    /// Sets the number of instances of a version. An archive that lies in a store becomes a registered one.
    pub fn set_workers(&self, registration: &Registration, workers: u32) {
        let served = self.served();
        let mut state = self.state.lock();
        let same = |r: &&mut Registered| r.name == registration.name && r.version == registration.version;
        if let Some(registered) = state.registered.iter_mut().find(same) {
            registered.options.workers = Some(workers);
        } else if let Some(found) = served.iter().find(|s| s.registration.model == registration.model) {
            state.registered.push(Registered {
                name: registration.name.clone(),
                version: registration.version.clone(),
                path: found.converted.path.clone(),
                url: registration.url.clone(),
                options: Options {
                    name: Some(registration.model.clone()),
                    workers: Some(workers),
                    ..Options::default()
                },
                _downloaded: None,
            });
        }
    }

    /// All archives with the names of their models. Those of clients come first; an archive in a store whose name they have is
    /// passed over.
    pub(crate) fn served(&self) -> Vec<Served> {
        let (registered, hidden) = {
            let state = self.state.lock();
            (state.registered.clone(), state.hidden.clone())
        };
        let mut served: Vec<Served> = Vec::new();
        for each in &registered {
            let converted = self.conversions.of(&each.path, &each.options, &self.backends);
            let model = each.options.name.as_deref().unwrap_or(&each.name);
            let registration = {
                let called = Called { name: &each.name, version: &each.version, model, url: &each.url };
                Registration::new(called, &converted, each.options.workers, false)
            };
            served.push(Served { converted, registration });
        }
        let in_stores = self.in_stores();
        self.conversions
            .keep(|path| in_stores.iter().any(|at| at == path) || registered.iter().any(|r| r.path == path));
        for path in &in_stores {
            let url = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let plain = self.conversions.of(path, &Options::default(), &self.backends);
            if hidden.get(path) == Some(&plain.stamp) {
                continue;
            }
            let (name, version) = own_name(path, &plain);
            let is_same = |s: &Served| s.registration.name == name && s.registration.version == version;
            if served.iter().any(is_same) {
                continue;
            }
            let is_taken = served.iter().any(|s| s.registration.model == name);
            let model = if is_taken { format!("{name}@{version}") } else { name.clone() };
            let options = Options { name: Some(model.clone()), ..Options::default() };
            let converted = self.conversions.of(path, &options, &self.backends);
            let registration = {
                let called = Called { name: &name, version: &version, model: &model, url: &url };
                Registration::new(called, &converted, None, true)
            };
            served.push(Served { converted, registration });
        }
        served
    }

    /// The archives in the stores, by the names of their files.
    fn in_stores(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for store in self.stores.iter().filter(|_| self.serves_stores) {
            let Ok(entries) = fs::read_dir(store) else { continue };
            let mut here: Vec<PathBuf> = entries
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let (path, name) = (entry.path(), entry.file_name().into_string().ok()?);
                    let is_archive =
                        if path.is_dir() { is_archive_folder(&path) } else { is_archive_name(&name) };
                    (is_archive && !name.starts_with('.')).then_some(path)
                })
                .collect();
            here.sort();
            found.extend(here);
        }
        found
    }
}

/// The name and version that an archive gives itself; those of its file if it cannot be read.
fn own_name(path: &Path, plain: &Converted) -> (String, String) {
    if let Some(manifest) = &plain.manifest {
        return (manifest.model_name.clone(), manifest.model_version.clone());
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    (file.split('.').next().unwrap_or_default().to_owned(), "1.0".to_owned())
}
