//! Which changes have come to rest. Pure: time and what was found are given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hippocamp_repository::Fingerprint;

/// How long nothing may have happened to a model before its change has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Where the kernel told of the change: it would tell of the next as well.
    pub told: Duration,
    /// Where only a look found it. It may be on another machine's disk, which shows what is written there late.
    pub found: Duration,
}

impl Default for Quiet {
    fn default() -> Self {
        Quiet { told: Duration::from_millis(200), found: Duration::from_secs(4) }
    }
}

/// What is known of each model: the content that was accepted, and what it may become.
///
/// A change is settled if two looks found the same, nothing was heard of the model in between, and that took long enough.
#[derive(Debug)]
pub struct Settling {
    quiet: Quiet,
    accepted: BTreeMap<String, Fingerprint>,
    pending: BTreeMap<String, Pending>,
}

#[derive(Debug)]
struct Pending {
    /// What the last look found; `None` if there is no such model. Not looked at since something happened: `unseen`.
    content: Option<Fingerprint>,
    unseen: bool,
    since: Instant,
    told: bool,
    begun: Instant,
}

impl Settling {
    /// Begins with what the repositories were found to hold.
    pub fn new(accepted: BTreeMap<String, Fingerprint>, quiet: Quiet) -> Settling {
        Settling { quiet, accepted, pending: BTreeMap::new() }
    }

    /// Something happened to that model just now.
    pub fn disturb(&mut self, name: &str, now: Instant) {
        let content = self.accepted.get(name).copied();
        let pending = self.pending.entry(name.to_owned()).or_insert(Pending {
            content,
            unseen: true,
            since: now,
            told: true,
            begun: now,
        });
        (pending.unseen, pending.told, pending.since) = (true, true, now);
    }

    /// What a look found, of all models. Of those in `held` nothing can be said: they stay as they are.
    pub fn look(
        &mut self,
        present: &BTreeMap<String, Fingerprint>,
        held: &BTreeSet<String>,
        now: Instant,
    ) {
        let names: BTreeSet<&String> = present.keys().chain(self.accepted.keys()).collect();
        let unknown = |name: &String| !names.contains(name);
        let vanished: Vec<String> = self.pending.keys().filter(|name| unknown(name)).cloned().collect();
        for name in names.into_iter().chain(&vanished) {
            if held.contains(name) {
                self.pending.remove(name);
                continue;
            }
            let found = present.get(name).copied();
            if found == self.accepted.get(name).copied() {
                // Nothing changed after all, or it was undone.
                self.pending.remove(name);
                continue;
            }
            let fresh = || Pending { content: found, unseen: false, since: now, told: false, begun: now };
            let pending = self.pending.entry(name.clone()).or_insert_with(fresh);
            if pending.unseen || pending.content != found {
                (pending.content, pending.unseen, pending.since) = (found, false, now);
            }
        }
    }

    /// Changes that have come to rest: the models, each with its new content, or `None` if it is gone.
    pub fn settled(&self, now: Instant) -> BTreeMap<String, Option<Fingerprint>> {
        let rests = |pending: &Pending| !pending.unseen && now >= pending.since + self.quiet_of(pending);
        let settled = self.pending.iter().filter(|(_, pending)| rests(pending));
        settled.map(|(name, pending)| (name.clone(), pending.content)).collect()
    }

    /// Models whose change has not come to rest.
    pub fn unsettled(&self, now: Instant) -> BTreeSet<String> {
        let settled = self.settled(now);
        self.pending.keys().filter(|name| !settled.contains_key(*name)).cloned().collect()
    }

    /// Models that have to be looked at again, as they were quiet for long enough since.
    pub fn to_look_at(&self, now: Instant) -> BTreeSet<String> {
        let due = self.pending.iter().filter(|(_, pending)| now >= pending.since + self.quiet_of(pending));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// When the next of them is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let times = self.pending.values().map(|pending| pending.since + self.quiet_of(pending));
        times.filter(|due| *due > now).min()
    }

    /// Models that have been changing for longer than `patience`.
    pub fn restless(&self, patience: Duration, now: Instant) -> impl Iterator<Item = &str> {
        let restless = self.pending.iter().filter(move |(_, pending)| now >= pending.begun + patience);
        restless.map(|(name, _)| name.as_str())
    }

    /// These changes are taken up.
    pub fn accept(&mut self, names: &BTreeSet<String>) {
        for name in names {
            let Some(pending) = self.pending.remove(name) else { continue };
            match pending.content {
                Some(content) => drop(self.accepted.insert(name.clone(), content)),
                None => drop(self.accepted.remove(name)),
            }
        }
    }

    /// What the repositories hold, without changes that were not taken up yet.
    pub fn accepted(&self) -> &BTreeMap<String, Fingerprint> {
        &self.accepted
    }

    fn quiet_of(&self, pending: &Pending) -> Duration {
        if pending.told { self.quiet.told } else { self.quiet.found }
    }
}

#[cfg(test)]
mod tests;
