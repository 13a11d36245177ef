//! Which archives are served, and under which names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use hippocamp_archive::{Options, is_archive_folder, is_archive_name};
use thiserror::Error;

use crate::archives::Archives;
use crate::converted::Converted;
use crate::registration::{Called, Registered, Registration};

/// One archive that is served, with the name of the server's model.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) converted: Arc<Converted>,
    pub(crate) registration: Registration,
}

impl Served {
    /// Whether one of the models that it becomes has that name.
    pub(crate) fn has_model(&self, name: &str) -> bool {
        match &self.converted.conversion {
            Ok(conversion) => conversion.models.contains_key(name),
            Err(_) => self.registration.model == name,
        }
    }
}

impl Archives {
    /// All archives with the names of their models. Those of clients come first; an archive in a store whose name they have is
    /// passed over, and one whose steps have names of theirs is not served. What others became is forgotten.
    pub(crate) fn served(&self) -> Vec<Served> {
        self.surveyed().0
    }

    /// The same, and which store could not be read: its archives are not among them.
    pub(crate) fn surveyed(&self) -> (Vec<Served>, Option<StoreFault>) {
        let (registered, hidden) = {
            let state = self.state.lock();
            (state.registered.clone(), state.hidden.clone())
        };
        let mut asked: HashSet<(PathBuf, Options)> = HashSet::new();
        let mut convert = |path: &Path, options: &Options| {
            asked.insert((path.to_owned(), options.clone()));
            self.conversions.of(path, options, &self.backends)
        };
        let mut served: Vec<Served> = Vec::new();
        for each in &registered {
            let converted = convert(&each.path, &each.options);
            let model = each.options.name.as_deref().unwrap_or(&each.name);
            let Registered { id, name, version, url, at_start, .. } = each;
            let called = Called { id: *id, name, version, model, url, at_start: *at_start };
            let registration = Registration::new(called, &converted, &each.options, false);
            served.push(Served { converted, registration });
        }
        let (in_stores, fault) = self.in_stores();
        for path in &in_stores {
            if registered.iter().any(|r| r.fetched && r.path == *path) {
                continue;
            }
            let url = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let plain = convert(path, &Options::default());
            if hidden.get(path) == Some(&plain.stamp) {
                continue;
            }
            let (name, version) = own_name(path, &plain);
            let is_same = |s: &Served| s.registration.name == name && s.registration.version == version;
            if served.iter().any(is_same) {
                continue;
            }
            let is_taken = served.iter().any(|s| s.has_model(&name));
            let model = if is_taken { format!("{name}@{version}") } else { name.clone() };
            let options = Options { name: Some(model.clone()), ..Options::default() };
            let converted = convert(path, &options);
            let converted = without_clash(converted, &model, &served);
            let called =
                Called { id: 0, name: &name, version: &version, model: &model, url: &url, at_start: true };
            let registration = Registration::new(called, &converted, &options, true);
            served.push(Served { converted, registration });
        }
        // What a store has that cannot be read for a moment is asked for again.
        if fault.is_none() {
            self.conversions.keep(&asked);
        }
        (served, fault)
    }

    /// The archives in the stores, by the names of their files, and which store could not be read.
    pub(crate) fn in_stores(&self) -> (Vec<PathBuf>, Option<StoreFault>) {
        let (mut found, mut fault) = (Vec::new(), None);
        for store in self.stores.iter().filter(|_| self.serves_stores) {
            match in_store(store) {
                Ok(here) => found.extend(here),
                Err(error) => fault = Some(StoreFault { store: store.clone(), error }),
            }
        }
        (found, fault)
    }
}

/// A model store that could not be read.
#[derive(Debug, Error)]
#[error("model store '{}' cannot be read: {error}", store.display())]
pub(crate) struct StoreFault {
    store: PathBuf,
    error: io::Error,
}

fn in_store(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut here = Vec::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let (path, Ok(name)) = (entry.path(), entry.file_name().into_string()) else { continue };
        let is_archive = if path.is_dir() { is_archive_folder(&path) } else { is_archive_name(&name) };
        if is_archive && !name.starts_with('.') {
            here.push(path);
        }
    }
    here.sort();
    Ok(here)
}

/// An archive as it is, or as one that is not served because a step of it has the name of another archive's model.
fn without_clash(converted: Arc<Converted>, model: &str, served: &[Served]) -> Arc<Converted> {
    let Ok(conversion) = &converted.conversion else { return converted };
    let clash = conversion
        .models
        .keys()
        .find_map(|step| Some((step, served.iter().find(|other| other.has_model(step))?)));
    let Some((step, other)) = clash else { return converted };
    let fault = format!(
        "the archive becomes the model '{model}' with the step '{step}', but archive '{}' has a model of that name: give one of \
         them another modelName",
        other.registration.url
    );
    Arc::new(Converted {
        path: converted.path.clone(),
        stamp: converted.stamp,
        manifest: converted.manifest.clone(),
        conversion: Err(fault),
    })
}

/// The name and version that an archive gives itself; those of its file if it cannot be read.
pub(crate) fn own_name(path: &Path, plain: &Converted) -> (String, String) {
    if let Some(manifest) = &plain.manifest {
        return (manifest.model_name.clone(), manifest.model_version.clone());
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    (file.split('.').next().unwrap_or_default().to_owned(), "1.0".to_owned())
}
