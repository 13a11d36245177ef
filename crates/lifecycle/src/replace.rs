//! Replaces the serving versions of one model by new ones, or ends them all.

use std::sync::Arc;

use hippocamp_loading::Started;

use crate::changes::Changes;
use crate::draining::DrainingVersion;
use crate::entry::{Origin, Retired};
use crate::models::Models;
use crate::state::{State, UNLOADED, VersionState};

/// Replaces the model's serving versions by `started`. With an `origin` this counts as a successful load; without one it is
/// a rebuild of an ensemble. Adds the replaced versions to `changes`.
pub(crate) fn replace(
    models: &mut Models,
    name: &str,
    started: Vec<Started>,
    origin: Option<Origin>,
    changes: &mut Changes,
) {
    let entry = models.entry(name);
    for state in entry.states.values_mut().filter(|s| s.state == State::Ready) {
        *state = VersionState::new(State::Unloading, "");
    }
    for version in &started {
        entry.states.insert(version.model.version, VersionState::new(State::Ready, ""));
    }
    // A failure of a version that is no longer served does not count any more.
    for state in entry.states.values_mut().filter(|s| s.is_failure()) {
        *state = VersionState::new(State::Unavailable, UNLOADED);
    }
    let versions = take_over(std::mem::take(&mut entry.serving), &started);
    let draining: Vec<_> =
        versions.iter().filter_map(|version| DrainingVersion::of(version, &started)).collect();
    entry.serving = started;
    entry.loads.succeeded += u64::from(origin.is_some());
    let origin = origin.map(|origin| std::mem::replace(&mut entry.origin, origin)).unwrap_or_default();
    models.recall(name);
    let weak = draining.iter().map(Arc::downgrade).collect();
    changes.retired.push(Retired { name: name.to_owned(), versions, origin, draining: weak });
    changes.draining.extend(draining);
}

/// Ends all serving versions of a model. `reason` is what the index shows; it is empty if a client asked for the unload.
pub(crate) fn end(models: &mut Models, name: &str, reason: &str, changes: &mut Changes) {
    let entry = models.entry(name);
    for state in entry.states.values_mut() {
        *state = match state.state {
            State::Ready => VersionState::new(State::Unloading, reason),
            _ if reason.is_empty() => VersionState::new(State::Unavailable, UNLOADED),
            _ => VersionState::new(State::Unavailable, reason),
        };
    }
    let versions = std::mem::take(&mut entry.serving);
    let origin = std::mem::take(&mut entry.origin);
    changes.routes.push((name.to_owned(), Vec::new()));
    changes.ended.push(name.to_owned());
    changes.retired.push(Retired { name: name.to_owned(), versions, origin, draining: Vec::new() });
    changes.forgotten.extend(models.remember(name));
}

/// Has the new versions reuse the instances of the old ones that an edit of the config does not affect. Returns the old
/// versions that share nothing with the new ones and are to be retired.
fn take_over(served: Vec<Started>, started: &[Started]) -> Vec<Started> {
    let schedulers = || started.iter().filter_map(|version| version.model.scheduler());
    for scheduler in schedulers() {
        scheduler.take_over();
    }
    let is_shared = |version: &Started| {
        let scheduler = version.model.scheduler();
        scheduler.is_some_and(|scheduler| schedulers().any(|other| Arc::ptr_eq(scheduler, other)))
    };
    served.into_iter().filter(|version| !is_shared(version)).collect()
}
