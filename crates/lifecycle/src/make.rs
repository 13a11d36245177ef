//! Loads the model of a job so that it can be installed. This runs on a loading thread and does not affect serving versions.

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
    /// Loads and installs the model of a job. Returns the versions to retire, or `None` if the model serves the wanted
    /// content already.
    pub(crate) fn load_now(&self, job: &Job) -> Result<Option<Vec<Retired>>, LoadFailure> {
        let mut retries = self.settings.load_retries;
        let Some((folder, mut origin)) = self.open(job, &mut retries)? else { return Ok(None) };
        let load = || {
            let ready = self.make(job, &folder, &origin)?;
            self.install(&job.name, ready, &mut origin, job.explicit)
        };
        self.with_retries(&job.name, retries, load).map(Some)
    }

    /// Loads a model without installing it, so that it can be installed together with others.
    pub(crate) fn load_aside(&self, job: &Job) -> Result<ReadyModel, LoadFailure> {
        let mut retries = self.settings.load_retries;
        let opened = self.open(job, &mut retries)?;
        let (folder, origin) = opened.ok_or(LoadFailure::Changed)?;
        let ready = self.with_retries(&job.name, retries, || self.make(job, &folder, &origin))?;
        Ok(ReadyModel { name: job.name.clone(), ready, origin })
    }

    /// Finds the model's files. Returns `None` if the model serves this content already and the job does not force a reload.
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

    /// Loads the model from its files. The result can be installed.
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
        // Temporary files of this load do not change. Others may have changed while they were read, so that the load mixed
        // old and new files: neither a failure nor a success can be trusted.
        if job.expected.is_some() && origin.files.is_none() && !folder.is_unchanged() {
            return Err(LoadFailure::Changed);
        }
        // The path of the temporary folder is removed from the message: the folder will be gone when somebody reads it.
        ready.map_err(|failure| match &origin.files {
            Some(_) => failure.with_text(&|text| without_folder(text, folder)),
            None => failure,
        })
    }

    /// Runs `load` and retries it up to `retries` times. A config error or a changed folder is not retried.
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

    /// Finds the model's files and downloads them if they are in a remote store. Only a failed download is retried.
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

    /// Whether the model serves this content, or files or a config from a load request.
    fn serves_content(&self, name: &str, content: Fingerprint) -> bool {
        let models = self.models.lock();
        let entry = models.entries.get(name);
        entry
            .is_some_and(|e| !e.serving.is_empty() && e.origin.fingerprint.is_none_or(|from| from == content))
    }

    /// The serving versions of a model with instances of their own. A load may reuse the instances that an edit does not
    /// affect.
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

/// Replaces the path of the temporary folder in a text by the model's name.
fn without_folder(text: &str, folder: &ModelFolder) -> String {
    text.replace(&*folder.path.to_string_lossy(), &folder.name)
}

/// Checks the config of an ensemble. Its versions are built when it is installed.
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
