//! Groups the actions of a plan into transactions, and orders them. No I/O is done here.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Action, Dependencies};

/// The actions on models that are connected by ensembles, directly or through other models. They are in the order in which
/// they are carried out: an ensemble comes after the models that it is composed of, and unloads come last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub actions: Vec<Action>,
    /// All models that are connected to them, including those without an action.
    pub tied: BTreeSet<String>,
}

/// The result of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All actions were carried out.
    Done,
    /// Some actions failed because of what the repositories hold; the reasons were logged. Another attempt would fail as
    /// well.
    Failed,
    /// An action failed, and none was carried out, because these models change together or not at all.
    FailedTogether,
    /// Files changed while they were read, so the settling time begins again.
    Changed,
}

/// Groups the actions of a plan into transactions. Two models are connected if one is composed of the other, or an ensemble of
/// both, in the dependencies that are served now (`before`) or in the new ones (`after`). A model that no ensemble uses has a
/// transaction of its own.
pub fn transactions(actions: Vec<Action>, before: &Dependencies, after: &Dependencies) -> Vec<Transaction> {
    let mut ties = Ties::default();
    for dependencies in [before, after] {
        for (ensemble, composing) in dependencies.iter() {
            for model in composing {
                ties.tie(ensemble, model);
            }
        }
    }
    let mut transactions: BTreeMap<String, Transaction> = BTreeMap::new();
    for action in actions {
        let root = ties.root(action.name());
        let new = || Transaction { actions: Vec::new(), tied: BTreeSet::new() };
        let transaction = transactions.entry(root).or_insert_with(new);
        transaction.tied.insert(action.name().to_owned());
        transaction.actions.push(action);
    }
    for name in ties.names() {
        if let Some(transaction) = transactions.get_mut(&ties.root(&name)) {
            transaction.tied.insert(name);
        }
    }
    let mut transactions: Vec<_> = transactions.into_values().collect();
    for transaction in &mut transactions {
        let mut depth = Depth { dependencies: after, known: BTreeMap::new() };
        transaction.actions.sort_by_cached_key(|action| match action {
            Action::Load(name) => (0, depth.of(name), name.clone()),
            Action::Missing(name) => (1, 0, name.clone()),
            Action::Unload(name) => (2, 0, name.clone()),
        });
    }
    transactions
}

/// Disjoint sets of names (union-find): each name has a parent, and the root of a set is its own parent.
#[derive(Debug, Default)]
struct Ties(BTreeMap<String, String>);

impl Ties {
    fn root(&self, name: &str) -> String {
        let mut name = name;
        while let Some(next) = self.0.get(name).filter(|next| *next != name) {
            name = next;
        }
        name.to_owned()
    }

    fn tie(&mut self, one: &str, other: &str) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(other, one.clone());
        self.0.insert(one.clone(), one);
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The number of levels of ensembles below a model. A circle is cut where it is entered; its ensembles are refused anyway, in
/// any order.
struct Depth<'a> {
    dependencies: &'a Dependencies,
    known: BTreeMap<String, usize>,
}

impl Depth<'_> {
    fn of(&mut self, name: &str) -> usize {
        if let Some(depth) = self.known.get(name) {
            return *depth;
        }
        // A circle leads back to this name and must not recurse again.
        self.known.insert(name.to_owned(), 0);
        let dependencies = self.dependencies;
        let depth = dependencies.composing(name).map(|model| self.of(model) + 1).max().unwrap_or(0);
        self.known.insert(name.to_owned(), depth);
        depth
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fingerprint, Wanted, plan};

    fn dependencies(list: &[(&str, &[&str])]) -> Dependencies {
        let mut all = Dependencies::default();
        for (name, composing) in list {
            all.set(name, composing.iter().map(|&c| c.to_owned()).collect());
        }
        all
    }

    fn load(name: &str) -> Action {
        Action::Load(name.to_owned())
    }

    #[test]
    fn ties_what_ensembles_are_or_will_be_made_of() {
        let before = dependencies(&[("e", &["a", "b"])]);
        let after = dependencies(&[("e", &["b", "c"]), ("f", &["e"])]);
        let actions = vec![Action::Unload("a".into()), load("e"), load("c"), load("f"), load("other")];
        let found = transactions(actions, &before, &after);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].actions, [load("c"), load("e"), load("f"), Action::Unload("a".into())]);
        assert_eq!(found[0].tied, ["a", "b", "c", "e", "f"].map(str::to_owned).into());
        assert_eq!((&found[1].actions[..], found[1].tied.len()), (&[load("other")][..], 1));
    }

    #[test]
    fn two_models_of_one_ensemble_change_together_though_it_does_not() {
        let ensemble = dependencies(&[("e", &["a", "b"])]);
        assert_eq!(transactions(vec![load("a"), load("b")], &ensemble, &ensemble).len(), 1);
        assert_eq!(transactions(vec![load("a"), load("b")], &Dependencies::default(), &ensemble).len(), 1);
        let none = Dependencies::default();
        assert_eq!(transactions(vec![load("a"), load("b")], &none, &none).len(), 2);
    }

    #[test]
    fn survives_a_circle() {
        let circle = dependencies(&[("a", &["b"]), ("b", &["c"]), ("c", &["a", "m"])]);
        let found = transactions(vec![load("a"), load("b"), load("c"), load("m")], &circle, &circle);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].actions.len(), 4);
    }

    type Models = BTreeMap<String, (u64, BTreeSet<String>)>;

    /// Models by name, with a content and what they are composed of: only of names that come later, so without circles.
    fn any_models() -> impl Strategy<Value = Models> {
        let composing = prop::collection::btree_set("[a-h]", 0..3);
        let models = prop::collection::btree_map("[a-h]", (0u64..3, composing), 0..7);
        models.prop_map(|mut models| {
            for (name, (_, composing)) in &mut models {
                composing.retain(|other| other > name);
            }
            models
        })
    }

    fn dependencies_of(models: &Models) -> Dependencies {
        let mut all = Dependencies::default();
        for (name, (_, composing)) in models {
            all.set(name, composing.clone());
        }
        all
    }

    fn contents(models: &Models) -> BTreeMap<String, Fingerprint> {
        models.iter().map(|(name, content)| (name.clone(), Fingerprint::of(content))).collect()
    }

    proptest! {
        /// Carried out in their order the transactions lead from any state to any other, no model is asked for before it
        /// is there, and none goes while an ensemble still needs it.
        #[test]
        fn every_state_is_reached_in_an_order_that_respects_dependencies(
            loaded in any_models(),
            present in any_models(),
        ) {
            let actions = plan(&contents(&loaded), &contents(&present), &Wanted::All);
            let count = actions.len();
            let (before, after) = (dependencies_of(&loaded), dependencies_of(&present));
            let found = transactions(actions, &before, &after);
            prop_assert_eq!(found.iter().map(|t| t.actions.len()).sum::<usize>(), count);
            let mut now = loaded;
            for Transaction { actions, tied } in found {
                for action in actions {
                    prop_assert!(tied.contains(action.name()));
                    match action {
                        Action::Load(name) => {
                            for composing in &present[&name].1 {
                                let is_new = present.get(composing).is_none_or(|new| now.get(composing) == Some(new));
                                prop_assert!(is_new, "{name} before {composing}");
                            }
                            now.insert(name.clone(), present[&name].clone());
                        }
                        Action::Unload(name) => {
                            now.remove(&name);
                            let in_use = now.iter().find(|(user, (_, composing))| {
                                composing.contains(&name) && !present[*user].1.contains(&name)
                            });
                            prop_assert!(in_use.is_none(), "{name} is still in {in_use:?}");
                        }
                        Action::Missing(_) => unreachable!("nothing is wanted by name"),
                    }
                }
            }
            prop_assert_eq!(now, present);
        }
    }
}
