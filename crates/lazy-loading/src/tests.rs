//! The rules of lazy loading, without tasks and disks.

use std::collections::BTreeSet;
use std::time::Instant;

use hippocamp_backend::Error;
use hippocamp_repository::Fingerprint;
use proptest::prelude::*;

use crate::eviction::{Candidate, Hold, choose};
use crate::lazy_models::LazyModels;
use crate::memory_budget::MemoryBudget;

#[test]
fn a_broken_model_is_left_alone_for_longer_and_longer() {
    let mut models = LazyModels::default();
    models.add("m", None, true);
    let error = Error::unavailable("broken");
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        models.failed("m", &error, now);
        let failure = models.get("m").unwrap().failure.clone().unwrap();
        assert!(
            failure
                .refuses(now)
                .is_some_and(|error| error.message().starts_with("broken; it is tried again in "))
        );
        pauses.push(failure.pause.as_secs());
        now += failure.pause;
        assert!(failure.refuses(now).is_none(), "it is tried again");
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    models.add("m", None, true);
    assert!(models.get("m").unwrap().failure.is_some(), "it is what it was");
    models.add("m", Some(Fingerprint::of(&1)), true);
    assert!(models.get("m").unwrap().failure.is_none(), "it has changed");
}

#[test]
fn what_a_client_unloads_comes_back_only_by_a_client() {
    let mut models = LazyModels::default();
    models.add("m", None, true);
    assert!(models.may_be_evicted("m"));
    models.pin("m");
    assert!(!models.may_be_evicted("m"));
    models.unload("m");
    assert!(models.get("m").is_none() && !models.add_composing("m"));
    models.pin("m");
    assert!(models.add_composing("m") && !models.may_be_evicted("m"));
    models.unload("never heard of");
    assert!(models.add_composing("never heard of"));
}

#[derive(Clone, Debug)]
enum Step {
    /// A request for the model of that number.
    Ask(usize),
    /// The evicted models release their memory.
    Drain,
    Pin(usize),
}

proptest! {
    /// Loads that do not fit evict other models, and the used memory stays within the budget at every step.
    #[test]
    fn the_budget_holds_at_every_moment(
        sizes in prop::collection::vec(1u64..40, 6),
        budget in 40u64..90,
        steps in prop::collection::vec(
            prop_oneof![6 => (0usize..6).prop_map(Step::Ask), 3 => Just(Step::Drain), 1 => (0usize..2).prop_map(Step::Pin)],
            0..80,
        ),
    ) {
        let mut models = LazyModels::default();
        let mut memory = MemoryBudget::new(Some(budget));
        (0..6).for_each(|at| models.add(&at.to_string(), None, true));
        let mut used = [0u64; 6];
        let mut leaving = Vec::new();
        for (now, step) in (1u64..).zip(steps) {
            match step {
                Step::Drain => leaving.drain(..).for_each(|bytes| memory.released(bytes)),
                Step::Pin(at) if memory.of(&at.to_string()).is_some() => models.pin(&at.to_string()),
                Step::Pin(_) => {}
                Step::Ask(at) => {
                    used[at] = now;
                    let name = at.to_string();
                    if memory.of(&name).is_some() {
                        continue;
                    }
                    let short = memory.missing_for(sizes[at]).saturating_sub(memory.releasing());
                    let candidates = memory.names().map(|name| Candidate {
                        name: name.to_owned(),
                        bytes: memory.of(name).unwrap(),
                        last_use: used[name.parse::<usize>().unwrap()],
                        hold: if models.may_be_evicted(name) { Hold::Idle } else { Hold::Fixed },
                        composing: BTreeSet::new(),
                    });
                    for name in choose(candidates.collect(), short).unwrap_or_default() {
                        prop_assert!(models.may_be_evicted(&name));
                        leaving.push(memory.begin_release(&name));
                    }
                    if memory.missing_for(sizes[at]) == 0 {
                        memory.hold(&name, sizes[at]);
                    }
                }
            }
            prop_assert!(memory.used() <= budget);
        }
        leaving.drain(..).for_each(|bytes| memory.released(bytes));
        let held: u64 = memory.names().map(|name| memory.of(name).unwrap()).sum();
        prop_assert_eq!(memory.used(), held, "all is accounted for");
    }
}
