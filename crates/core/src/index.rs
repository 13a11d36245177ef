//! The repository index: every known model and the states of its versions.

use std::collections::BTreeMap;

use hippocamp_lifecycle::{State, VersionState};
use hippocamp_repository::Listing;

/// One line of the index. A model that was never loaded has no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub name: String,
    pub version: Option<(u64, VersionState)>,
    /// The reason why no version of the model can be loaded, if there is one.
    pub unavailable: Option<&'static str>,
}

/// The reason for a name that more than one repository has.
const DUPLICATE: &str = "model appears in two or more repositories";

/// The models of the repositories, with the versions of those that were ever loaded. A model whose files came with a load
/// request is in no repository and therefore not listed, as in Triton.
pub(crate) fn entries(
    found: &Listing,
    known: &BTreeMap<String, BTreeMap<u64, VersionState>>,
    ready_only: bool,
) -> Vec<IndexEntry> {
    let empty = BTreeMap::new();
    let mut entries = Vec::new();
    for name in found.models.iter().chain(&found.duplicates) {
        let versions = known.get(name).unwrap_or(&empty);
        let entry = |version| IndexEntry { name: name.clone(), version, unavailable: None };
        let is_duplicate = found.duplicates.contains(name);
        if is_duplicate {
            // The entry stands for all versions: in poll mode the model is unloaded, and in the other modes it could not be
            // loaded again.
            let line = IndexEntry { unavailable: Some(DUPLICATE), ..entry(None) };
            entries.extend((!ready_only).then_some(line));
            continue;
        }
        if versions.is_empty() && !ready_only {
            entries.push(entry(None));
        }
        let shown = versions.iter().filter(|(_, v)| !ready_only || v.state == State::Ready);
        entries.extend(shown.map(|(&number, state)| entry(Some((number, state.clone())))));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use hippocamp_lifecycle::UNLOADED;

    #[test]
    fn shows_models_that_were_never_loaded_without_a_version() {
        let ready = VersionState::new(State::Ready, "");
        let gone = VersionState::new(State::Unavailable, UNLOADED);
        let versions = BTreeMap::from([(1, gone.clone()), (2, ready.clone())]);
        let elsewhere = BTreeMap::from([(1, ready.clone())]);
        let known = BTreeMap::from([("b".to_owned(), versions), ("from a request".to_owned(), elsewhere)]);
        let found = Listing { models: ["a", "b"].map(str::to_owned).into(), ..Listing::default() };
        let entry = |name: &str, version| IndexEntry { name: name.to_owned(), version, unavailable: None };
        assert_eq!(
            entries(&found, &known, false),
            [entry("a", None), entry("b", Some((1, gone))), entry("b", Some((2, ready.clone())))]
        );
        assert_eq!(entries(&found, &known, true), [entry("b", Some((2, ready)))]);
    }

    #[test]
    fn says_of_a_duplicate_that_it_is_one() {
        let found = Listing { duplicates: ["a".to_owned()].into(), ..Listing::default() };
        let expected = IndexEntry { name: "a".to_owned(), version: None, unavailable: Some(DUPLICATE) };
        let ended = BTreeMap::from([(1, VersionState::new(State::Unavailable, UNLOADED))]);
        let known = BTreeMap::from([("a".to_owned(), ended)]);
        for known in [&BTreeMap::new(), &known] {
            assert_eq!(entries(&found, known, false), std::slice::from_ref(&expected));
            assert_eq!(entries(&found, known, true), []);
        }
    }
}
