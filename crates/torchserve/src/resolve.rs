//! From the name and version of a request to a model of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_archive_repository::Registration;
use hippocamp_net::off_thread;

use crate::state::Table;
use crate::{Failure, TorchServe};

/// How long the table of archives is taken as it is where a request may be about a newer one.
const FRESH: Duration = Duration::from_secs(1);

/// The server's model that a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) model: String,
    pub(crate) version: Option<u64>,
}

impl TorchServe {
    /// Finds the model of a prediction. Looks at the disk only for a version that it does not know.
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        name: &str,
        version: Option<&str>,
    ) -> Result<Target, Failure> {
        if let Some(found) = self.find_registered(name, version) {
            return found;
        }
        let Some(text) = version else { return Ok(Target { model: name.to_owned(), version: None }) };
        // A plain model has numbers for versions.
        if let Ok(number) = text.parse::<u64>()
            && self.server.ready_versions(name).iter().any(|model| model.version == number)
        {
            return Ok(Target { model: name.to_owned(), version: Some(number) });
        }
        self.refresh_if_old().await;
        match self.find_registered(name, version) {
            Some(found) => found,
            None if self.server.ready_versions(name).is_empty() => Err(Failure::no_model(name)),
            None => Err(Failure::no_version(name, text)),
        }
    }

    /// Finds a registered archive; `None` if there is none of that name.
    fn find_registered(&self, name: &str, version: Option<&str>) -> Option<Result<Target, Failure>> {
        let table = self.table.read();
        let versions = table.models.get(name)?;
        let wanted = match version {
            Some(version) => version.to_owned(),
            None => self.default_version(name, versions)?,
        };
        let Some(found) = versions.iter().find(|each| each.version == wanted) else {
            let is_old = table.made.is_none_or(|made| made.elapsed() > FRESH);
            return (!is_old).then(|| Err(Failure::no_version(name, &wanted)));
        };
        if found.workers == Some(0) && self.server.ready_versions(&found.model).is_empty() {
            return Some(Err(Failure::no_worker(name, version)));
        }
        Some(Ok(Target { model: found.model.clone(), version: None }))
    }

    /// The version of requests that name none.
    pub(crate) fn default_version(&self, name: &str, versions: &[Registration]) -> Option<String> {
        let set = self.defaults.lock().get(name).cloned();
        set.filter(|set| versions.iter().any(|each| each.version == *set))
            .or_else(|| versions.first().map(|first| first.version.clone()))
    }

    pub(crate) async fn refresh_if_old(self: &Arc<Self>) {
        let is_old = self.table.read().made.is_none_or(|made| made.elapsed() > FRESH);
        if is_old {
            self.refresh().await;
        }
    }

    /// Reads which archives are registered, or lie in a store and serve.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let read = move || {
            let mut models: BTreeMap<String, Vec<Registration>> = BTreeMap::new();
            let mut unservable = BTreeSet::new();
            for registration in this.archives.registrations() {
                if registration.dropped && registration.fault.is_some() {
                    unservable.insert(registration.model.clone());
                }
                let shows =
                    !registration.dropped || !this.server.ready_versions(&registration.model).is_empty();
                if shows {
                    models.entry(registration.name.clone()).or_default().push(registration);
                }
            }
            // The version that was there first stays the default one, whatever is registered later.
            let mut defaults = this.defaults.lock();
            defaults.retain(|name, version| {
                models.get(name).is_some_and(|versions| versions.iter().any(|each| each.version == *version))
            });
            for (name, versions) in &models {
                if let Some(first) = versions.first() {
                    defaults.entry(name.clone()).or_insert_with(|| first.version.clone());
                }
            }
            // Others take the table first.
            drop(defaults);
            *this.table.write() = Table { made: Some(Instant::now()), models, unservable };
        };
        // A panic in the task was logged where it happened.
        drop(off_thread(true, read).await);
    }
}
