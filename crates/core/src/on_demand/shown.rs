//! What the index and the metrics show of models that stand by.

use std::collections::BTreeMap;

use hippocamp_metrics::{Kind, Page};
use hippocamp_repository::{Fingerprint, Patience, scan};

use super::OnDemand;
use super::footprint::versions_here;
use crate::InferenceServer;
use crate::index::{State, VersionState};

/// The reason of a version that stands by.
const STANDS_BY: &str = "stands by: loaded when a request asks for it";

/// A model that stands by.
struct Asleep {
    name: String,
    content: Fingerprint,
    /// Why it could not be loaded when it was tried last.
    failure: Option<String>,
    /// What a load would serve, if that is known.
    versions: Option<Vec<u64>>,
}

impl InferenceServer {
    /// Puts what stands by among the states of what was loaded: it is ready, as its requests are answered. Looks at every
    /// model's files, as versions come and go, and reads configs, each content of a model once.
    pub(crate) fn show_standing_by(&self, states: &mut BTreeMap<String, BTreeMap<u64, VersionState>>) {
        let Some(demand) = &self.on_demand else { return };
        let found = scan(&self.settings().repositories, &self.scan_options(Patience::Short));
        let asleep: Vec<Asleep> = {
            let state = demand.state.lock();
            let present = state.standby.members().filter_map(|(name, member)| {
                let content = *found.models.get(name)?;
                let failure = member.failure.as_ref().map(|failure| failure.error.message().to_owned());
                let versions = member.versions.clone().filter(|(of, _)| *of == content);
                let versions = versions.map(|(_, versions)| versions);
                let asleep = Asleep { name: name.to_owned(), content, failure, versions };
                self.routes.versions(name).is_empty().then_some(asleep)
            });
            present.collect()
        };
        for Asleep { name, content, failure, versions } in asleep {
            let known = states.entry(name.clone()).or_default();
            if known.values().any(|state| state.state == State::Loading) {
                continue;
            }
            let versions = versions.or_else(|| {
                let versions = versions_here(self, &name)?;
                demand.state.lock().standby.shown(&name, content, versions.clone());
                Some(versions)
            });
            // The versions of what lies in a store are known when it was loaded once.
            let versions = versions.unwrap_or_else(|| match (known.is_empty(), &failure) {
                (true, Some(_)) => vec![1],
                _ => known.keys().copied().collect(),
            });
            let before = std::mem::take(known);
            for version in versions {
                let failed = before.get(&version).filter(|state| state.is_failure()).cloned();
                let now = match &failure {
                    None => VersionState::new(State::Ready, STANDS_BY),
                    Some(reason) => failed.unwrap_or_else(|| VersionState::new(State::Unavailable, reason)),
                };
                known.insert(version, now);
            }
        }
    }

    /// The names of all that may stand by.
    pub(crate) fn standing_by(&self) -> Vec<String> {
        let Some(demand) = &self.on_demand else { return Vec::new() };
        demand.state.lock().standby.members().map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether that model stands by now.
    pub(crate) fn stands_by(&self, name: &str) -> bool {
        let known = |demand: &OnDemand| demand.state.lock().standby.get(name).is_some();
        self.routes.versions(name).is_empty() && self.on_demand.as_ref().is_some_and(known)
    }

    pub(crate) fn standby_metrics(&self, page: &mut Page) {
        let Some(demand) = &self.on_demand else { return };
        let state = demand.state.lock();
        let ledger = &state.standby.ledger;
        let help = "Number of models that may be loaded when a request asks for them";
        page.family("nv_model_standby_count", help, Kind::Gauge).sample(
            &[],
            state.standby.members().filter(|(name, _)| self.routes.versions(name).is_empty()).count(),
        );
        let help = "Bytes that loaded models may take, 0 for no limit (--lazy-load-memory-budget)";
        page.family("nv_model_memory_budget_bytes", help, Kind::Gauge)
            .sample(&[], ledger.budget().unwrap_or(0));
        let help = "Bytes that models are reckoned to take that are loaded, being loaded or ending";
        page.family("nv_model_memory_used_bytes", help, Kind::Gauge).sample(&[], ledger.used());
        let help = "Number of times that a model was unloaded to make room for another";
        let mut family = page.family("nv_model_eviction", help, Kind::Counter);
        for (name, member) in state.standby.members().filter(|(_, member)| member.evictions > 0) {
            family.sample(&[("model", name)], member.evictions);
        }
    }
}
