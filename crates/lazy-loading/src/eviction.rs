//! Chooses the models to evict: the least recently used first, and each together with the ensembles that are composed of it.
//! Pure functions.

use std::collections::{BTreeMap, BTreeSet};

/// What keeps a model loaded, from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    Idle,
    /// Requests run on it. Its memory is freed when the last of them has finished.
    Running,
    /// It must not be evicted.
    Fixed,
}

/// A serving model, as a candidate for eviction.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// The bytes of memory that its end frees.
    pub(crate) bytes: u64,
    /// The time of the last request for it, on any monotonic clock.
    pub(crate) last_use: u64,
    pub(crate) hold: Hold,
    /// The models that it is composed of, if it is an ensemble.
    pub(crate) composing: BTreeSet<String>,
}

/// Chooses models whose end frees at least `short` bytes. They are returned in the order in which they have to end: an
/// ensemble before its composing models. Idle models are chosen before running ones, then the least recently used first. The
/// use of an ensemble, and what keeps it loaded, also count for its composing models. Returns `None` if so many bytes cannot
/// be freed.
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
    // A candidate without memory of its own is evicted only together with a model that it is composed of.
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
    // The closure of an ensemble is larger than that of each of its models, so the ensemble comes first.
    taken.sort_by_key(|&at| std::cmp::Reverse(closures[at].len()));
    Some(taken.into_iter().map(|at| std::mem::take(&mut candidates[at].name)).collect())
}

/// For each candidate, the indices of itself and of its direct and indirect composing models.
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
