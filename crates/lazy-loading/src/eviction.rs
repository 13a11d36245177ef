//! Which models to evict: the least recently used first, and with a model the ensembles that are made of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// What keeps a model where it is. The weaker comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    Idle,
    /// Requests run on it: its memory is free when the last of them is done.
    Running,
    /// It has to stay.
    Fixed,
}

/// A model that serves.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// What its end frees.
    pub(crate) bytes: u64,
    /// When a request found it last, on any clock.
    pub(crate) last_use: u64,
    pub(crate) hold: Hold,
    /// The models that it is composed of, if it is an ensemble.
    pub(crate) composing: BTreeSet<String>,
}

/// The models that have to end so that at least `short` bytes are freed, in the order in which they can: an ensemble
/// before what it is composed of. Idle ones are taken before others, and among them the least recently used. A model is
/// used when an ensemble is that is made of it, and held by what holds the ensemble. `None` if there is not so much to free.
pub(crate) fn choose(mut candidates: Vec<Candidate>, short: u64) -> Option<Vec<String>> {
    let closures = closures(&candidates);
    for (at, closure) in closures.iter().enumerate() {
        let (last_use, hold) = (candidates[at].last_use, candidates[at].hold);
        for &part in closure {
            candidates[part].last_use = candidates[part].last_use.max(last_use);
            candidates[part].hold = candidates[part].hold.max(hold);
        }
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // What frees nothing goes only with what it is made of.
    order.retain(|&at| candidates[at].hold != Hold::Fixed && candidates[at].bytes > 0);
    order.sort_by_key(|&at| (candidates[at].hold, candidates[at].last_use));
    let mut taken = BTreeSet::new();
    let mut freed = 0u64;
    for at in order {
        if freed >= short {
            break;
        }
        let ending = (0..candidates.len()).filter(|&other| closures[other].contains(&at));
        for ending in ending.collect::<Vec<_>>() {
            if taken.insert(ending) {
                freed = freed.saturating_add(candidates[ending].bytes);
            }
        }
    }
    if freed < short {
        return None;
    }
    let mut taken: Vec<usize> = taken.into_iter().collect();
    // Whatever depends on a model has all of that model's parts, and itself.
    taken.sort_by_key(|&at| std::cmp::Reverse(closures[at].len()));
    Some(taken.into_iter().map(|at| std::mem::take(&mut candidates[at].name)).collect())
}

/// For each candidate itself and all that it is composed of, directly or not.
fn closures(candidates: &[Candidate]) -> Vec<BTreeSet<usize>> {
    let by_name: BTreeMap<&str, usize> =
        candidates.iter().enumerate().map(|(at, candidate)| (candidate.name.as_str(), at)).collect();
    let closure = |start: usize| {
        let mut closure = BTreeSet::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if closure.insert(at) {
                let parts = candidates[at].composing.iter();
                open.extend(parts.filter_map(|part| by_name.get(part.as_str()).copied()));
            }
        }
        closure
    };
    (0..candidates.len()).map(closure).collect()
}

#[cfg(test)]
mod tests;
