//! The archives of model stores, and those that clients register.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_archive::{Conversion, Options};
use hippocamp_repository::Fingerprint;
use parking_lot::Mutex;
use thiserror::Error;
use tracing::warn;

use crate::converted::Conversions;
use crate::registration::{Called, Registered, Registration};
use crate::served::{Served, own_name};

/// The archives of one server.
#[derive(Debug)]
pub struct Archives {
    /// The model stores.
    pub(crate) stores: Vec<PathBuf>,
    /// Whether archives are served because they lie there, or only if they are registered.
    pub(crate) serves_stores: bool,
    /// The names of the backends that there are.
    pub(crate) backends: Vec<String>,
    pub(crate) conversions: Conversions,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) registered: Vec<Registered>,
    /// The number of the last registration. That of archives which nobody registered is 0.
    last_id: u64,
    /// Whether clients may have registered archives since.
    has_begun: bool,
    /// Archives in a store that a client has unregistered, until they change.
    pub(crate) hidden: BTreeMap<PathBuf, Fingerprint>,
}

impl State {
    /// Removes a registration, and its archive from the store if it was fetched for this one alone.
    fn remove(&mut self, id: u64) {
        let Some(at) = self.registered.iter().position(|r| r.id == id) else { return };
        let removed = self.registered.remove(at);
        let is_used = self.registered.iter().any(|r| r.path == removed.path);
        if removed.fetched && !is_used {
            remove_fetched(&removed.path);
        }
    }
}

/// Refuses a step of an archive that has the name of another model: of `other`, an archive, or of one that `is_taken` knows.
fn check_step(
    model: &str,
    step: &str,
    other: Option<&Served>,
    is_taken: &impl Fn(&str) -> bool,
) -> Result<(), RegisterFault> {
    let by = match other {
        Some(other) => format!("archive '{}' has a model of that name", other.registration.url),
        None if is_taken(step) => "a model of a repository has that name".to_owned(),
        None => return Ok(()),
    };
    Err(RegisterFault::Taken { model: model.to_owned(), step: step.to_owned(), by })
}

/// Logs which settings of an archive have no effect.
pub(crate) fn tell(model: &str, url: &str, conversion: &Conversion) {
    for told in &conversion.without_effect {
        warn!(model, "archive '{url}': {told}");
    }
}

fn remove_fetched(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        warn!("'{}', which was fetched for a model, cannot be removed: {error}", path.display());
    }
}

/// An archive that is to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// What clients call it: the name of its file in the store, or its URL.
    pub url: &'a str,
    /// Whether it was fetched into the store for this registration, and is removed with it.
    pub fetched: bool,
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
    /// One of the models that the archive becomes has the name of another.
    #[error(
        "the archive becomes the model '{model}' with the step '{step}', but {by}: register it under another model_name"
    )]
    Taken {
        /// The name of the archive's model.
        model: String,
        /// The name that is taken.
        step: String,
        /// What has it.
        by: String,
    },
    /// The archive cannot be served.
    #[error("{0}")]
    Archive(String),
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
        !self.in_stores().0.is_empty()
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
        // As in TorchServe, of the path of a file only its name counts.
        let name = if url.starts_with('/') { url.rsplit('/').next().unwrap_or_default() } else { url };
        let inside = !name.is_empty() && !name.contains('\\');
        let found = self
            .stores
            .iter()
            .map(|store| store.join(name))
            .find(|path| inside && path.try_exists().unwrap_or(false));
        found.ok_or_else(|| RegisterFault::NotFound(url.to_owned()))
    }

    /// The name under which an archive would be registered; an empty one if it cannot be read. Blocks on the disk.
    pub fn name_of(&self, path: &Path, options: &Options) -> String {
        let own = || {
            let converted = self.conversions.of(path, options, &self.backends);
            converted.manifest.as_ref().map(|manifest| manifest.model_name.clone())
        };
        options.name.clone().or_else(own).unwrap_or_default()
    }

    /// From now on it is clients who register archives.
    pub fn begin(&self) {
        self.state.lock().has_begun = true;
    }

    /// The model store into which archives are fetched.
    pub fn store(&self) -> Option<&Path> {
        self.stores.first().map(PathBuf::as_path)
    }

    /// Registers an archive. The model is not loaded yet. `is_taken` tells whether the server has another model of that name.
    /// Blocks on the disk.
    pub fn register(
        &self,
        archive: &Named<'_>,
        options: &Options,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Registration, RegisterFault> {
        let &Named { path, url, fetched } = archive;
        let converted = self.conversions.of(path, options, &self.backends);
        let fault = converted.conversion.as_ref().err().cloned();
        let Some(manifest) = converted.manifest.as_ref().filter(|_| fault.is_none()) else {
            return Err(RegisterFault::Archive(fault.unwrap_or_default()));
        };
        let name = options.name.clone().unwrap_or_else(|| manifest.model_name.clone());
        hippocamp_repository::check_name(&name).map_err(|fault| {
            RegisterFault::Archive(format!("'{}' is no name of a model: {fault}", name.escape_debug()))
        })?;
        let version = manifest.model_version.clone();
        let duplicate = || RegisterFault::Duplicate { name: name.clone(), version: version.clone() };
        loop {
            let served = self.served();
            let is_own = |r: &Registration| r.name == name && r.version == version;
            if served.iter().any(|s| is_own(&s.registration) && !s.registration.dropped) {
                return Err(duplicate());
            }
            let own = served.iter().find(|s| is_own(&s.registration));
            let others = || served.iter().filter(|s| !is_own(&s.registration));
            let model = match own {
                Some(own) => own.registration.model.clone(),
                None if others().any(|s| s.has_model(&name)) => format!("{name}@{version}"),
                None if is_taken(&name) => return Err(duplicate()),
                None => name.clone(),
            };
            let options = Options { name: Some(model.clone()), ..options.clone() };
            let converted = self.conversions.of(path, &options, &self.backends);
            let conversion =
                converted.conversion.as_ref().map_err(|fault| RegisterFault::Archive(fault.clone()))?;
            let is_own_step = |step: &str| own.is_some_and(|own| own.has_model(step));
            let steps = conversion.models.keys().filter(|step| !is_own_step(step));
            for step in steps {
                check_step(&model, step, others().find(|s| s.has_model(step)), &is_taken)?;
            }
            let mut state = self.state.lock();
            // Another client may have registered since `served` was read.
            if state.registered.iter().any(|r| served.iter().all(|s| s.registration.id != r.id)) {
                drop(state);
                continue;
            }
            // It may have been removed by another client, whose registration of it failed or ended.
            if !path.try_exists().unwrap_or(true) {
                return Err(RegisterFault::NotFound(url.to_owned()));
            }
            state.last_id += 1;
            let (id, at_start) = (state.last_id, !state.has_begun);
            state.registered.push(Registered {
                at_start,
                id,
                name: name.clone(),
                version: version.clone(),
                path: path.to_owned(),
                url: url.to_owned(),
                options: options.clone(),
                fetched,
            });
            drop(state);
            tell(&model, url, conversion);
            let called = Called { id, name: &name, version: &version, model: &model, url, at_start };
            return Ok(Registration::new(called, &converted, &options, false));
        }
    }

    /// Removes an archive that was fetched and is not registered, unless another client has registered it since.
    pub fn discard(&self, path: &Path) {
        let state = self.state.lock();
        if !state.registered.iter().any(|r| r.path == path) {
            remove_fetched(path);
        }
    }

    /// Takes back a registration whose model could not be loaded. What was registered since under the same name stays, and so
    /// does an archive of that name in a store.
    pub fn withdraw(&self, registration: &Registration) {
        let mut state = self.state.lock();
        state.remove(registration.id);
    }

    /// Removes a version of a model. An archive in a store that has that name and version of its own is passed over from now on,
    /// until it changes. What was registered since under the same name stays.
    pub fn unregister(&self, registration: &Registration) {
        let Registration { name, version, .. } = registration;
        let mut hidden = Vec::new();
        for path in self.in_stores().0 {
            let plain = self.conversions.of(&path, &Options::default(), &self.backends);
            if own_name(&path, &plain) == (name.clone(), version.clone()) {
                hidden.push((path, plain.stamp));
            }
        }
        let mut state = self.state.lock();
        state.remove(registration.id);
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
            state.last_id += 1;
            let id = state.last_id;
            state.registered.push(Registered {
                id,
                name: registration.name.clone(),
                version: registration.version.clone(),
                path: found.converted.path.clone(),
                url: registration.url.clone(),
                options: Options {
                    name: Some(registration.model.clone()),
                    workers: Some(workers),
                    ..Options::default()
                },
                fetched: false,
                at_start: registration.at_start,
            });
        }
    }
}
