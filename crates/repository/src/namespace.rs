//! Models of the same name in several repositories, under `--model-namespacing`.
//!
//! Each repository is a namespace. A name that only one of them has is served as it is. One that several have is served
//! as `NAMESPACE::NAME` from each of them; the name alone is ambiguous then.

use std::collections::{BTreeMap, BTreeSet};

use crate::RepositoryLocation;

/// The separator between namespace and name.
const SEPARATOR: &str = "::";

/// The namespace of each repository, in their order: as many of the last parts of its path as it takes to tell them
/// apart, joined by dots. `/models/a` and `/models/b` are `a` and `b`, `/a/models` and `/b/models` are `a.models` and
/// `b.models`.
pub fn namespaces(repositories: &[RepositoryLocation]) -> Vec<String> {
    let paths: Vec<Vec<String>> = repositories.iter().map(RepositoryLocation::path_parts).collect();
    let longest = paths.iter().map(Vec::len).max().unwrap_or(0);
    let of = |path: &[String], depth: usize| {
        let parts: Vec<&str> = path.iter().take(depth).rev().map(String::as_str).collect();
        parts.join(".")
    };
    let mut depths = vec![1; paths.len()];
    loop {
        let names: Vec<String> = paths.iter().zip(&depths).map(|(path, depth)| of(path, *depth)).collect();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            *seen.entry(name).or_default() += 1;
        }
        let alike: Vec<usize> =
            (0..names.len()).filter(|&i| seen[names[i].as_str()] > 1 && depths[i] < longest).collect();
        if alike.is_empty() {
            return names;
        }
        for index in alike {
            depths[index] += 1;
        }
    }
}

/// The name under which a model that several repositories have is served.
pub fn qualified_name(namespace: &str, name: &str) -> String {
    format!("{namespace}{SEPARATOR}{name}")
}

/// Splits a qualified name into namespace and name; `None` if it is not qualified.
pub fn split_qualified(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR).filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}

/// The names among `served` that `name` may stand for: itself, or the same name in each namespace.
pub fn identifiers<'a>(served: impl IntoIterator<Item = &'a str>, name: &str) -> BTreeSet<&'a str> {
    let is_it =
        |served: &&str| *served == name || split_qualified(served).is_some_and(|(_, own)| own == name);
    served.into_iter().filter(is_it).collect()
}

/// Which of the `served` models a step of an ensemble means, as Triton finds it: the one in `namespace` (that of the
/// step if it names one, else that of the ensemble itself), or the only one of that name. `None` if there is none, or
/// several of which none is nearer than the others.
pub fn resolve_step<'a>(
    served: impl IntoIterator<Item = &'a str>,
    namespace: Option<&str>,
    name: &str,
) -> Option<&'a str> {
    let candidates = identifiers(served, name);
    let near = namespace.map(|namespace| qualified_name(namespace, name));
    let nearest = near.and_then(|near| candidates.get(near.as_str()).copied());
    nearest.or_else(|| candidates.first().copied().filter(|_| candidates.len() == 1))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn of(paths: &[&str]) -> Vec<String> {
        let locations: Vec<_> = paths.iter().map(|p| PathBuf::from(p).into()).collect();
        namespaces(&locations)
    }

    #[test]
    fn namespaces_are_as_short_as_they_can_be() {
        assert_eq!(of(&["/models/a", "/models/b/"]), ["a", "b"]);
        assert_eq!(of(&["/a/models", "/b/models", "/c"]), ["a.models", "b.models", "c"]);
        assert_eq!(of(&["/models", "/b/models"]), ["models", "b.models"]);
        assert_eq!(of(&["/same", "/same"]), ["same", "same"]);
        assert_eq!(of(&[]), [""; 0]);
    }

    #[test]
    fn a_name_stands_for_itself_or_for_one_in_each_namespace() {
        let served = ["a::x", "b::x", "y"];
        assert_eq!(identifiers(served, "x"), ["a::x", "b::x"].into());
        assert_eq!(identifiers(served, "y"), ["y"].into());
        assert_eq!(identifiers(served, "a::x"), ["a::x"].into());
        assert!(identifiers(served, "a").is_empty());
    }

    #[test]
    fn a_step_means_the_model_beside_its_ensemble_or_the_only_one() {
        let served = ["a::x", "b::x", "y"];
        assert_eq!(resolve_step(served, Some("b"), "x"), Some("b::x"));
        assert_eq!(resolve_step(served, Some("b"), "y"), Some("y"));
        assert_eq!(resolve_step(served, Some("c"), "x"), None, "ambiguous");
        assert_eq!(resolve_step(served, None, "x"), None, "ambiguous");
        assert_eq!(resolve_step(served, None, "z"), None);
    }
}
