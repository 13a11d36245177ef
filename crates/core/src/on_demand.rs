//! Loads models when requests ask for them, and makes room for that. Only what does not find its model comes here:
//! [`InferenceServer::model`] stays the one look-up of all others.

mod footprint;
mod loading;
mod pinned;
mod poll;
mod room;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_repository::Fingerprint;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tracing::info;

use crate::standby::Standby;
use crate::{ControlMode, InferenceServer, LoadedModel, Settings};
use footprint::folder_here;

/// The versions that serve, or why none does.
type Outcome = Result<Vec<Arc<LoadedModel>>>;

/// What a server has that loads on demand.
#[derive(Debug)]
pub(crate) struct OnDemand {
    server: Weak<InferenceServer>,
    /// Held for moments, and before the lock of the models where both are.
    pub(crate) state: Mutex<DemandState>,
    /// Held by who makes room: the first to come is the first to get it.
    turn: AsyncMutex<()>,
    /// Something was freed, or a content has settled.
    changed: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct DemandState {
    pub(crate) standby: Standby,
    /// Loads under way, with those who wait for them.
    loading: BTreeMap<String, watch::Sender<Option<Outcome>>>,
    /// How many loads need a model to stay as it is.
    guarded: BTreeMap<String, usize>,
}

/// What waits for a load.
enum Asked {
    Wait(watch::Receiver<Option<Outcome>>),
    Refused(Error),
    /// It does not stand by.
    Unknown,
}

impl OnDemand {
    /// `None` if everything is loaded when it is wanted.
    pub(crate) fn wanted(settings: &Settings, server: &Weak<InferenceServer>) -> Option<OnDemand> {
        let budget = Some(settings.lazy_load_memory_budget).filter(|&budget| budget > 0);
        let state = DemandState { standby: Standby::new(budget), ..DemandState::default() };
        settings.lazy_load.then(|| OnDemand {
            server: Weak::clone(server),
            state: Mutex::new(state),
            turn: AsyncMutex::default(),
            changed: Notify::new(),
        })
    }

    /// Joins the load of a model that is under way, or begins one.
    fn ask(&self, name: &str) -> Asked {
        let mut state = self.state.lock();
        if let Some(loading) = state.loading.get(name) {
            return Asked::Wait(loading.subscribe());
        }
        let Some(member) = state.standby.get(name) else { return Asked::Unknown };
        if let Some(error) = member.failure.as_ref().and_then(|failure| failure.now(Instant::now())) {
            return Asked::Refused(error);
        }
        let Some(server) = self.server.upgrade() else { return Asked::Unknown };
        let (sender, receiver) = watch::channel(None);
        state.loading.insert(name.to_owned(), sender);
        // It goes on to the end even if nobody waits for it any more: the next request is not far.
        tokio::spawn(server.load_on_demand(name.to_owned()));
        Asked::Wait(receiver)
    }

    /// Keeps models from being evicted until the guard is dropped. Not for who waits for the turn.
    fn guard(&self, names: BTreeSet<String>) -> Guard<'_> {
        let mut state = self.state.lock();
        for name in &names {
            state.guard(name);
        }
        drop(state);
        Guard { demand: self, names }
    }
}

impl DemandState {
    fn guard(&mut self, name: &str) {
        *self.guarded.entry(name.to_owned()).or_default() += 1;
    }
}

/// See [`OnDemand::guard`].
struct Guard<'a> {
    demand: &'a OnDemand,
    names: BTreeSet<String>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let ended = {
            let mut state = self.demand.state.lock();
            let mut ended = Vec::new();
            for name in std::mem::take(&mut self.names) {
                let count = state.guarded.remove(&name).unwrap_or(1) - 1;
                if count > 0 {
                    state.guarded.insert(name, count);
                } else {
                    ended.push(name);
                }
            }
            ended
        };
        // What was not loaded gives its room back.
        if let Some(server) = self.demand.server.upgrade() {
            server.account_for_unloaded(self.demand, &ended);
        }
        self.demand.changed.notify_waiters();
    }
}

/// When a request found a model last.
#[derive(Debug)]
pub(crate) struct LastUse(AtomicU64);

impl LastUse {
    /// What was just made is no older than what was just used.
    pub(crate) fn now() -> LastUse {
        LastUse(AtomicU64::new(nanoseconds()))
    }

    pub(crate) fn touch(&self) {
        self.0.store(nanoseconds(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Since the first call.
fn nanoseconds() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl InferenceServer {
    /// As [`InferenceServer::model`], for a request. A model that stands by is loaded first: then this returns when it
    /// serves, or with the reason why it does not. To drop it ends the waiting, not the load.
    pub async fn demand(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.model(name, version) {
            Ok(model) => Ok(model),
            Err(error) => self.demand_anyway(name, version, error).await,
        }
    }

    /// As [`InferenceServer::demand`], and as [`InferenceServer::model_or_elder`].
    pub async fn demand_or_elder(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.model_or_elder(name, version) {
            Ok(model) => Ok(model),
            Err(error) => self.demand_anyway(name, version, error).await,
        }
    }

    #[cold]
    async fn demand_anyway(
        &self,
        name: &str,
        version: Option<u64>,
        error: Error,
    ) -> Result<Arc<LoadedModel>> {
        let Some(demand) = &self.on_demand else { return Err(error) };
        // On the heap: every request carries the room for this otherwise.
        Box::pin(self.wait_for_load(demand, name, version, error)).await
    }

    async fn wait_for_load(
        &self,
        demand: &OnDemand,
        name: &str,
        version: Option<u64>,
        error: Error,
    ) -> Result<Arc<LoadedModel>> {
        if let Some(version) = version
            && !self.has_version(demand, name, version).await
        {
            return Err(error);
        }
        if !self.routes.versions(name).is_empty() {
            return self.model(name, version);
        }
        let mut outcome = match demand.ask(name) {
            Asked::Wait(outcome) => outcome,
            Asked::Refused(error) => return Err(error),
            Asked::Unknown => return Err(error),
        };
        let lost = || Error::internal(format!("the load of model '{name}' ended without a word"));
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| lost())?;
        // Not by another look-up: it may be evicted again before this task has its turn.
        let versions = outcome.clone().unwrap_or_else(|| Err(lost()))?;
        let mut versions = versions.into_iter().rev();
        versions.find(|model| version.is_none_or(|version| model.version == version)).ok_or(error)
    }

    /// Whether a model that stands by has a folder for that version, as far as that can be told at once.
    async fn has_version(&self, demand: &OnDemand, name: &str, version: u64) -> bool {
        if demand.state.lock().standby.get(name).is_none() {
            return false;
        }
        let (server, name) = (Weak::clone(&demand.server), name.to_owned());
        let look = move || match folder_here(server.upgrade()?.as_ref(), &name) {
            // An ensemble needs none.
            Some(folder) => Some(folder.versions.is_empty() || folder.versions.contains(&version)),
            None => Some(true),
        };
        tokio::task::spawn_blocking(look).await.ok().flatten().unwrap_or(false)
    }

    /// Whether a request for the model would be answered: it serves, or stands by.
    pub async fn is_model_ready(&self, name: &str, version: Option<u64>) -> bool {
        if self.is_stopping() {
            return false;
        }
        if self.routes.find(name, version).is_ok() {
            return true;
        }
        let Some(demand) = &self.on_demand else { return false };
        {
            let state = demand.state.lock();
            let Some(member) = state.standby.get(name) else { return false };
            if member.failure.as_ref().is_some_and(|failure| failure.now(Instant::now()).is_some()) {
                return false;
            }
        }
        let is_asleep = self.routes.versions(name).is_empty();
        match version {
            Some(version) => is_asleep && self.has_version(demand, name, version).await,
            None => true,
        }
    }

    /// From here on these are loaded when they are asked for. What ensembles among them are composed of is, too.
    pub(crate) async fn stand_by(
        self: &Arc<Self>,
        demand: &OnDemand,
        names: Vec<String>,
        present: &BTreeMap<String, Fingerprint>,
    ) {
        let settles = self.settings().control_mode == ControlMode::Poll;
        {
            let mut state = demand.state.lock();
            for name in &names {
                state.standby.add(name, present.get(name).copied().filter(|_| settles), true);
            }
        }
        if names.len() < present.len() {
            let server = Arc::clone(self);
            let names = names.clone();
            let composing = tokio::task::spawn_blocking(move || {
                let all = names.iter().flat_map(|name| footprint::composing(&server, name));
                all.collect::<BTreeSet<_>>()
            });
            let composing = composing.await.unwrap_or_default();
            let mut state = demand.state.lock();
            for name in composing.iter().filter(|name| present.contains_key(*name)) {
                state.standby.add_composing(name);
            }
        }
        let (models, budget) = {
            let state = demand.state.lock();
            (state.standby.members().count(), state.standby.ledger.budget())
        };
        info!(models, budget, "stand by: each is loaded when a request asks for it");
    }
}
