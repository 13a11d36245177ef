//! Handles changes in the repositories in poll mode. A change of a model that is not loaded is only noted: the next request
//! loads the new content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::{Action, Dependencies, Fingerprint, Outcome, Transaction};
use tracing::warn;

use crate::footprint::{Part, closure};
use crate::guard::EvictionGuard;
use crate::lazy_loading::LazyLoading;
use crate::reservation::Reservation;

impl LazyLoading {
    /// The content that each model was loaded from or, if it is not loaded, will be loaded from. No action is needed if the
    /// repositories hold the same.
    pub fn accounted_for(&self) -> BTreeMap<String, Fingerprint> {
        let mut all = self.lifecycle.loaded();
        let state = self.state.lock();
        for (name, model) in state.models.iter() {
            if let Some(content) = model.content
                && !self.lifecycle.serves(name)
            {
                all.insert(name.to_owned(), content);
            }
        }
        all
    }

    /// Applies the part of a transaction that concerns serving models. The other models are loaded from their new content
    /// when a request asks for them.
    pub async fn transact(
        self: &Arc<Self>,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Outcome {
        let actions = self.note(transaction, contents, dependencies);
        if actions.is_empty() {
            self.changed.notify_waiters();
            return Outcome::Done;
        }
        let loads = actions.iter().filter(|action| matches!(action, Action::Load(_)));
        let names: BTreeSet<String> = loads.map(|action| action.name().to_owned()).collect();
        let parts = self.measure(&names).await;
        let asked = names.iter().cloned().collect::<Vec<_>>().join(", ");
        let reserved = self.reserve(Reservation { asked: &asked, parts: &parts, reloaded: &names }).await;
        if let Err(error) = &reserved {
            warn!(models = asked, "{error}; what serves is replaced all the same");
        }
        // The guard is taken after the memory is reserved, because a load that waits for memory must guard nothing.
        let tied = EvictionGuard::new(self, transaction.tied.clone());
        let of_serving = Transaction { actions, tied: transaction.tied.clone() };
        let outcome = self.lifecycle.transact(&of_serving, contents, dependencies).await;
        self.account_for_changed(&parts, if outcome == Outcome::Done { None } else { Some(&names) });
        drop((tied, reserved));
        let is_exceeded = self.state.lock().budget.missing_for(0) > 0;
        if is_exceeded {
            self.evict_excess().await;
        }
        outcome
    }

    /// The estimated memory and the composing models of each model, from its present files.
    async fn measure(&self, names: &BTreeSet<String>) -> Vec<Part> {
        let (lifecycle, names) = (Arc::clone(&self.lifecycle), names.clone());
        let measured = tokio::task::spawn_blocking(move || {
            let parts = names.iter().flat_map(|name| closure(&lifecycle, name));
            parts.map(|part| (part.name.clone(), part)).collect::<BTreeMap<_, _>>().into_values().collect()
        });
        // A panic in the task was logged.
        measured.await.unwrap_or_default()
    }

    /// Updates the budget after a transaction: a serving model holds its new size, and the reserved second copy of each
    /// model in `failed` is released. The second copy of a model that was replaced is released when the old versions end.
    fn account_for_changed(&self, parts: &[Part], failed: Option<&BTreeSet<String>>) {
        let mut state = self.state.lock();
        for name in failed.into_iter().flatten() {
            state.budget.replaced(name);
        }
        for part in parts {
            if self.lifecycle.serves(&part.name) {
                state.budget.hold(&part.name, part.bytes);
            }
        }
    }

    /// Stores the new contents, and returns the actions that have to be carried out now.
    fn note(
        &self,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Vec<Action> {
        let mut state = self.state.lock();
        let serves = |name: &str| self.lifecycle.serves(name);
        let mut now = BTreeSet::new();
        state.models.forget_failures();
        for action in &transaction.actions {
            let name = action.name();
            let content = contents.get(name).copied();
            let is_busy = serves(name) || state.loading.contains_key(name);
            match action {
                Action::Load(_) => state.models.add(name, content, true),
                Action::Unload(_) => state.models.remove(name),
                Action::Missing(_) => continue,
            }
            if is_busy {
                now.insert(action.clone());
            }
        }
        // A serving ensemble may now be composed of models that are not loaded yet.
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
