//! What happens in a repository that is watched, while its models stand by: they are looked at anew when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::{Action, Dependencies, Fingerprint, Outcome, Transaction};
use tracing::warn;

use super::OnDemand;
use super::footprint::{Part, closure};
use crate::InferenceServer;

impl InferenceServer {
    /// What the repositories would have to hold so that nothing was to be done: of a model that stands by what it will be
    /// loaded from.
    pub(crate) fn accounted_for(&self) -> BTreeMap<String, Fingerprint> {
        let mut all = self.models.lock().loaded();
        let Some(demand) = &self.on_demand else { return all };
        let state = demand.state.lock();
        for (name, member) in state.standby.members() {
            if let Some(content) = member.content
                && self.routes.versions(name).is_empty()
            {
                all.insert(name.to_owned(), content);
            }
        }
        all
    }

    /// Carries out what of a transaction concerns models that serve; the others stand by as they are now.
    pub(crate) async fn transact_on_demand(
        self: &Arc<Self>,
        demand: &OnDemand,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Outcome {
        let actions = self.note(demand, transaction, contents, dependencies);
        if actions.is_empty() {
            demand.changed.notify_waiters();
            return Outcome::Done;
        }
        let loads = actions.iter().filter(|action| matches!(action, Action::Load(_)));
        let names: BTreeSet<String> = loads.map(|action| action.name().to_owned()).collect();
        let parts = self.measure(&names).await;
        let asked = names.iter().cloned().collect::<Vec<_>>().join(", ");
        let room = self.make_room(demand, &asked, &parts, &names).await;
        if let Err(error) = &room {
            warn!(models = asked, "{error}; what serves is replaced all the same");
        }
        // Not before there is room: whoever makes room waits for no guard of one that waits for room.
        let tied = demand.guard(transaction.tied.clone());
        let awake = Transaction { actions, tied: transaction.tied.clone() };
        let outcome = self.transact_now(&awake, contents, dependencies).await;
        self.account_for(demand, &parts, if outcome == Outcome::Done { None } else { Some(&names) });
        drop((tied, room));
        if demand.state.lock().standby.ledger.short(0) > 0 {
            self.trim(demand).await;
        }
        outcome
    }

    /// What the models take as they are now, and what they are composed of.
    async fn measure(self: &Arc<Self>, names: &BTreeSet<String>) -> Vec<Part> {
        let (server, names) = (Arc::clone(self), names.clone());
        let measured = tokio::task::spawn_blocking(move || {
            let parts = names.iter().flat_map(|name| closure(&server, name));
            parts.map(|part| (part.name.clone(), part)).collect::<BTreeMap<_, _>>().into_values().collect()
        });
        // A panic in there was logged.
        measured.await.unwrap_or_default()
    }

    /// What was loaded again is in its place, and what it replaced tells its end itself; or not, if it is among `failed`. What
    /// serves holds what it takes now.
    fn account_for(&self, demand: &OnDemand, parts: &[Part], failed: Option<&BTreeSet<String>>) {
        let mut state = demand.state.lock();
        for name in failed.into_iter().flatten() {
            state.standby.ledger.replaced(name);
        }
        for part in parts {
            if !self.routes.versions(&part.name).is_empty() {
                state.standby.ledger.hold(&part.name, part.bytes);
            }
        }
    }

    /// Takes note of the contents, and returns what has to be done at once.
    fn note(
        &self,
        demand: &OnDemand,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Vec<Action> {
        let mut state = demand.state.lock();
        let serves = |name: &str| !self.routes.versions(name).is_empty();
        let mut now = BTreeSet::new();
        state.standby.forgive();
        for action in &transaction.actions {
            let name = action.name();
            let content = contents.get(name).copied();
            let is_busy = serves(name) || state.loading.contains_key(name);
            match action {
                Action::Load(_) => state.standby.add(name, content, true),
                Action::Unload(_) => state.standby.remove(name),
                Action::Missing(_) => continue,
            }
            if is_busy {
                now.insert(action.clone());
            }
        }
        // An ensemble that serves may be made of models now that do not.
        let mut open: Vec<String> = now
            .iter()
            .filter(|action| matches!(action, Action::Load(_)))
            .map(|action| action.name().to_owned())
            .collect();
        while let Some(name) = open.pop() {
            for part in
                dependencies.composing(&name).filter(|part| contents.contains_key(*part) && !serves(part))
            {
                if now.insert(Action::Load(part.to_owned())) {
                    open.push(part.to_owned());
                }
            }
        }
        now.into_iter().collect()
    }
}
