use std::sync::mpsc;
use std::thread;

use hippocamp_backend::Code;

use super::*;

fn demand(resources: &[(&str, u64)]) -> Demand {
    let resource = |(name, count): &(&str, u64)| ResourceDemand {
        name: (*name).to_owned(),
        count: *count,
        global: name.starts_with('G'),
    };
    Demand { resources: resources.iter().map(resource).collect(), priority: 1, device: 0 }
}

fn given(name: &str, count: u64, device: Option<i32>) -> ResourceCount {
    ResourceCount { name: name.to_owned(), count, device }
}

fn one(limiter: &Arc<RateLimiter>, demand: Demand) -> RateLimited {
    limiter.register(&[demand]).unwrap().remove(0).unwrap()
}

/// Whether all of these may execute at once.
fn fit(limiter: &Arc<RateLimiter>, demands: &[Demand]) -> bool {
    let registered = limiter.register(demands).unwrap();
    let mut state = limiter.0.lock();
    let numbers: Vec<u64> = registered.iter().flatten().map(|limited| limited.number).collect();
    let State { resources, instances, .. } = &mut *state;
    let taken: Vec<_> = numbers.iter().filter(|n| resources.take(&instances[n].needs)).collect();
    for number in &taken {
        resources.give_back(&instances[number].needs);
    }
    let all = taken.len() == numbers.len();
    drop(state);
    all
}

#[test]
fn without_numbers_there_is_as_much_as_the_largest_need() {
    let limiter = RateLimiter::new(vec![]);
    assert!(fit(&limiter, &[demand(&[("R1", 4), ("R2", 4)])]));
    assert!(!fit(&limiter, &[demand(&[("R1", 4)]), demand(&[("R1", 1)])]));
    assert!(fit(&limiter, &[demand(&[("R1", 4)]), demand(&[("R2", 4)])]));
    let large = one(&limiter, demand(&[("R1", 10)]));
    assert!(fit(&limiter, &[demand(&[("R1", 4)]), demand(&[("R1", 6)])]));
    drop(large);
    assert!(!fit(&limiter, &[demand(&[("R1", 4)]), demand(&[("R1", 6)])]));
}

#[test]
fn a_devices_resources_are_its_own_and_global_ones_are_shared() {
    let limiter = RateLimiter::new(vec![]);
    let on = |device, name| Demand { device, ..demand(&[(name, 1)]) };
    assert!(fit(&limiter, &[on(0, "R"), on(1, "R")]));
    assert!(!fit(&limiter, &[on(0, "R"), on(0, "R")]));
    assert!(!fit(&limiter, &[on(0, "G"), on(1, "G")]));
}

#[test]
fn numbers_of_the_command_line_are_by_device_or_for_each() {
    let limiter =
        RateLimiter::new(vec![given("R1", 2, None), given("R2", 1, Some(0)), given("R2", 2, Some(1))]);
    let on = |device, name| Demand { device, ..demand(&[(name, 1)]) };
    assert!(fit(&limiter, &[on(0, "R1"), on(0, "R1"), on(1, "R1"), on(1, "R1")]));
    assert!(!fit(&limiter, &[on(0, "R1"), on(0, "R1"), on(0, "R1")]));
    assert!(!fit(&limiter, &[on(0, "R2"), on(0, "R2")]));
    assert!(fit(&limiter, &[on(1, "R2"), on(1, "R2")]));
}

#[test]
fn what_could_never_execute_is_refused_with_tritons_texts() {
    let limiter = RateLimiter::new(vec![given("R1", 3, None)]);
    let error = limiter.register(&[demand(&[("R1", 4)])]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArg);
    assert_eq!(
        error.message(),
        "Resource count for \"R1\" is limited to 3 which will prevent scheduling of one or more model instances, the \
         minimum required count is 4"
    );
    let error = limiter.register(&[demand(&[("R9", 1)])]).unwrap_err();
    assert!(error.message().starts_with("Resource count for \"R9\" is limited to 0 which"), "{error}");
    // Nothing of a refused model stays.
    assert!(fit(&limiter, &[demand(&[("R1", 3)])]));

    let limiter = RateLimiter::new(vec![]);
    let _global = one(&limiter, demand(&[("G", 1)]));
    let mut by_device = demand(&[("G", 1)]);
    by_device.resources[0].global = false;
    assert_eq!(
        limiter.register(&[by_device]).unwrap_err().message(),
        "Resource \"G\" is present as both global and device-specific resource in the model configuration."
    );
}

#[test]
fn who_needs_nothing_is_not_limited() {
    let limiter = RateLimiter::new(vec![]);
    let registered = limiter.register(&[demand(&[]), demand(&[("R", 0)]), demand(&[("R", 1)])]).unwrap();
    assert_eq!(registered.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn an_instance_waits_until_another_has_executed() {
    let limiter = RateLimiter::new(vec![]);
    let (a, b) = (one(&limiter, demand(&[("R", 1)])), one(&limiter, demand(&[("R", 1)])));
    let permit = a.acquire(|| panic!("nobody has the resource"));
    let (done, waits) = mpsc::channel();
    let thread = thread::spawn(move || {
        drop(b.acquire(|| done.send("waits").unwrap()));
        done.send("done").unwrap();
    });
    assert_eq!(waits.recv(), Ok("waits"));
    assert!(waits.try_recv().is_err());
    drop(permit);
    assert_eq!(waits.recv(), Ok("done"));
    thread.join().unwrap();
}

/// Instances that compete for one resource.
struct Race {
    limiter: Arc<RateLimiter>,
    instances: Vec<RateLimited>,
}

impl Race {
    fn new(priorities: &[u32]) -> Race {
        let limiter = RateLimiter::new(vec![]);
        let instance = |priority: &u32| one(&limiter, Demand { priority: *priority, ..demand(&[("R", 1)]) });
        let instances = priorities.iter().map(instance).collect();
        Race { limiter, instances }
    }

    /// An instance that did nothing has something to execute.
    fn join(&self, instance: usize) {
        self.limiter.0.lock().join(self.instances[instance].number);
    }

    /// Lets that many executions end, after each of which its instance has another batch. Who had how many turns?
    fn turns(&self, rounds: usize) -> Vec<usize> {
        let mut turns = vec![0; self.instances.len()];
        for _ in 0..rounds {
            let mut state = self.limiter.0.lock();
            let executes = |i: &usize| state.instances[&self.instances[*i].number].may_execute;
            let running: Vec<usize> = (0..self.instances.len()).filter(executes).collect();
            assert_eq!(running.len(), 1, "there is one resource");
            turns[running[0]] += 1;
            let number = self.instances[running[0]].number;
            state.take_back(number, true);
            state.waiting.push(number);
            state.allocate();
        }
        turns
    }
}

/// The turns of instances with these priorities, which have always something to execute.
fn turns(priorities: &[u32], rounds: usize) -> Vec<usize> {
    let race = Race::new(priorities);
    (0..priorities.len()).for_each(|instance| race.join(instance));
    race.turns(rounds)
}

#[test]
fn one_that_comes_late_does_not_keep_the_others_out() {
    let race = Race::new(&[1, 1, 2]);
    race.join(0);
    assert_eq!(race.turns(1_000), [1_000, 0, 0]);
    race.join(1);
    race.join(2);
    let turns = race.turns(100);
    assert!(turns.iter().zip([40, 40, 20]).all(|(n, expected)| n.abs_diff(expected) <= 1), "{turns:?}");
}

#[test]
fn an_instance_that_executes_again_competes_with_those_that_waited() {
    let limiter = RateLimiter::new(vec![]);
    let (a, b) =
        (one(&limiter, demand(&[("R", 1)])), one(&limiter, Demand { priority: 3, ..demand(&[("R", 1)]) }));
    let (log, order) = mpsc::channel();
    let mut permit = a.acquire(|| {});
    thread::scope(|scope| {
        let (waits, others) = mpsc::channel();
        let log_of_b = log.clone();
        let b = &b;
        scope.spawn(move || {
            let mut permit = b.acquire(|| waits.send(()).unwrap());
            for _ in 0..2 {
                log_of_b.send("b").unwrap();
                permit.executes();
                permit.renew();
            }
        });
        others.recv().unwrap();
        for _ in 0..5 {
            log.send("a").unwrap();
            permit.executes();
            permit.renew();
        }
        drop(permit);
    });
    drop(log);
    assert_eq!(order.iter().collect::<String>(), "abaabaa");
}

#[test]
fn a_turn_without_an_execution_costs_nothing() {
    let limiter = RateLimiter::new(vec![]);
    let instance = one(&limiter, demand(&[("R", 1)]));
    drop(instance.acquire(|| {}));
    assert_eq!(limiter.0.lock().instances[&instance.number].turns, 0);
    let mut permit = instance.acquire(|| {});
    permit.executes();
    drop(permit);
    assert_eq!(limiter.0.lock().instances[&instance.number].turns, 1);
}

#[test]
fn turns_are_given_by_priority() {
    assert_eq!(turns(&[1, 1], 100), [50, 50]);
    assert_eq!(turns(&[0, 1], 100), [50, 50], "0 is 1");
    let [one, two] = turns(&[1, 2], 300)[..] else { panic!("two instances") };
    assert!((199..=201).contains(&one) && (99..=101).contains(&two), "{one} and {two}");
}

#[test]
fn one_that_needs_much_is_not_passed_over_for_ever() {
    let limiter = RateLimiter::new(vec![given("R", 2, None)]);
    let small = [one(&limiter, demand(&[("R", 1)])), one(&limiter, demand(&[("R", 1)]))];
    let large = one(&limiter, demand(&[("R", 2)]));
    let mut first = Some(small[0].acquire(|| {}));
    let mut second = Some(small[1].acquire(|| {}));
    let mut state = limiter.0.lock();
    state.waiting.extend([large.number, small[0].number]);
    drop(state);
    drop(first.take());
    let state = limiter.0.lock();
    assert!(!state.instances[&small[0].number].may_execute, "one is free, and kept for the one that is next");
    drop(state);
    drop(second.take());
    let state = limiter.0.lock();
    assert!(state.instances[&large.number].may_execute);
}
