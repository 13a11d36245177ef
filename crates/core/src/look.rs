//! What people look at: what serves, and configs as they were written.

use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_loading::hint::hint;
use hippocamp_loading::{Finding, check_model};
use hippocamp_repository::{RemoteTimeout, find};

use crate::{InferenceServer, LoadedModel};

/// A longer config is not shown.
const MAX_TEXT: u64 = 1 << 20;

/// A model's config as its author wrote it.
#[derive(Debug)]
pub struct WrittenConfig {
    /// The config's file, or the model's folder if there is none.
    pub path: PathBuf,
    /// `None` if there is no file, or none that can be shown.
    pub text: Option<String>,
    /// All that a check finds without opening model files, each with a suggestion if there is one.
    pub findings: Vec<(Finding, Option<String>)>,
}

impl InferenceServer {
    /// All serving versions, sorted by name and version.
    pub fn serving(&self) -> Vec<Arc<LoadedModel>> {
        self.lifecycle.routes().all()
    }

    /// The config of a model of a local repository as it lies there now, checked. `None` if there is no such model. Reads the
    /// disk.
    pub fn written_config(&self, name: &str) -> Option<WrittenConfig> {
        let settings = self.settings();
        let folder =
            find(&settings.repositories, name, &self.scan_options(RemoteTimeout::Short)).ok()??.folder;
        let context = &self.lifecycle.loader().context;
        let states = self.model_states();
        let models: Vec<&str> = states.keys().map(String::as_str).collect();
        let backends: Vec<&str> = context.backends.names().collect();
        let findings = check_model(context, &folder).findings.into_iter();
        let findings = findings.map(|finding| {
            let hint = hint(&finding.kind, &models, &backends);
            (finding, hint)
        });
        let findings = findings.collect();
        let text = folder.config_path.as_ref().and_then(|path| hippocamp_files::read(path, MAX_TEXT).ok());
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Some(WrittenConfig { path: folder.config_path.unwrap_or(folder.path), text, findings })
    }
}
