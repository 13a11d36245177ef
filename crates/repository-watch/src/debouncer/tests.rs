use proptest::prelude::*;

use super::*;

const TOLD: Duration = Duration::from_millis(200);
const FOUND: Duration = Duration::from_secs(4);

fn content(list: &[(&str, u64)]) -> BTreeMap<String, Fingerprint> {
    list.iter().map(|(name, content)| ((*name).to_owned(), Fingerprint::of(content))).collect()
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

struct Bench {
    debouncer: Debouncer,
    now: Instant,
}

impl Bench {
    fn new(accepted: &[(&str, u64)]) -> Bench {
        Bench {
            debouncer: Debouncer::new(content(accepted), SettlingTime { reported: TOLD, found: FOUND }),
            now: Instant::now(),
        }
    }

    fn after(&mut self, time: Duration) -> &mut Bench {
        self.now += time;
        self
    }

    fn look(&mut self, present: &[(&str, u64)]) -> &mut Bench {
        self.debouncer.record_scan(None, &content(present), self.now);
        self
    }

    fn settled(&self) -> Vec<String> {
        self.debouncer.settled().into_keys().collect()
    }
}

#[test]
fn a_change_is_settled_when_two_looks_found_the_same_and_nothing_was_heard_in_between() {
    let mut bench = Bench::new(&[("m", 1)]);
    bench.debouncer.record_event("m", bench.now);
    assert_eq!(bench.after(TOLD).settled(), [""; 0], "nobody looked yet");
    assert_eq!(bench.debouncer.due_for_scan(bench.now), names(&["m"]));
    assert_eq!(bench.look(&[("m", 2)]).settled(), [""; 0], "the first look");
    assert_eq!(bench.debouncer.due(), Some(bench.now + TOLD));
    bench.after(TOLD / 2);
    bench.debouncer.record_event("m", bench.now);
    assert_eq!(bench.after(TOLD).look(&[("m", 2)]).settled(), [""; 0], "something was heard");
    assert_eq!(bench.after(TOLD).look(&[("m", 3)]).settled(), [""; 0], "it is another");
    assert_eq!(bench.after(TOLD).look(&[("m", 3)]).settled(), ["m"]);
    assert!(bench.debouncer.unsettled().is_empty());
    bench.debouncer.accept(&names(&["m"]));
    assert_eq!(*bench.debouncer.accepted(), content(&[("m", 3)]));
    assert_eq!(bench.debouncer.due(), None);
}

#[test]
fn what_only_a_look_found_needs_longer() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.look(&[("new", 1)]).after(TOLD).look(&[("new", 1)]).settled(), [""; 0]);
    assert_eq!(bench.after(FOUND).look(&[("new", 1)]).settled(), ["new"]);
}

#[test]
fn what_is_undone_is_forgotten_and_what_is_gone_is_told() {
    let mut bench = Bench::new(&[("back", 1), ("gone", 1)]);
    for name in ["back", "gone", "came and went"] {
        bench.debouncer.record_event(name, bench.now);
    }
    for _ in 0..2 {
        bench.after(TOLD);
        bench.debouncer.record_scan(None, &content(&[("back", 1)]), bench.now);
    }
    bench.after(TOLD);
    assert_eq!(bench.debouncer.settled(), [("gone".to_owned(), None)].into());
    bench.debouncer.accept(&names(&["gone"]));
    assert_eq!(*bench.debouncer.accepted(), content(&[("back", 1)]));
}

#[test]
fn a_look_at_one_model_says_nothing_of_the_others() {
    let mut bench = Bench::new(&[("m", 1)]);
    bench.debouncer.record_event("m", bench.now);
    bench.debouncer.record_event("new", bench.now);
    bench.debouncer.record_scan(Some(&names(&["other"])), &content(&[("m", 1)]), bench.now);
    assert_eq!(bench.debouncer.unsettled(), names(&["m", "new"]));
    bench.debouncer.record_scan(Some(&names(&["new"])), &content(&[("m", 1)]), bench.now);
    assert_eq!(bench.debouncer.unsettled(), names(&["m"]), "it was not there, and still is not");
}

#[test]
fn tells_what_never_rests() {
    let mut bench = Bench::new(&[]);
    for _ in 0..20 {
        bench.debouncer.record_event("log", bench.now);
        bench.after(TOLD / 2);
    }
    assert_eq!(bench.debouncer.long_changing(TOLD * 20, bench.now).count(), 0);
    assert_eq!(bench.debouncer.long_changing(TOLD * 10, bench.now).collect::<Vec<_>>(), ["log"]);
}

#[derive(Clone, Debug)]
enum Event {
    Change { name: &'static str, content: Option<u64>, reported: bool },
    Wait(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        (name, prop::option::of(0u64..3), any::<bool>())
            .prop_map(|(name, content, reported)| Event::Change { name, content, reported }),
        (1u64..3000).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Whatever happens: what is accepted was there, unchanged, for as long as it takes; and once nothing happens any more
    /// all of it is accepted.
    #[test]
    fn only_what_rests_is_accepted_and_in_the_end_everything(events in prop::collection::vec(any_event(), 0..40)) {
        let mut bench = Bench::new(&[]);
        let mut disk: BTreeMap<String, Fingerprint> = BTreeMap::new();
        let mut changed: BTreeMap<String, Instant> = BTreeMap::new();
        let end = std::iter::repeat_n(Event::Wait(4001), 4);
        for event in events.into_iter().chain(end) {
            match event {
                Event::Change { name, content, reported } => {
                    let before = disk.remove(name);
                    let after = content.map(|content| Fingerprint::of(&content));
                    disk.extend(after.map(|after| (name.to_owned(), after)));
                    // The same content once more, of which nobody hears, is nothing that could be seen.
                    if reported || before != after {
                        changed.insert(name.to_owned(), bench.now);
                    }
                    if reported {
                        bench.debouncer.record_event(name, bench.now);
                    }
                }
                Event::Wait(ms) => drop(bench.after(Duration::from_millis(ms))),
            }
            bench.debouncer.record_scan(None, &disk, bench.now);
            let settled = bench.debouncer.settled();
            for (name, content) in &settled {
                prop_assert_eq!(disk.get(name), content.as_ref());
                prop_assert!(bench.now >= changed[name] + TOLD, "{name}");
            }
            bench.debouncer.accept(&settled.into_keys().collect());
        }
        prop_assert_eq!(bench.debouncer.accepted(), &disk);
        prop_assert!(bench.debouncer.due().is_none());
    }
}
