//! Which changes have come to rest. Pure: time and what was found are given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hippocamp_repository::Fingerprint;

/// How long nothing may have happened to a model before its change has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlingTime {
    /// Where the kernel told of the change: it would tell of the next as well.
    pub told: Duration,
    /// Where only a look found it. It may be on another machine's disk, which shows what is written there late.
    pub found: Duration,
}

impl Default for SettlingTime {
    fn default() -> Self {
        SettlingTime { told: Duration::from_millis(200), found: Duration::from_secs(4) }
    }
}

/// What is known of each model: the content that was accepted, and what it may become.
///
/// A change is settled if two looks found the same, nothing was heard of the model in between, and that took long enough.
#[derive(Debug)]
pub struct Debouncer {
    settling_time: SettlingTime,
    accepted: BTreeMap<String, Fingerprint>,
    pending: BTreeMap<String, Pending>,
}

#[derive(Debug)]
struct Pending {
    /// What the last look found; `None` if there is no such model.
    content: Option<Fingerprint>,
    /// Nobody looked since something happened.
    unseen: bool,
    /// When it was found, or when something happened since.
    since: Instant,
    /// A later look, behind the time that it has to rest, found the same.
    confirmed: bool,
    told: bool,
    begun: Instant,
}

impl Debouncer {
    /// Begins with what the repositories were found to hold.
    pub fn new(accepted: BTreeMap<String, Fingerprint>, settling_time: SettlingTime) -> Debouncer {
        Debouncer { settling_time, accepted, pending: BTreeMap::new() }
    }

    /// Something happened to that model just now.
    pub fn disturb(&mut self, name: &str, now: Instant) {
        let content = self.accepted.get(name).copied();
        let pending = self.pending.entry(name.to_owned()).or_insert(Pending {
            content,
            unseen: true,
            since: now,
            confirmed: false,
            told: true,
            begun: now,
        });
        (pending.unseen, pending.told, pending.since, pending.confirmed) = (true, true, now, false);
    }

    /// What a look found: of these models, or of all.
    pub fn look(
        &mut self,
        looked_at: Option<&BTreeSet<String>>,
        present: &BTreeMap<String, Fingerprint>,
        now: Instant,
    ) {
        let all = || present.keys().chain(self.accepted.keys()).chain(self.pending.keys()).cloned().collect();
        let names: BTreeSet<String> = looked_at.map_or_else(all, Clone::clone);
        for name in &names {
            let found = present.get(name).copied();
            if found == self.accepted.get(name).copied() {
                // Nothing changed after all, or it was undone.
                self.pending.remove(name);
                continue;
            }
            let (settling_time, begun) = (self.settling_time, now);
            let pending = self.pending.entry(name.clone()).or_insert(Pending {
                content: found,
                unseen: false,
                since: now,
                confirmed: false,
                told: false,
                begun,
            });
            if pending.unseen || pending.content != found {
                (pending.content, pending.unseen, pending.since) = (found, false, now);
                pending.confirmed = false;
            } else if now >= pending.rested(settling_time) {
                pending.confirmed = true;
            }
        }
    }

    /// Changes that have come to rest: the models, each with its new content, or `None` if it is gone.
    pub fn settled(&self) -> BTreeMap<String, Option<Fingerprint>> {
        let settled = self.pending.iter().filter(|(_, pending)| pending.confirmed);
        settled.map(|(name, pending)| (name.clone(), pending.content)).collect()
    }

    /// Models whose change has not come to rest.
    pub fn unsettled(&self) -> BTreeSet<String> {
        let unsettled = self.pending.iter().filter(|(_, pending)| !pending.confirmed);
        unsettled.map(|(name, _)| name.clone()).collect()
    }

    /// Models that have to be looked at, as nothing happened to them for long enough since.
    pub fn to_look_at(&self, now: Instant) -> BTreeSet<String> {
        let due = self.pending.iter().filter(|(_, p)| !p.confirmed && now >= p.rested(self.settling_time));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// When the next of them is due. May have passed.
    pub fn due(&self) -> Option<Instant> {
        let unsettled = self.pending.values().filter(|pending| !pending.confirmed);
        unsettled.map(|pending| pending.rested(self.settling_time)).min()
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
}

impl Pending {
    /// When it has rested for long enough, if nothing happens.
    fn rested(&self, settling_time: SettlingTime) -> Instant {
        self.since + if self.told { settling_time.told } else { settling_time.found }
    }
}

#[cfg(test)]
mod tests;
