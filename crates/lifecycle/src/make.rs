//! From a job to a model that can be installed. Runs on a loading thread, and changes nothing of what serves.

use std::sync::Arc;

use hippocamp_backend::Code;
use hippocamp_loading::{LoadFailure, Loader, Prepared, Reusable, Stopped, all_versions, prepare};
use hippocamp_repository::{Fingerprint, ModelFolder};
use tracing::error;

use crate::ensemble_build::circular;
use crate::ensemble_source::EnsembleSource;
use crate::entry::{Origin, Retired};
use crate::files::find_files;
use crate::job::Job;
use crate::lifecycle::Lifecycle;
use crate::overrides::{GivenConfig, ModelFiles};
use crate::ready::{Ready, ReadyModel};
use crate::settings::Repositories;

impl Lifecycle {
    /// Loads and installs. What was replaced is returned, to be let go; `None` if the model serves what it should already.
    pub(crate) fn load_now(&self, job: &Job) -> Result<Option<Vec<Retired>>, LoadFailure> {
        let mut retries = self.settings.load_retries;
        let Some((folder, mut origin)) = self.open(job, &mut retries)? else { return Ok(None) };
        let load = || {
            let ready = self.make(job, &folder, &origin)?;
            self.install(&job.name, ready, &mut origin, job.explicit)
        };
        self.with_retries(&job.name, retries, load).map(Some)
    }

    /// Makes a model ready off to the side, to be installed with others. Changes nothing of what serves.
    pub(crate) fn load_aside(&self, job: &Job) -> Result<ReadyModel, LoadFailure> {
        let mut retries = self.settings.load_retries;
        let opened = self.open(job, &mut retries)?;
        let (folder, origin) = opened.ok_or(LoadFailure::Changed)?;
        let ready = self.with_retries(&job.name, retries, || self.make(job, &folder, &origin))?;
        Ok(ReadyModel { name: job.name.clone(), ready, origin })
    }

    /// Finds the model's files. `None` if the model serves just these, and that is enough.
    fn open(&self, job: &Job, retries: &mut u32) -> Result<Option<(ModelFolder, Origin)>, LoadFailure> {
        let (folder, files) = self.fetch(job, retries)?;
        if !job.explicit && self.serves_content(&job.name, folder.fingerprint) {
            return Ok(None);
        }
        if job.expected.is_some_and(|expected| expected != folder.fingerprint) {
            return Err(LoadFailure::Changed);
        }
        self.models.lock().entry(&job.name).in_repository = job.overrides.files.is_empty();
        let from_repository = job.overrides.config.is_none() && job.overrides.files.is_empty();
        let fingerprint = from_repository.then_some(folder.fingerprint);
        let given = GivenConfig::of(self.repositories(), &job.name, &job.overrides);
        Ok(Some((folder, Origin { fingerprint, files, given })))
    }

    /// From the model's files to what can be installed.
    fn make(&self, job: &Job, folder: &ModelFolder, origin: &Origin) -> Result<Ready, LoadFailure> {
        let prepared = prepare(&self.loader.context, folder.clone(), job.overrides.config.as_deref());
        let ready = prepared.map_err(LoadFailure::Config).and_then(|prepared| {
            self.mark_loading(&job.name, &prepared.versions);
            if hippocamp_model_config::is_ensemble(&prepared.config) {
                make_ensemble(job, prepared, &self.loader, self.repositories())
            } else {
                self.loader.load(prepared, self.reusable(&job.name)).map(Ready::Model)
            }
        });
        // Files that were brought here for this load do not change. Of others half may have been read before a change
        // and half behind it: that explains a failure, and a success could be a lie.
        if job.expected.is_some() && origin.files.is_none() && !folder.is_unchanged() {
            return Err(LoadFailure::Changed);
        }
        // Where they were brought to is nobody's business, and gone when somebody reads it.
        ready.map_err(|failure| match &origin.files {
            Some(_) => failure.with_text(&|text| without_folder(text, folder)),
            None => failure,
        })
    }

    /// Tries again what may go better the next time: a config won't, and what changed settles first.
    fn with_retries<T>(
        &self,
        name: &str,
        mut retries: u32,
        mut attempt: impl FnMut() -> Result<T, LoadFailure>,
    ) -> Result<T, LoadFailure> {
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(LoadFailure::Changed) => return Err(LoadFailure::Changed),
                Err(failure) if retries == 0 || matches!(failure, LoadFailure::Config(_)) => {
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
                Err(failure) => {
                    error!(model = name, "failed to load model '{name}', trying again: {}", failure.reason());
                    retries -= 1;
                }
            }
        }
    }

    /// Finds the model's files, and brings them here if they are elsewhere. Only that is tried again: a disk would not do
    /// better the next time.
    fn fetch(&self, job: &Job, retries: &mut u32) -> Result<(ModelFolder, Option<ModelFiles>), LoadFailure> {
        let name = &job.name;
        loop {
            match find_files(self.repositories(), name, &job.overrides) {
                Ok(found) => return Ok(found),
                Err(error) if *retries > 0 && error.code() == Code::Unavailable => {
                    error!(model = name, "failed to load model '{name}', trying again: {error}");
                    *retries -= 1;
                }
                Err(error) => {
                    let failure = LoadFailure::Config(error);
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
            }
        }
    }

    /// Whether the model serves, and from just that content, or from what a request brought along.
    fn serves_content(&self, name: &str, content: Fingerprint) -> bool {
        let models = self.models.lock();
        let entry = models.entries.get(name);
        entry
            .is_some_and(|e| !e.serving.is_empty() && e.origin.fingerprint.is_none_or(|from| from == content))
    }

    /// The versions of a model that serve with instances of their own: a load may reuse what an edit leaves as it is.
    fn reusable(&self, name: &str) -> Vec<Reusable> {
        let models = self.models.lock();
        let reusable = models.serving(name).iter().filter_map(|started| {
            let Stopped::Instances(stopped) = &started.stopped else { return None };
            let opened = Arc::clone(started.opened.as_ref()?);
            Some(Reusable { model: Arc::clone(&started.model), opened, stopped: stopped.clone() })
        });
        reusable.collect()
    }
}

/// A text in which paths begin with the model's name instead of the folder that its files are in for now.
fn without_folder(text: &str, folder: &ModelFolder) -> String {
    text.replace(&*folder.path.to_string_lossy(), &folder.name)
}

/// Checks the config of an ensemble. It is built when it is installed.
fn make_ensemble(
    job: &Job,
    prepared: Prepared,
    loader: &Loader,
    repositories: &Repositories,
) -> Result<Ready, LoadFailure> {
    let versions = prepared.versions.clone();
    if let Some(last) = &job.cycle {
        return Err(LoadFailure::Composing { versions, error: circular(&job.name, last) });
    }
    match EnsembleSource::new(prepared, repositories, loader) {
        Ok(source) => Ok(Ready::Ensemble(Arc::new(source))),
        Err(error) => Err(all_versions(&versions, &error)),
    }
}
