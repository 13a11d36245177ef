use proptest::prelude::*;

use super::*;

fn model(name: &str, bytes: u64, last_use: u64) -> Candidate {
    Candidate { name: name.to_owned(), bytes, last_use, hold: Hold::Idle, composing: BTreeSet::new() }
}

fn ensemble(name: &str, last_use: u64, composing: &[&str]) -> Candidate {
    let composing = composing.iter().map(|&part| part.to_owned()).collect();
    Candidate { composing, ..model(name, 0, last_use) }
}

fn evicted(candidates: &[Candidate], short: u64) -> Option<Vec<String>> {
    choose(candidates.to_vec(), short)
}

#[test]
fn takes_the_least_recently_used_and_no_more_than_needed() {
    let all = [model("a", 10, 3), model("b", 10, 1), model("c", 10, 2)];
    assert_eq!(evicted(&all, 0).unwrap(), [""; 0]);
    assert_eq!(evicted(&all, 10).unwrap(), ["b"]);
    let mut two = evicted(&all, 11).unwrap();
    two.sort();
    assert_eq!(two, ["b", "c"]);
    assert_eq!(evicted(&all, 31), None);
}

#[test]
fn what_requests_run_on_comes_last_and_what_has_to_stay_stays() {
    let running = Candidate { hold: Hold::Running, ..model("running", 10, 1) };
    let fixed = Candidate { hold: Hold::Fixed, ..model("fixed", 10, 0) };
    let all = [running, fixed, model("idle", 10, 9)];
    assert_eq!(evicted(&all, 10).unwrap(), ["idle"]);
    assert_eq!(evicted(&all, 20).unwrap().len(), 2);
    assert_eq!(evicted(&all, 21), None);
}

#[test]
fn a_model_is_used_when_its_ensemble_is_and_ends_behind_it() {
    let parts = [model("part", 10, 1), model("other", 10, 2)];
    let with = |ensemble: Candidate| [&parts[..], &[ensemble]].concat();
    assert_eq!(evicted(&with(ensemble("e", 3, &["part"])), 10).unwrap(), ["other"]);
    assert_eq!(evicted(&with(ensemble("e", 1, &["part"])), 10).unwrap(), ["e", "part"]);
    let pinned = Candidate { hold: Hold::Fixed, ..ensemble("e", 0, &["part"]) };
    assert_eq!(evicted(&with(pinned), 11), None);
    let nested = [&with(ensemble("e", 0, &["part"]))[..], &[ensemble("outer", 1, &["e"])]].concat();
    assert_eq!(evicted(&nested, 10).unwrap(), ["outer", "e", "part"]);
}

/// Models 0 to 7; the upper ones may be ensembles of lower ones, so that there is no circle.
fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0u64..4, 0u64..100, 0u8..6, prop::collection::btree_set(0usize..8, 0..3));
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let candidate = |(at, (bytes, last_use, hold, parts)): (usize, (u64, u64, u8, BTreeSet<usize>))| {
            let hold = [Hold::Idle, Hold::Running, Hold::Fixed].get(usize::from(hold)).copied();
            let parts = parts.into_iter().filter(|&part| at >= 4 && part < at);
            Candidate {
                composing: parts.map(|part| part.to_string()).collect(),
                hold: hold.unwrap_or(Hold::Idle),
                ..model(&at.to_string(), bytes, last_use)
            }
        };
        all.into_iter().enumerate().map(candidate).collect()
    })
}

proptest! {
    #[test]
    fn frees_enough_in_order_of_use(all in any_candidates(), short in 0u64..20) {
        let closures = closures(&all);
        let at = |name: &String| name.parse::<usize>().unwrap();
        // Of a model all that depends on it, itself included.
        let dependents = |at: usize| (0..all.len()).filter(|&other| closures[other].contains(&at)).collect::<Vec<_>>();
        let hold = |at: usize| dependents(at).iter().map(|&d| all[d].hold).max().unwrap();
        let used = |at: usize| dependents(at).iter().map(|&d| all[d].last_use).max().unwrap();
        let free = (0..all.len()).filter(|&at| hold(at) != Hold::Fixed);
        let possible: u64 = free.clone().map(|at| all[at].bytes).sum();
        let Some(taken) = choose(all.clone(), short) else {
            prop_assert!(possible < short, "{possible} bytes could have been freed");
            return Ok(());
        };
        let taken: Vec<usize> = taken.iter().map(at).collect();
        let freed: u64 = taken.iter().map(|&at| all[at].bytes).sum();
        prop_assert!(freed >= short);
        for (nth, &one) in taken.iter().enumerate() {
            prop_assert!(hold(one) != Hold::Fixed);
            for dependent in dependents(one) {
                let place = taken.iter().position(|&other| other == dependent);
                prop_assert!(place.is_some_and(|place| place <= nth), "an ensemble stays, or ends behind its model");
            }
        }
        // Whatever stays was used later than all that goes, or runs while that is idle.
        let latest = taken.iter().filter(|&&at| all[at].bytes > 0).map(|&at| (hold(at), used(at))).max();
        for at in free.filter(|at| !taken.contains(at) && all[*at].bytes > 0) {
            prop_assert!(latest.is_none_or(|latest| (hold(at), used(at)) >= latest));
        }
    }
}
