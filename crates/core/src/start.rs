//! The start: what the repositories hold is loaded as far as the settings ask for it.

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
    /// Loads what the settings ask for, several models at once. Returns what went wrong, a line each; everything else
    /// can be served. Whether it is, is for the caller to say: [`InferenceServer::begin_serving`].
    pub async fn load_repositories(self: &Arc<Self>) -> Vec<String> {
        self.start_models().await.into_iter().map(|fault| fault.message).collect()
    }

    /// The same, with each fault as a value.
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

    /// A look at all repositories, on a thread that may block: they may be far away.
    async fn scan_all(self: &Arc<Self>) -> Scan {
        let server = Arc::clone(self);
        let look = move || scan(&server.settings().repositories, &server.scan_options(RemoteTimeout::Full));
        // A panic in there was logged where it happened.
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

    /// Loads the wanted ones of the models that are present, or has them loaded when requests ask for them. Returns what
    /// went wrong.
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
        // Following the repositories reports what settles, and nothing else is loaded.
        let settled = self.settings().control_mode == ControlMode::Poll;
        if let Some(lazy) = &self.lazy {
            lazy.add_at_start(names, present, settled).await;
            return faults;
        }
        let job = |name: &String| match present.get(name) {
            // Nobody says that it has settled; if it hasn't, that will be noticed.
            Some(content) if settled => Job::settled(name.clone(), *content),
            _ => Job::explicit(name.clone(), LoadOverrides::default()),
        };
        let mut outcomes = self.lifecycle.load_models(names.iter().map(job).collect()).await;
        for name in names {
            match outcomes.remove(&name) {
                // What follows the repositories loads it when it has settled.
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
