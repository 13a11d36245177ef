//! The load of a model that requests wait for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::Error;
use hippocamp_repository::Dependencies;
use tracing::{error, info};

use super::OnDemand;
use super::footprint::{Part, closure};
use crate::jobs::{Job, Jobs};
use crate::load::LoadFailure;
use crate::{InferenceServer, LoadedModel};

/// How long a model whose files are just being changed is waited for, in poll mode.
const CHANGING: Duration = Duration::from_secs(10);
/// How often it is looked at again meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl InferenceServer {
    /// Loads a model that requests wait for, and tells them.
    pub(super) async fn load_on_demand(self: Arc<Self>, name: String) {
        let Some(demand) = &self.on_demand else { return };
        // On a task of its own: if that panics, those who wait are told all the same.
        let (server, owned) = (Arc::clone(&self), name.clone());
        let load = tokio::spawn(async move {
            let demand = server.on_demand.as_ref()?;
            Some(server.load_settled(demand, &owned).await)
        });
        let outcome = load.await.ok().flatten().unwrap_or_else(|| Err(LoadFailed::Gone.told(&name)));
        let mut state = demand.state.lock();
        match &outcome {
            Ok(_) => state.standby.succeeded(&name),
            Err(Refusal { error, lasts: true }) => state.standby.failed(&name, error, Instant::now()),
            Err(_) => {}
        }
        // In one step: nobody joins a load that has ended.
        if let Some(waiting) = state.loading.remove(&name) {
            waiting.send_replace(Some(outcome.map_err(|refusal| refusal.error)));
        }
    }

    async fn load_settled(
        self: &Arc<Self>,
        demand: &OnDemand,
        name: &str,
    ) -> Result<Vec<Arc<LoadedModel>>, Refusal> {
        let begin = Instant::now();
        loop {
            let refusal = match self.load_once(demand, name).await {
                Ok(versions) => return Ok(versions),
                Err(refusal) => refusal,
            };
            let LoadFailed::Changed = refusal else { return Err(refusal.told(name)) };
            if begin.elapsed() > CHANGING {
                return Err(refusal.told(name));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Loads a model with what it is composed of, when there is room for it.
    async fn load_once(
        self: &Arc<Self>,
        demand: &OnDemand,
        name: &str,
    ) -> Result<Vec<Arc<LoadedModel>>, LoadFailed> {
        let begin = Instant::now();
        let parts = self.parts(name).await?;
        self.admit(demand, name, &parts)?;
        // Until those who wait hold on to it.
        let _guard =
            self.make_room(demand, name, &parts, &BTreeSet::new()).await.map_err(LoadFailed::NoRoom)?;
        let jobs = self.jobs(demand, &parts);
        let mut dependencies = Dependencies::default();
        for part in &parts {
            dependencies.set(&part.name, part.composing.clone());
        }
        let mut outcomes = self.run_jobs(Jobs::among(jobs, &dependencies)).await;
        let bytes = self.settle(demand, &parts);
        if let Some(Err(failure)) = outcomes.remove(name) {
            return Err(LoadFailed::Load(failure).if_changed());
        }
        if outcomes.values().any(|outcome| matches!(outcome, Err(LoadFailure::Changed))) {
            return Err(LoadFailed::Changed);
        }
        let versions = self.routes.versions(name);
        if versions.is_empty() {
            return Err(LoadFailed::Gone);
        }
        let ms = begin.elapsed().as_millis();
        let used = demand.state.lock().standby.ledger.used();
        info!(model = name, bytes, used, ms, "loaded on demand");
        Ok(versions)
    }

    async fn parts(self: &Arc<Self>, name: &str) -> Result<Vec<Part>, LoadFailed> {
        let (server, name) = (Arc::clone(self), name.to_owned());
        // A panic in there was logged.
        tokio::task::spawn_blocking(move || closure(&server, &name)).await.map_err(|_| LoadFailed::Gone)
    }

    /// Refuses an ensemble that is composed of what a client has unloaded.
    fn admit(&self, demand: &OnDemand, name: &str, parts: &[Part]) -> Result<(), LoadFailed> {
        let mut state = demand.state.lock();
        for part in
            parts.iter().filter(|part| part.name != name && self.routes.versions(&part.name).is_empty())
        {
            if !state.standby.add_composing(&part.name) {
                return Err(LoadFailed::Unloaded(part.name.clone()));
            }
        }
        Ok(())
    }

    /// The loads of what does not serve yet.
    fn jobs(&self, demand: &OnDemand, parts: &[Part]) -> Vec<Job> {
        let state = demand.state.lock();
        let asleep = parts.iter().filter(|part| self.routes.versions(&part.name).is_empty());
        let expected = |part: &Part| state.standby.get(&part.name).and_then(|member| member.content);
        asleep.map(|part| Job::on_demand(part.name.clone(), expected(part))).collect()
    }

    /// Accounts for what serves now; the room of what does not goes with the guard. Returns what the parts take.
    pub(super) fn settle(&self, demand: &OnDemand, parts: &[Part]) -> u64 {
        let mut state = demand.state.lock();
        let mut models = self.models.lock();
        let mut bytes = 0u64;
        for part in parts {
            if models.serving(&part.name).is_empty() {
                continue;
            }
            bytes = bytes.saturating_add(part.bytes);
            if state.standby.ledger.of(&part.name).is_none() {
                state.standby.ledger.hold(&part.name, part.bytes);
            }
            if state.standby.get(&part.name).is_some_and(|member| member.by_name) {
                models.entry(&part.name).explicit = true;
            }
        }
        drop((state, models));
        demand.changed.notify_waiters();
        bytes
    }
}

/// Why a model was not loaded.
#[derive(Debug)]
enum LoadFailed {
    Load(LoadFailure),
    /// Its files are being changed.
    Changed,
    /// A client has unloaded what it is composed of.
    Unloaded(String),
    NoRoom(Error),
    /// Somebody ended it meanwhile.
    Gone,
}

/// What requests are told.
#[derive(Debug)]
struct Refusal {
    error: Error,
    /// To try it again at once would tell the same.
    lasts: bool,
}

impl LoadFailed {
    fn if_changed(self) -> LoadFailed {
        if let LoadFailed::Load(LoadFailure::Changed) = self { LoadFailed::Changed } else { self }
    }

    fn told(self, name: &str) -> Refusal {
        let unavailable = |why: String| {
            Error::unavailable(format!("model '{name}' could not be loaded for the request: {why}"))
        };
        let lasts = matches!(self, LoadFailed::Load(_) | LoadFailed::NoRoom(_));
        let error = match self {
            LoadFailed::Load(failure) => unavailable(failure.reason()),
            LoadFailed::Changed => {
                unavailable(format!("its files kept changing for {} s", CHANGING.as_secs()))
            }
            LoadFailed::Unloaded(part) => {
                unavailable(format!("it is composed of model '{part}', which was unloaded"))
            }
            LoadFailed::Gone => unavailable("it was unloaded at the same time".to_owned()),
            LoadFailed::NoRoom(error) => {
                error!(model = name, "{error}");
                error
            }
        };
        Refusal { error, lasts }
    }
}
