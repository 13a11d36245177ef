//! The graph of ensembles and the models that they are composed of. No I/O is done here.

use std::collections::{BTreeMap, BTreeSet};

/// The models that each ensemble is composed of, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies(BTreeMap<String, BTreeSet<String>>);

impl Dependencies {
    /// Sets the models that `ensemble` is composed of. An empty set stands for a model that is no ensemble.
    pub fn set(&mut self, ensemble: &str, composing: BTreeSet<String>) {
        if composing.is_empty() {
            self.0.remove(ensemble);
        } else {
            self.0.insert(ensemble.to_owned(), composing);
        }
    }

    /// Every ensemble, with the models that it is composed of.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(ensemble, composing)| (ensemble.as_str(), composing))
    }

    /// The models that an ensemble is composed of; none if `name` is no ensemble.
    pub fn composing(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether any ensemble is composed of `name`, among others.
    pub fn is_used(&self, name: &str) -> bool {
        self.0.values().any(|composing| composing.contains(name))
    }

    /// The ensembles that depend on `name`, directly or not, in the order in which they can be loaded.
    pub fn dependents(&self, name: &str) -> Vec<String> {
        let mut visit = Visit { all: self, seen: BTreeSet::from([name]), done: Vec::new() };
        visit.dependents_of(name);
        // Each was put behind all that depend on it.
        visit.done.reverse();
        visit.done.into_iter().map(str::to_owned).collect()
    }

    /// The last model on a path from `name` back to `name`; `None` if `name` does not depend on itself.
    pub fn cycle(&self, name: &str) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(current) = open.pop() {
            for next in self.composing(current) {
                if next == name {
                    return Some(current.to_owned());
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        None
    }
}

/// A walk from a model to what depends on it.
struct Visit<'a> {
    all: &'a Dependencies,
    seen: BTreeSet<&'a str>,
    done: Vec<&'a str>,
}

impl Visit<'_> {
    fn dependents_of(&mut self, name: &str) {
        for (ensemble, composing) in &self.all.0 {
            if composing.contains(name) && self.seen.insert(ensemble) {
                self.dependents_of(ensemble);
                self.done.push(ensemble);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dependencies(list: &[(&str, &[&str])]) -> Dependencies {
        let mut all = Dependencies::default();
        for (name, composing) in list {
            all.set(name, composing.iter().map(|&c| c.to_owned()).collect());
        }
        all
    }

    #[test]
    fn finds_dependents_behind_what_they_depend_on() {
        let all = dependencies(&[("a", &["z", "m"]), ("z", &["m"]), ("x", &["a", "z"]), ("other", &["n"])]);
        assert_eq!(all.dependents("m"), ["z", "a", "x"]);
        assert_eq!(all.dependents("x"), [""; 0]);
        assert!(all.is_used("n") && !all.is_used("x"));
    }

    #[test]
    fn finds_circles_and_survives_them() {
        let all = dependencies(&[("a", &["b"]), ("b", &["c", "m"]), ("c", &["a"]), ("d", &["a"])]);
        assert_eq!(all.cycle("a").as_deref(), Some("c"));
        assert_eq!(all.cycle("b").as_deref(), Some("a"));
        assert_eq!(all.cycle("d"), None, "it leads to a circle, but is in none");
        assert_eq!(dependencies(&[("a", &["a"])]).cycle("a").as_deref(), Some("a"));
        assert_eq!(all.dependents("m").len(), 4);
    }

    proptest! {
        #[test]
        fn dependents_come_in_order(
            edges in prop::collection::btree_map(0usize..8, prop::collection::btree_set(0usize..8, 0..4), 0..8),
            start in 0usize..8,
        ) {
            // Edges lead to higher numbers only, so that there is no circle.
            let mut all = Dependencies::default();
            for (from, to) in &edges {
                all.set(&from.to_string(), to.iter().filter(|to| *to > from).map(ToString::to_string).collect());
            }
            let found = all.dependents(&start.to_string());
            for (place, name) in found.iter().enumerate() {
                prop_assert_eq!(all.cycle(name), None);
                for later in &found[place..] {
                    prop_assert!(!all.composing(name).any(|composing| composing == later));
                }
            }
        }
    }
}
