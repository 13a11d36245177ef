//! The start of the server: loads the models of the repositories that the settings ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hippocamp_lifecycle::Job;
use hippocamp_loading::LoadFailure;
use hippocamp_repository::{Action, Fingerprint, RemoteTimeout, Scan, ScanFault, Wanted, advice, plan, scan};
use tracing::{error, warn};

use crate::control::meant;
use crate::{ControlMode, InferenceServer, LoadOverrides, StartFault};

impl InferenceServer {
    /// Loads the models that the settings ask for, several in parallel. Returns one line for each error; all other models
    /// can be served. The caller decides whether to serve: [`InferenceServer::begin_serving`].
    pub async fn load_repositories(self: &Arc<Self>) -> Vec<String> {
        self.start_models().await.into_iter().map(|fault| fault.message).collect()
    }

    /// As [`InferenceServer::load_repositories`], but returns the errors as values.
    pub async fn start_models(self: &Arc<Self>) -> Vec<StartFault> {
        let found = self.scan_all().await;
        let mut faults = Vec::new();
        self.unreadable.store(found.faults.iter().any(ScanFault::is_of_repository), Ordering::Release);
        for fault in &found.faults {
            if fault.is_warning() {
                warn!(model = fault.model(), "{fault}");
            } else {
                error!(model = fault.model(), "{fault}");
                faults.push(StartFault::of_repository(fault.to_string()));
            }
        }
        if self.settings().control_mode != ControlMode::Explicit {
            for advice in advice(&self.settings().repositories, &found) {
                warn!("{advice}");
            }
        }
        let wanted = self.wanted(&found.models);
        self.found_at_start.lock().clone_from(&found.models);
        faults.extend(self.load_wanted(&found.models, &wanted).await);
        faults
    }

    /// Scans all repositories on a thread that may block, as they may be remote.
    async fn scan_all(self: &Arc<Self>) -> Scan {
        let server = Arc::clone(self);
        let look = move || scan(&server.settings().repositories, &server.scan_options(RemoteTimeout::Full));
        // A panic in the task was logged where it happened.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    fn wanted(&self, present: &BTreeMap<String, Fingerprint>) -> Wanted {
        let settings = self.settings();
        let all = settings.load_models.iter().any(|name| name == "*");
        match settings.control_mode {
            ControlMode::None | ControlMode::Poll => Wanted::All,
            ControlMode::Explicit if all => Wanted::All,
            ControlMode::Explicit if !settings.model_namespacing => {
                Wanted::Named(settings.load_models.iter().cloned().collect())
            }
            ControlMode::Explicit => {
                let named = settings
                    .load_models
                    .iter()
                    .flat_map(|name| meant(present.keys().map(String::as_str), name));
                Wanted::Named(named.collect())
            }
        }
    }

    /// Loads the wanted models among those present, or registers them for lazy loading. Returns the errors.
    async fn load_wanted(&self, present: &BTreeMap<String, Fingerprint>, wanted: &Wanted) -> Vec<StartFault> {
        let mut names = Vec::new();
        let mut faults = Vec::new();
        for action in plan(&BTreeMap::new(), present, wanted) {
            match action {
                Action::Load(name) => names.push(name),
                // Nothing is loaded yet.
                Action::Unload(_) => {}
                Action::Missing(name) => {
                    let fault = format!("failed to load model '{name}': no model repository has it");
                    error!(model = name, "{fault}");
                    faults.push(StartFault { model: Some(name), message: fault, errors: Vec::new() });
                }
            }
        }
        // In poll mode, following reports settled contents, and only these are loaded.
        let settled = self.settings().control_mode == ControlMode::Poll;
        if let Some(lazy) = &self.lazy {
            lazy.add_at_start(names, present, settled).await;
            return faults;
        }
        let job = |name: &String| match present.get(name) {
            // At the start nothing is known about settling. If the content changes during the load, the load notices.
            Some(content) if settled => Job::settled(name.clone(), *content),
            _ => Job::explicit(name.clone(), LoadOverrides::default()),
        };
        let mut outcomes = self.lifecycle.load_models(names.iter().map(job).collect()).await;
        for name in names {
            match outcomes.remove(&name) {
                // A model that changed during its load is loaded by following when it has settled.
                None | Some(Ok(()) | Err(LoadFailure::Changed)) => {}
                Some(Err(failure)) => {
                    self.lifecycle.set_missing(&name);
                    faults.push(StartFault::of_model(name, failure));
                }
            }
        }
        faults
    }
}
