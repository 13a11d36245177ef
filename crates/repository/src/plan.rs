//! Compares the loaded models with the repositories and plans what has to be loaded and unloaded. No I/O is done here.

use std::collections::{BTreeMap, BTreeSet};

use crate::Fingerprint;

/// Which models of the repositories should be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    Named(BTreeSet<String>),
}

impl Wanted {
    fn contains(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Named(names) => names.contains(name),
        }
    }
}

/// An action of a plan. The actions of one plan have no order; [`transactions`](crate::transactions) finds one from the
/// dependencies of the ensembles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The model is new, or it changed since it was loaded.
    Load(String),
    /// The model was removed from the repositories, or is no longer wanted.
    Unload(String),
    /// The model is wanted by name, but no repository has it.
    Missing(String),
}

impl Action {
    /// The model that is loaded, unloaded or missing.
    pub fn name(&self) -> &str {
        match self {
            Action::Load(name) | Action::Unload(name) | Action::Missing(name) => name,
        }
    }
}

/// Plans the actions that lead from the loaded models, each with the content that it was loaded from, to the models that the
/// repositories hold now. There is no action for a model whose content did not change.
pub fn plan(
    loaded: &BTreeMap<String, Fingerprint>,
    present: &BTreeMap<String, Fingerprint>,
    wanted: &Wanted,
) -> Vec<Action> {
    let gone = loaded.keys().filter(|name| !present.contains_key(*name) || !wanted.contains(name));
    let changed = present
        .iter()
        .filter(|(name, now)| wanted.contains(name) && loaded.get(*name) != Some(now))
        .map(|(n, _)| n);
    let named = match wanted {
        Wanted::All => None,
        Wanted::Named(names) => Some(names.iter().filter(|name| !present.contains_key(*name))),
    };
    let unloads = gone.cloned().map(Action::Unload);
    let loads = changed.cloned().map(Action::Load);
    let missing = named.into_iter().flatten().cloned().map(Action::Missing);
    unloads.chain(loads).chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn models(list: &[(&str, u64)]) -> BTreeMap<String, Fingerprint> {
        list.iter().map(|(name, f)| ((*name).to_owned(), fingerprint(*f))).collect()
    }

    /// Any two that differ will do.
    fn fingerprint(n: u64) -> Fingerprint {
        Fingerprint::of(&n)
    }

    #[test]
    fn loads_what_is_new_or_changed_and_unloads_what_is_gone() {
        let loaded = models(&[("same", 1), ("changed", 1), ("gone", 1)]);
        let present = models(&[("same", 1), ("changed", 2), ("new", 1)]);
        assert_eq!(
            plan(&loaded, &present, &Wanted::All),
            [Action::Unload("gone".into()), Action::Load("changed".into()), Action::Load("new".into())]
        );
    }

    #[test]
    fn serves_only_what_is_wanted_and_says_what_is_missing() {
        let present = models(&[("a", 1), ("b", 1)]);
        let wanted = Wanted::Named(["a".into(), "x".into()].into());
        assert_eq!(
            plan(&models(&[("b", 1)]), &present, &wanted),
            [Action::Unload("b".into()), Action::Load("a".into()), Action::Missing("x".into())]
        );
    }

    fn any_models() -> impl Strategy<Value = BTreeMap<String, Fingerprint>> {
        prop::collection::btree_map("[a-e]", (0u64..3).prop_map(fingerprint), 0..5)
    }

    proptest! {
        #[test]
        fn carrying_out_a_plan_leaves_nothing_to_do(
            mut loaded in any_models(),
            present in any_models(),
            named in prop::option::of(prop::collection::btree_set("[a-f]", 0..4)),
        ) {
            let wanted = named.map_or(Wanted::All, Wanted::Named);
            for action in plan(&loaded, &present, &wanted) {
                match action {
                    Action::Load(name) => drop(loaded.insert(name.clone(), present[&name])),
                    Action::Unload(name) => drop(loaded.remove(&name)),
                    Action::Missing(name) => prop_assert!(!present.contains_key(&name)),
                }
            }
            let expected: BTreeMap<_, _> =
                present.clone().into_iter().filter(|(name, _)| wanted.contains(name)).collect();
            prop_assert_eq!(&loaded, &expected);
            let again = plan(&loaded, &present, &wanted);
            prop_assert!(again.iter().all(|a| matches!(a, Action::Missing(_))));
        }
    }
}
