use proptest::prelude::*;

use super::*;

#[test]
fn a_broken_model_is_left_alone_for_longer_and_longer() {
    let mut standby = Standby::new(None);
    standby.add("m", None, true);
    let error = Error::unavailable("broken");
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        standby.failed("m", &error, now);
        let failure = standby.get("m").unwrap().failure.clone().unwrap();
        assert!(
            failure
                .now(now)
                .is_some_and(|error| error.message().starts_with("broken; it is tried again in "))
        );
        pauses.push(failure.pause.as_secs());
        now += failure.pause;
        assert!(failure.now(now).is_none(), "it is tried again");
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    standby.add("m", None, true);
    assert!(standby.get("m").unwrap().failure.is_some(), "it is what it was");
    standby.add("m", Some(Fingerprint::of(&1)), true);
    assert!(standby.get("m").unwrap().failure.is_none(), "it has changed");
}

#[test]
fn what_a_client_unloads_comes_back_only_by_a_client() {
    let mut standby = Standby::new(None);
    standby.add("m", None, true);
    assert!(standby.may_be_evicted("m"));
    standby.pin("m");
    assert!(!standby.may_be_evicted("m"));
    standby.take_out("m");
    assert!(standby.get("m").is_none() && !standby.add_composing("m"));
    standby.pin("m");
    assert!(standby.add_composing("m") && !standby.may_be_evicted("m"));
    standby.take_out("never heard of");
    assert!(standby.add_composing("never heard of"));
}

#[derive(Clone, Debug)]
enum Step {
    /// A request for the model of that number.
    Ask(usize),
    /// The end of what was evicted.
    Drain,
    Pin(usize),
}

proptest! {
    /// The rules by which loads make room, without the tasks: whoever does not fit evicts, and waits for the end of that.
    #[test]
    fn the_budget_holds_at_every_moment(
        sizes in prop::collection::vec(1u64..40, 6),
        budget in 40u64..90,
        steps in prop::collection::vec(
            prop_oneof![6 => (0usize..6).prop_map(Step::Ask), 3 => Just(Step::Drain), 1 => (0usize..2).prop_map(Step::Pin)],
            0..80,
        ),
    ) {
        let mut standby = Standby::new(Some(budget));
        (0..6).for_each(|at| standby.add(&at.to_string(), None, true));
        let mut used = [0u64; 6];
        let mut leaving = Vec::new();
        for (now, step) in (1u64..).zip(steps) {
            match step {
                Step::Drain => leaving.drain(..).for_each(|bytes| standby.ledger.passed(bytes)),
                Step::Pin(at) if standby.ledger.of(&at.to_string()).is_some() => standby.pin(&at.to_string()),
                Step::Pin(_) => {}
                Step::Ask(at) => {
                    used[at] = now;
                    let name = at.to_string();
                    if standby.ledger.of(&name).is_some() {
                        continue;
                    }
                    let short = standby.ledger.short(sizes[at]).saturating_sub(standby.ledger.passing());
                    let candidates = standby.ledger.names().map(|name| eviction::Candidate {
                        name: name.to_owned(),
                        bytes: standby.ledger.of(name).unwrap(),
                        last_use: used[name.parse::<usize>().unwrap()],
                        hold: if standby.may_be_evicted(name) { eviction::Hold::Idle } else { eviction::Hold::Fixed },
                        composing: BTreeSet::new(),
                    });
                    for name in eviction::victims(candidates.collect(), short).unwrap_or_default() {
                        prop_assert!(standby.may_be_evicted(&name));
                        leaving.push(standby.ledger.end(&name));
                    }
                    if standby.ledger.short(sizes[at]) == 0 {
                        standby.ledger.hold(&name, sizes[at]);
                    }
                }
            }
            prop_assert!(standby.ledger.used() <= budget);
        }
        leaving.drain(..).for_each(|bytes| standby.ledger.passed(bytes));
        let held: u64 = standby.ledger.names().map(|name| standby.ledger.of(name).unwrap()).sum();
        prop_assert_eq!(standby.ledger.used(), held, "all is accounted for");
    }
}
