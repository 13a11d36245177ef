//! Which models stand by: they lie in a repository, and are loaded when a request asks for them. Pure: no disk, no task.

pub(crate) mod eviction;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hippocamp_backend::Error;
use hippocamp_repository::Fingerprint;

pub(crate) use ledger::Ledger;

/// How long a model that failed to load is left alone at first, and at most: a client that asks at full rate shall not
/// cost the machine a load for each request.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Of so many models is known that a client had them unloaded: clients may load and unload under ever new names.
const MOST_TAKEN_OUT: usize = 4096;

/// The models that may stand by, what keeps others from it, and what all of them take.
#[derive(Debug, Default)]
pub(crate) struct Standby {
    members: BTreeMap<String, Member>,
    /// Loaded because a client asked for the load: they stay until a client has them unloaded.
    pinned: BTreeSet<String>,
    /// Unloaded by a client: no ensemble brings them back.
    taken_out: BTreeSet<String>,
    pub(crate) ledger: Ledger,
}

/// A model that stands by, or is loaded and may stand by again.
#[derive(Debug, Default)]
pub(crate) struct Member {
    /// In poll mode the content that has settled: nothing else is loaded.
    pub(crate) content: Option<Fingerprint>,
    /// Wanted by itself, not only because an ensemble is composed of it.
    pub(crate) by_name: bool,
    /// What came of the last load, if it failed.
    pub(crate) failure: Option<Failure>,
    pub(crate) evictions: u64,
    /// What the index shows of it, and of which content that is.
    pub(crate) versions: Option<(Fingerprint, Vec<u64>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// It is not tried again before.
    until: Instant,
    pause: Duration,
}

impl Failure {
    /// What a request is told while the model is left alone; `None` if it is time to try again.
    pub(crate) fn now(&self, now: Instant) -> Option<Error> {
        let left = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let text = format!("{}; it is tried again in {} s", self.error, left.as_secs() + 1);
        Some(Error::new(self.error.code(), text))
    }
}

impl Standby {
    pub(crate) fn new(budget: Option<u64>) -> Standby {
        Standby { ledger: Ledger::new(budget), ..Standby::default() }
    }

    /// From here on the model is loaded when it is asked for. A failure with another content counts no more.
    pub(crate) fn add(&mut self, name: &str, content: Option<Fingerprint>, by_name: bool) {
        self.taken_out.remove(name);
        let member = self.members.entry(name.to_owned()).or_default();
        if member.content != content {
            member.failure = None;
        }
        member.content = content;
        member.by_name |= by_name;
    }

    /// An ensemble is composed of it, so that it is loaded with the ensemble and may stand by. False if a client has taken
    /// it out.
    pub(crate) fn add_composing(&mut self, name: &str) -> bool {
        if !self.taken_out.contains(name) {
            self.members.entry(name.to_owned()).or_default();
        }
        !self.taken_out.contains(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Member> {
        self.members.get(name)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(name, member)| (name.as_str(), member))
    }

    /// It is in no repository any more.
    pub(crate) fn remove(&mut self, name: &str) {
        self.members.remove(name);
        self.pinned.remove(name);
    }

    /// A client unloads it: it is not loaded again before a client asks for that.
    pub(crate) fn take_out(&mut self, name: &str) {
        if self.members.contains_key(name) || self.pinned.contains(name) {
            self.remove(name);
            if self.taken_out.len() >= MOST_TAKEN_OUT {
                self.taken_out.pop_first();
            }
            self.taken_out.insert(name.to_owned());
        }
    }

    /// A client had it loaded.
    pub(crate) fn pin(&mut self, name: &str) {
        self.taken_out.remove(name);
        self.pinned.insert(name.to_owned());
        self.succeeded(name);
    }

    /// Whether it may be unloaded to make room: then the next request loads it again.
    pub(crate) fn may_be_evicted(&self, name: &str) -> bool {
        self.members.contains_key(name) && !self.pinned.contains(name)
    }

    pub(crate) fn failed(&mut self, name: &str, error: &Error, now: Instant) {
        let Some(member) = self.members.get_mut(name) else { return };
        let pause = member.failure.as_ref().map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
        member.failure = Some(Failure { error: error.clone(), until: now + pause, pause });
    }

    pub(crate) fn succeeded(&mut self, name: &str) {
        if let Some(member) = self.members.get_mut(name) {
            member.failure = None;
        }
    }

    /// Something changed in the repositories: what failed may have failed for the lack of that.
    pub(crate) fn forgive(&mut self) {
        self.members.values_mut().for_each(|member| member.failure = None);
    }

    /// What a load of that content would serve.
    pub(crate) fn shown(&mut self, name: &str, content: Fingerprint, versions: Vec<u64>) {
        if let Some(member) = self.members.get_mut(name) {
            member.versions = Some((content, versions));
        }
    }

    pub(crate) fn evicted(&mut self, name: &str) {
        if let Some(member) = self.members.get_mut(name) {
            member.evictions += 1;
        }
    }
}

#[cfg(test)]
mod tests;
