use proptest::prelude::*;

use super::*;
use crate::Digester;

fn digest(number: u64) -> Digest {
    let mut digester = Digester::default();
    digester.number(number);
    digester.finish()
}

/// The size of an entry's value.
const SIZE: usize = 8;
const WHOLE: usize = SIZE + ENTRY_SIZE;

#[test]
fn the_least_recently_used_makes_room() {
    let store = Store::new(3 * WHOLE);
    let owner = store.owner();
    for n in 0..3 {
        assert_eq!(owner.insert(digest(n), n, SIZE), Inserted::Yes);
    }
    assert_eq!(owner.get(digest(0)), Some(0));
    assert_eq!(owner.insert(digest(3), 3, SIZE), Inserted::Yes);
    let found: Vec<Option<u64>> = (0..4).map(|n| owner.get(digest(n))).collect();
    assert_eq!(found, [Some(0), None, Some(2), Some(3)]);
    assert_eq!((store.len(), store.used()), (3, 3 * WHOLE));
}

#[test]
fn what_does_not_fit_is_not_kept_and_drives_nobody_out() {
    let store = Store::new(2 * WHOLE);
    let owner = store.owner();
    owner.insert(digest(1), 1, SIZE);
    assert_eq!(owner.insert(digest(2), 2, 2 * WHOLE), Inserted::TooLarge);
    assert_eq!(owner.insert(digest(2), 2, usize::MAX), Inserted::TooLarge);
    assert_eq!(owner.insert(digest(1), 9, SIZE), Inserted::AlreadyThere);
    assert_eq!((owner.get(digest(1)), store.len()), (Some(1), 1));
    assert_eq!(Store::new(0).owner().insert(digest(1), 1, 0), Inserted::TooLarge);
}

#[test]
fn owners_do_not_see_each_other_and_take_their_entries_along() {
    let store = Store::new(10_000 * WHOLE);
    let (first, second) = (store.owner(), store.owner());
    for n in 0..3000 {
        first.insert(digest(n), n, SIZE);
        second.insert(digest(n), n + 1, SIZE);
    }
    assert_eq!((first.get(digest(7)), second.get(digest(7))), (Some(7), Some(8)));
    drop(first);
    assert_eq!((store.len(), store.used()), (3000, 3000 * WHOLE));
    assert_eq!(second.get(digest(2999)), Some(3000));
    assert_eq!(store.owner().get(digest(7)), None);
    drop(second);
    assert!(store.is_empty());
    assert_eq!((store.used(), store.state.lock().lru.slot_count()), (0, 0));
}

#[test]
fn questions_that_are_cut_differently_differ() {
    let of = |parts: &[&str]| {
        let mut digester = Digester::default();
        for part in parts {
            digester.text(part);
        }
        digester.finish()
    };
    assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["ab", "c"]), of(&["ab", "c", ""]));
}

/// A simple reference implementation: a list in the order of use, oldest first.
#[derive(Default)]
struct Naive(Vec<(usize, u64, u64, usize)>);

impl Naive {
    fn get(&mut self, owner: usize, digest: u64) -> Option<u64> {
        let index = self.0.iter().position(|entry| (entry.0, entry.1) == (owner, digest))?;
        let entry = self.0.remove(index);
        self.0.push(entry);
        Some(entry.2)
    }

    fn insert(&mut self, budget: usize, owner: usize, digest: u64, value: u64, size: usize) -> Inserted {
        if size > budget {
            return Inserted::TooLarge;
        }
        if self.0.iter().any(|entry| (entry.0, entry.1) == (owner, digest)) {
            return Inserted::AlreadyThere;
        }
        while self.used() + size > budget {
            self.0.remove(0);
        }
        self.0.push((owner, digest, value, size));
        Inserted::Yes
    }

    fn used(&self) -> usize {
        self.0.iter().map(|entry| entry.3).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Get(usize, u64),
    Insert(usize, u64, usize),
    /// The owner is dropped, and a new one takes its place.
    Replace(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..3, 0u64..12).prop_map(|(owner, digest)| Step::Get(owner, digest)),
        4 => (0usize..3, 0u64..12, 0usize..1200).prop_map(|(owner, digest, size)| Step::Insert(owner, digest, size)),
        1 => (0usize..3).prop_map(Step::Replace),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn does_what_a_list_does(steps in steps()) {
        const BUDGET: usize = 2000;
        let store = Store::new(BUDGET);
        let mut owners: Vec<Owner<u64>> = (0..3).map(|_| store.owner()).collect();
        let mut naive = Naive::default();
        for (value, step) in (0u64..).zip(steps) {
            match step {
                Step::Get(owner, number) => {
                    prop_assert_eq!(owners[owner].get(digest(number)), naive.get(owner, number));
                }
                Step::Insert(owner, number, size) => {
                    let expected = naive.insert(BUDGET, owner, number, value, size + ENTRY_SIZE);
                    prop_assert_eq!(owners[owner].insert(digest(number), value, size), expected);
                }
                Step::Replace(owner) => {
                    owners[owner] = store.owner();
                    naive.0.retain(|entry| entry.0 != owner);
                }
            }
            prop_assert_eq!((store.len(), store.used()), (naive.0.len(), naive.used()));
        }
    }
}
