//! Decides which changes have settled. No I/O is done and no clock is read here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hippocamp_repository::Fingerprint;

/// The settling time: a change has settled when nothing happened to the model for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlingTime {
    /// For changes that the kernel reported. It would report further changes as well, so this is short.
    pub reported: Duration,
    /// For changes that only a scan found. They may be on a network disk, which shows writes late.
    pub found: Duration,
}

impl Default for SettlingTime {
    fn default() -> Self {
        SettlingTime { reported: Duration::from_millis(200), found: Duration::from_secs(4) }
    }
}

/// The accepted content of each model, and the changes that have not been accepted yet.
///
/// A change has settled if two scans found the same content, no event came between them, and the settling time has passed.
#[derive(Debug)]
pub struct Debouncer {
    settling_time: SettlingTime,
    accepted: BTreeMap<String, Fingerprint>,
    pending: BTreeMap<String, Pending>,
}

#[derive(Debug)]
struct Pending {
    /// The content that the last scan found; `None` if it found no such model.
    content: Option<Fingerprint>,
    /// An event came after the last scan.
    outdated: bool,
    /// The time of the last event, or of the scan that found the content.
    since: Instant,
    /// A scan after the settling time found the same content.
    confirmed: bool,
    reported: bool,
    begun: Instant,
}

impl Debouncer {
    /// A debouncer that starts from the content that was found at the start of the server.
    pub fn new(accepted: BTreeMap<String, Fingerprint>, settling_time: SettlingTime) -> Debouncer {
        Debouncer { settling_time, accepted, pending: BTreeMap::new() }
    }

    /// Records that an event of the model came at `now`. Its settling time begins again.
    pub fn record_event(&mut self, name: &str, now: Instant) {
        let content = self.accepted.get(name).copied();
        let pending = self.pending.entry(name.to_owned()).or_insert(Pending {
            content,
            outdated: true,
            since: now,
            confirmed: false,
            reported: true,
            begun: now,
        });
        (pending.outdated, pending.reported, pending.since, pending.confirmed) = (true, true, now, false);
    }

    /// Records the result of a scan of these models, or of all models if `scanned` is `None`.
    pub fn record_scan(
        &mut self,
        scanned: Option<&BTreeSet<String>>,
        present: &BTreeMap<String, Fingerprint>,
        now: Instant,
    ) {
        let all = || present.keys().chain(self.accepted.keys()).chain(self.pending.keys()).cloned().collect();
        let names: BTreeSet<String> = scanned.map_or_else(all, Clone::clone);
        for name in &names {
            let found = present.get(name).copied();
            if found == self.accepted.get(name).copied() {
                // The content is the accepted one: nothing changed, or the change was undone.
                self.pending.remove(name);
                continue;
            }
            let (settling_time, begun) = (self.settling_time, now);
            let pending = self.pending.entry(name.clone()).or_insert(Pending {
                content: found,
                outdated: false,
                since: now,
                confirmed: false,
                reported: false,
                begun,
            });
            if pending.outdated || pending.content != found {
                (pending.content, pending.outdated, pending.since) = (found, false, now);
                pending.confirmed = false;
            } else if now >= pending.rested(settling_time) {
                pending.confirmed = true;
            }
        }
    }

    /// The models whose changes have settled, each with its new content; `None` if the model was removed.
    pub fn settled(&self) -> BTreeMap<String, Option<Fingerprint>> {
        let settled = self.pending.iter().filter(|(_, pending)| pending.confirmed);
        settled.map(|(name, pending)| (name.clone(), pending.content)).collect()
    }

    /// The models whose changes have not settled.
    pub fn unsettled(&self) -> BTreeSet<String> {
        let unsettled = self.pending.iter().filter(|(_, pending)| !pending.confirmed);
        unsettled.map(|(name, _)| name.clone()).collect()
    }

    /// The models whose settling time has passed, so that a scan has to confirm their content.
    pub fn due_for_scan(&self, now: Instant) -> BTreeSet<String> {
        let due = self.pending.iter().filter(|(_, p)| !p.confirmed && now >= p.rested(self.settling_time));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// The time at which the next settling time ends, which may be in the past.
    pub fn due(&self) -> Option<Instant> {
        let unsettled = self.pending.values().filter(|pending| !pending.confirmed);
        unsettled.map(|pending| pending.rested(self.settling_time)).min()
    }

    /// The models that have been changing for longer than `duration`.
    pub fn long_changing(&self, duration: Duration, now: Instant) -> impl Iterator<Item = &str> {
        let long_changing = self.pending.iter().filter(move |(_, pending)| now >= pending.begun + duration);
        long_changing.map(|(name, _)| name.as_str())
    }

    /// Accepts the changes of these models: they are being loaded or unloaded.
    pub fn accept(&mut self, names: &BTreeSet<String>) {
        for name in names {
            let Some(pending) = self.pending.remove(name) else { continue };
            match pending.content {
                Some(content) => drop(self.accepted.insert(name.clone(), content)),
                None => drop(self.accepted.remove(name)),
            }
        }
    }

    /// The accepted content of each model.
    pub fn accepted(&self) -> &BTreeMap<String, Fingerprint> {
        &self.accepted
    }
}

impl Pending {
    /// The end of the settling time if no further event comes.
    fn rested(&self, settling_time: SettlingTime) -> Instant {
        self.since + if self.reported { settling_time.reported } else { settling_time.found }
    }
}

#[cfg(test)]
mod tests;
