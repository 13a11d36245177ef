//! What people look at: what serves, and configs as they were written.

use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_loading::hint::hint;
use hippocamp_loading::{Finding, check_model};
use hippocamp_repository::{RemoteTimeout, RepositoryLocation, find};

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

    /// The config of a model of a local repository as it lies there now, checked. `None` if there is no such model, or
    /// it is in another repository. Reads the disk.
    pub fn written_config(&self, name: &str) -> Option<WrittenConfig> {
        // Finding a model elsewhere fetches all of it.
        let is_here = |location: &&RepositoryLocation| matches!(location, RepositoryLocation::Local(_));
        let local: Vec<RepositoryLocation> =
            self.settings().repositories.iter().filter(is_here).cloned().collect();
        let folder = find(&local, name, &self.scan_options(RemoteTimeout::Short)).ok()??.folder;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hippocamp_repository::{Fingerprint, RemoteFault, RemoteModel, RemoteRepository};

    use super::*;
    use crate::Settings;

    /// Has every model, and must not be asked for its files.
    #[derive(Debug)]
    struct Elsewhere;

    impl RemoteRepository for Elsewhere {
        fn location(&self) -> &'static str {
            "elsewhere"
        }

        fn list(&self, _: RemoteTimeout) -> Result<BTreeMap<String, Fingerprint>, RemoteFault> {
            Ok(BTreeMap::from([("there".to_owned(), Fingerprint::default())]))
        }

        fn contains(&self, _: &str) -> Result<bool, RemoteFault> {
            Ok(true)
        }

        fn config(&self, _: &str, _: Option<&str>) -> Result<Option<String>, RemoteFault> {
            Ok(Some(String::new()))
        }

        fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault> {
            panic!("model '{name}' is fetched only to be looked at")
        }
    }

    #[test]
    fn nothing_is_fetched_to_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        for model in [models.join("here"), folder.path().join("outside")] {
            std::fs::create_dir_all(&model).unwrap();
            std::fs::write(model.join("config.pbtxt"), "backend: \"none\"").unwrap();
        }
        let repositories = vec![models.into(), RepositoryLocation::Remote(Arc::new(Elsewhere))];
        let server = InferenceServer::new(Settings { repositories, ..Settings::default() }, Vec::new());
        assert!(server.written_config("there").is_none());
        assert!(server.written_config("../outside").is_none(), "a name is no path");
        let here = server.written_config("here").unwrap();
        assert_eq!(here.text.as_deref(), Some("backend: \"none\""));
        assert!(!here.findings.is_empty());
    }
}
