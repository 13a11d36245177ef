use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::graph::{Graph, Instance, Reason, Stuck};
use super::path::{self, Step};

/// Versions by letters, each found at a place of its own. The way back of a call is the letter of what it calls first.
#[derive(Debug)]
struct Models {
    graph: Graph<char>,
    numbers: Vec<(char, u64)>,
    ordered: Vec<char>,
    requests: u64,
}

type Called = Result<u64, Reason>;

impl Models {
    fn new() -> Models {
        Models { graph: Graph::new(), numbers: Vec::new(), ordered: Vec::new(), requests: 0 }
    }

    fn version(&mut self, name: char) {
        let number = self.graph.add_version(&name.to_string().into());
        self.graph.is_found_at((name as usize, 1), number);
        self.numbers.push((name, number));
    }

    fn number(&self, name: char) -> u64 {
        self.numbers.iter().rfind(|(other, _)| *other == name).unwrap().1
    }

    fn instance(&mut self, of: char) -> Arc<Instance> {
        self.graph.add_instance(self.number(of))
    }

    /// A model with so many instances, of which some execute.
    fn with<const N: usize>(&mut self, name: char, executing: usize) -> [Arc<Instance>; N] {
        self.version(name);
        let instances = [(); N].map(|()| self.instance(name));
        for instance in &instances[..executing] {
            instance.begin();
        }
        instances
    }

    fn begin(&mut self, from: &Arc<Instance>, to: &str) -> Option<u64> {
        let step = |name: char| Step {
            name: name.to_string().into(),
            place: (name as usize, 1),
            is_ordered: self.ordered.contains(&name),
        };
        let steps: Vec<Step> = to.chars().map(step).collect();
        if !self.graph.knows_any(&steps) {
            return None;
        }
        self.graph.add_call(from, &steps, to.chars().next()?)
    }

    /// A call of a model, or of several that are steps of an ensemble. Its number, or why it is refused.
    fn call(&mut self, from: &Arc<Instance>, to: &str) -> Called {
        let call = self.begin(from, to).expect("it is waited for");
        self.graph.closes_a_circle(call).map_or(Ok(call), |stuck| Err(stuck.reason))
    }

    /// A request of a call is queued, and executed.
    fn executed(&mut self, call: u64, model: &str, by: &Arc<Instance>) -> u64 {
        self.requests += 1;
        self.graph.is_queued(call, self.requests, (model, 1));
        assert!(self.graph.has_queued(call, self.requests));
        by.begin();
        self.graph.are_executed(&[(call, self.requests)], by);
        self.requests
    }
}

const ONE: Called = Err(Reason::Instances(1));
const TWO: Called = Err(Reason::Instances(2));

#[test]
fn a_call_that_closes_a_circle_is_refused_and_no_other() {
    let mut models = Models::new();
    let ([a], [b], [c]) = (models.with('a', 1), models.with('b', 0), models.with('c', 0));
    assert_eq!(models.call(&a, "a"), ONE);
    assert_eq!(models.begin(&a, "z"), None, "it waits for nobody");
    let to_b = [models.call(&a, "b").unwrap(), models.call(&a, "b").unwrap()];
    models.executed(to_b[0], "b", &b);
    let to_c = models.call(&b, "c").unwrap();
    models.executed(to_c, "c", &c);
    assert_eq!(models.call(&c, "a"), ONE);
    assert_eq!(models.call(&c, "zyb"), ONE, "by a step of an ensemble");
    models.graph.remove_call(to_c);
    let to_a = models.call(&c, "a").expect("a waits for b only");
    models.graph.remove_call(to_a);
    models.graph.remove_call(to_b[0]);
    assert_eq!(models.call(&b, "a"), ONE, "a waits for its other call, which waits for b");
    models.graph.remove_call(to_b[1]);
    models.call(&b, "a").unwrap();
}

#[test]
fn calls_that_an_execution_has_left_are_not_waited_for() {
    let mut models = Models::new();
    let ([a], [b]) = (models.with('a', 1), models.with('b', 1));
    models.call(&a, "b").unwrap();
    a.end();
    assert_eq!(models.begin(&a, "b"), None, "it does not execute");
    a.begin();
    models.call(&b, "a").expect("the execution that has called it is over");
}

#[test]
fn several_instances_wait_for_one_another_only_if_all_do() {
    let mut models = Models::new();
    let [first, second] = models.with('a', 1);
    let calls = [models.call(&first, "a").unwrap(), models.call(&first, "a").unwrap()];
    let request = models.executed(calls[0], "a", &second);
    assert_eq!(models.call(&second, "a"), TWO);
    models.graph.is_ended(calls[0], request, ("a", 1));
    models.graph.remove_call(calls[0]);
    second.end();
    models.executed(calls[1], "a", &second);
    assert_eq!(models.call(&second, "a"), TWO);
}

#[test]
fn a_call_waits_for_the_instance_that_executes_it_though_others_are_free() {
    let mut models = Models::new();
    let ([here], [there, _free]) = (models.with('h', 1), models.with('t', 0));
    let call = models.call(&here, "t").unwrap();
    let request = models.executed(call, "t", &there);
    assert_eq!(models.call(&there, "h"), ONE);
    models.graph.is_ended(call, request, ("t", 1));
    models.call(&there, "h").expect("it has answered");
}

#[test]
fn of_two_calls_that_close_a_circle_one_is_refused() {
    let mut models = Models::new();
    let [first, second] = models.with('a', 2);
    let calls = [&first, &second].map(|instance| models.begin(instance, "a").unwrap());
    let stuck = |model: &str| Stuck { model: model.into(), reason: Reason::Instances(2) };
    assert_eq!(models.graph.closes_a_circle(calls[0]), None, "the other one may still be refused");
    assert_eq!(models.graph.closes_a_circle(calls[1]), Some(stuck("a")));
}

#[test]
fn steps_of_an_ensemble_are_waited_for_until_they_are_answered() {
    let mut models = Models::new();
    let ([a], [b], [c]) = (models.with('a', 1), models.with('b', 0), models.with('c', 1));
    // Its last step is another one than is known here.
    let call = models.call(&a, "bcbz").unwrap();
    let request = models.executed(call, "b", &b);
    assert_eq!(models.call(&c, "a"), ONE, "c is still to come");
    models.graph.is_ended(call, request, ("b", 1));
    models.graph.is_ended(call, 100, ("c", 1));
    models.call(&c, "a").expect("it was answered without an execution");
    b.end();
    b.begin();
    assert_eq!(models.call(&b, "a"), ONE, "there is another step of b");
    let request = models.executed(call, "b", &b);
    models.graph.is_ended(call, request, ("b", 1));
    b.begin();
    models.call(&b, "a").unwrap();
}

#[test]
fn a_response_does_not_come_before_one_that_waits_for_it() {
    let ordered = Err(Reason::Ordered);
    let mut models = Models::new();
    models.ordered.push('a');
    let ([first, second], [b]) = (models.with('a', 1), models.with('b', 0));
    assert_eq!(models.call(&first, "a"), ordered);
    let to_b = models.call(&first, "b").unwrap();
    models.executed(to_b, "b", &b);
    assert_eq!(models.call(&b, "a"), ordered);
    models.graph.remove_call(to_b);
    // The first begins before the second, and calls afterwards.
    let to_a = models.call(&b, "a").unwrap();
    models.executed(to_a, "a", &second);
    assert_eq!(models.call(&first, "b"), ordered);
    first.end();
    first.begin();
    models.call(&first, "b").expect("what it executes now comes behind the second");
}

#[test]
fn a_version_that_is_replaced_is_another_than_its_successor() {
    let mut models = Models::new();
    let [before] = models.with('a', 1);
    let [after] = models.with('a', 1);
    models.call(&before, "a").expect("the successor executes it");
    assert_eq!(models.call(&after, "a"), ONE);
    models.graph.remove_version(models.numbers[0].1);
    assert_eq!(models.call(&after, "a"), ONE, "it is still found");
    models.graph.remove_version(models.number('a'));
    assert_eq!(models.begin(&after, "a"), None);
}

#[test]
fn another_model_is_not_taken_for_the_one_whose_config_was_at_its_place() {
    let mut models = Models::new();
    let [a] = models.with('a', 1);
    let number = models.number('a');
    models.graph.is_found_at(('b' as usize, 1), number);
    assert_eq!(models.begin(&a, "b"), None);
    assert_eq!(models.call(&a, "a"), ONE);
}

#[test]
fn an_instance_that_is_made_anew_is_waited_for() {
    let mut models = Models::new();
    let [first, second] = models.with('a', 2);
    assert!(models.graph.remove_instance(&second, true).is_empty());
    assert!(models.graph.remove_instance(&second, false).is_empty(), "it is removed once");
    models.call(&first, "a").unwrap();
    let third = models.instance('a');
    assert!(models.graph.remove_instance(&third, false).is_empty(), "it could not be initialized");
    models.call(&first, "a").expect("it is tried again");
    let third = models.instance('a');
    models.graph.is_ready(&third);
    third.begin();
    assert_eq!(models.call(&third, "a"), TWO);
    // One of an execution that never returns.
    assert!(models.graph.remove_instance(&first, true).is_empty());
    models.graph.return_instance(&first);
    assert_eq!(models.call(&third, "a"), TWO);
}

#[test]
fn the_end_of_an_instance_answers_those_that_would_have_waited_for_it() {
    let mut models = Models::new();
    let [first, second, third] = models.with('a', 2);
    models.call(&first, "a").unwrap();
    models.call(&second, "a").unwrap();
    let stuck = Stuck { model: "a".into(), reason: Reason::Instances(2) };
    assert_eq!(models.graph.remove_instance(&third, false), [('a', stuck)]);
    assert!(models.graph.remove_instance(&third, false).is_empty());
}

#[test]
fn an_instance_is_known_by_its_thread_if_there_are_several() {
    let mut models = Models::new();
    let [first, second] = models.with('a', 0);
    let number = models.number('a');
    let caller = |by: Option<u64>| models.graph.caller(number, || by).map(|instance| instance.number());
    assert_eq!(caller(Some(second.number())), Some(second.number()));
    assert_eq!(caller(None), None);
    assert_eq!(caller(Some(number)), None, "another one's thread");
    models.graph.remove_instance(&first, false);
    let only = models.graph.caller(number, || unreachable!("there is one")).unwrap();
    assert_eq!(only.number(), second.number());
}

#[test]
fn threads_have_the_name_of_the_one_that_has_started_them() {
    let name = path::thread_name(123_456, "a_name_that_is_cut_off_0_0");
    let thread = std::thread::Builder::new().name(name);
    let starter = thread.spawn(|| {
        // Threads of C++ have no names of their own.
        let started = std::thread::spawn(path::instance_of_this_thread).join().unwrap();
        (path::instance_of_this_thread(), started)
    });
    assert_eq!(starter.unwrap().join().unwrap(), (Some(123_456), Some(123_456)));
    assert_eq!(path::instance_of_this_thread(), None);
}

/// A call, as it is known to the search: from which instance, to which version, and executed by which instance.
type Known = (usize, usize, Option<usize>);

/// Who waits for ever, by trying all sets: those in which each has made a call that only the set could execute.
fn waiting(versions: &[usize], calls: &[Known]) -> BTreeSet<usize> {
    let of = |version| (0..versions.len()).filter(move |instance| versions[*instance] == version);
    let sets = (0_u32..1 << versions.len()).filter(|set| {
        let is_in = |instance: usize| set & 1 << instance != 0;
        (0..versions.len()).filter(|instance| is_in(*instance)).all(|instance| {
            calls.iter().filter(|(from, ..)| *from == instance).any(|(_, to, by)| match by {
                Some(by) => is_in(*by),
                None => of(*to).count() > 0 && of(*to).all(is_in),
            })
        })
    });
    let all = sets.fold(0, |all, set| all | set);
    (0..versions.len()).filter(|instance| all & 1 << instance != 0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Clients keep instances busy, which call one another; instances that are free execute what waits. Calls are refused exactly if
    /// their instance would wait for ever, and so it never comes to that.
    #[test]
    fn calls_are_refused_exactly_if_they_would_be_waited_for_for_ever(
        versions in proptest::collection::vec(0..4_usize, 1..8),
        steps in proptest::collection::vec((0..8_usize, 0..4_usize, 0..4_u8), 0..40),
    ) {
        let names = ['a', 'b', 'c', 'd'];
        let mut models = Models::new();
        for name in names {
            models.version(name);
        }
        let instances: Vec<_> = versions.iter().map(|version| models.instance(names[*version])).collect();
        let mut busy = vec![false; instances.len()];
        let (mut calls, mut numbers) = (Vec::<Known>::new(), Vec::new());
        for (instance, version, what) in steps {
            let instance = instance % versions.len();
            let waits = calls.iter().position(|(_, to, by)| *to == versions[instance] && by.is_none());
            match (busy[instance], waits) {
                (false, Some(call)) => {
                    models.executed(numbers[call], &names[versions[instance]].to_string(), &instances[instance]);
                    calls[call].2 = Some(instance);
                    busy[instance] = true;
                }
                (false, None) => {
                    instances[instance].begin();
                    busy[instance] = true;
                }
                // It has all its answers, and answers.
                (true, _) if what == 0 && calls.iter().all(|(from, ..)| *from != instance) => {
                    if let Some(call) = calls.iter().position(|(_, _, by)| *by == Some(instance)) {
                        models.graph.remove_call(numbers.swap_remove(call));
                        calls.swap_remove(call);
                    }
                    instances[instance].end();
                    busy[instance] = false;
                }
                (true, _) => {
                    let called = models.call(&instances[instance], &names[version].to_string());
                    calls.push((instance, version, None));
                    prop_assert_eq!(called.is_err(), waiting(&versions, &calls).contains(&instance));
                    match called {
                        Ok(number) => numbers.push(number),
                        Err(_) => drop(calls.pop()),
                    }
                }
            }
        }
    }
}
