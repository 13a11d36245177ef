//! Remembers contents of models that failed to load, so that they are not tried again before they change.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::{Action, Fingerprint, Transaction};

/// The models of a transaction, each with the content to be loaded; `None` if it is to be unloaded.
pub(crate) type Contents = Vec<(String, Option<Fingerprint>)>;

/// The contents that a transaction loads, if the repositories hold `present`.
pub(crate) fn contents_of(transaction: &Transaction, present: &BTreeMap<String, Fingerprint>) -> Contents {
    let names = transaction.actions.iter().map(Action::name);
    names.map(|name| (name.to_owned(), present.get(name).copied())).collect()
}

/// The contents that failed: those of single models, and those of several models that change together.
#[derive(Debug, Default)]
pub(crate) struct Refused(BTreeSet<Contents>);

impl Refused {
    /// Adds contents that failed as one transaction.
    pub(crate) fn add_together(&mut self, contents: Contents) {
        self.0.insert(contents);
    }

    /// Adds contents each of which failed on its own.
    pub(crate) fn add_each(&mut self, contents: impl Iterator<Item = (String, Option<Fingerprint>)>) {
        self.0.extend(contents.map(|each| vec![each]));
    }

    /// Whether these contents failed before, as one transaction or each on its own.
    pub(crate) fn has(&self, contents: &Contents) -> bool {
        let alone = |each: &(String, Option<Fingerprint>)| self.0.contains(&vec![each.clone()]);
        self.0.contains(contents) || contents.iter().all(alone)
    }

    /// Removes the failed contents of these models, as other contents are tried now.
    pub(crate) fn forget(&mut self, contents: &Contents) {
        let is_tried = |name: &str| contents.iter().any(|(tried, _)| tried == name);
        self.0.retain(|refused| !refused.iter().any(|(name, _)| is_tried(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(each: &[(&str, u64)]) -> Contents {
        each.iter().map(|&(name, content)| (name.to_owned(), Some(Fingerprint::of(&content)))).collect()
    }

    #[test]
    fn what_failed_is_tried_again_when_any_of_its_models_changes() {
        let mut refused = Refused::default();
        refused.add_together(contents(&[("a", 1), ("b", 1)]));
        refused.add_each(contents(&[("c", 1), ("d", 1)]).into_iter());
        assert!(refused.has(&contents(&[("a", 1), ("b", 1)])));
        assert!(!refused.has(&contents(&[("a", 1)])), "alone it was not tried");
        assert!(refused.has(&contents(&[("c", 1), ("d", 1)])), "each of it failed");
        assert!(!refused.has(&contents(&[("c", 1), ("d", 2)])));
        refused.forget(&contents(&[("b", 2)]));
        assert!(!refused.has(&contents(&[("a", 1), ("b", 1)])));
        assert!(refused.has(&contents(&[("c", 1)])));
    }
}
