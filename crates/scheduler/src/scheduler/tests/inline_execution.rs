//! Requests that are executed by the thread that took them in.

use std::thread::ThreadId;
use std::time::Instant;

use hippocamp_backend::MovableInstance;
use hippocamp_per_thread::parts;

use super::*;

/// Notes on which thread each request was executed; panics for those whose id is in `panics`.
#[derive(Clone, Debug, Default)]
struct Tracker {
    executed: Arc<Mutex<Vec<(usize, ThreadId)>>>,
    made: Arc<Mutex<usize>>,
    panics: Vec<usize>,
    stays: bool,
    /// It takes long over requests of so many bytes.
    slow_from: Option<usize>,
    /// How many extra instances it gives, and how many it has given.
    extra: usize,
    given: Arc<Mutex<usize>>,
}

impl Model for Tracker {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        *self.made.lock().unwrap() += 1;
        let instance = self.clone();
        Ok(if self.stays { NewInstance::bound(instance) } else { NewInstance::movable(instance) })
    }

    fn extra_instance(&self, _: &InstanceSpec) -> Option<MovableInstance> {
        let mut given = self.given.lock().unwrap();
        *given += 1;
        (*given <= self.extra).then(|| Box::new(self.clone()) as MovableInstance)
    }
}

impl ModelInstance for Tracker {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.iter() {
            self.executed.lock().unwrap().push((id(request), thread::current().id()));
            let bytes: usize = request.inputs.iter().flatten().map(|input| input.data.len()).sum();
            if self.slow_from.is_some_and(|from| bytes >= from) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(!batch.iter().any(|request| self.panics.contains(&id(request))), "told to");
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

impl Tracker {
    fn start(&self, plans: Vec<InstancePlan>, queue: QueueSettings) -> (Scheduler, Stopped) {
        let model: Arc<dyn Model> = Arc::new(self.clone());
        Scheduler::start(&model, plans, queue).unwrap()
    }

    /// Whether the request was executed on this thread.
    fn was_here(&self, id: usize) -> bool {
        self.executed.lock().unwrap().contains(&(id, thread::current().id()))
    }
}

fn answer(scheduler: &Scheduler, like: &Like) -> Result<Response> {
    let (request, receiver) = like.make();
    drop(scheduler.execute_or_enqueue(request).unwrap());
    block_on(receiver.only())
}

/// Sends requests until one is executed here. On a busy machine some take long and send the next to the queue.
fn until_here(tracker: &Tracker, scheduler: &Scheduler) {
    until_one_is_here(tracker, scheduler, &Like::default());
}

/// The same for requests of that size.
fn until_one_is_here(tracker: &Tracker, scheduler: &Scheduler, like: &Like) {
    let deadline = Instant::now() + Duration::from_mins(1);
    for id in 1000.. {
        answer(scheduler, &Like { id, ..like.clone() }).unwrap();
        if tracker.was_here(id) {
            return;
        }
        assert!(Instant::now() < deadline, "no request was executed inline");
    }
}

#[test]
fn a_short_model_is_executed_by_the_thread_that_took_the_request_in() {
    let tracker = Tracker::default();
    let (scheduler, stopped) = tracker.start(plans(2, None), QueueSettings::single());
    answer(&scheduler, &Like::default()).unwrap();
    assert!(!tracker.was_here(0), "nobody knows yet how long it takes");
    until_here(&tracker, &scheduler);
    let counted = scheduler.depths().count();
    assert_eq!(counted as usize, tracker.executed.lock().unwrap().len(), "each request was counted");
    drop(scheduler);
    block_on(stopped.wait());
    assert_eq!(*tracker.made.lock().unwrap(), 2);
}

#[test]
fn a_request_is_judged_by_those_of_its_size() {
    let tracker = Tracker { slow_from: Some(4 << 20), ..Tracker::default() };
    let (scheduler, _stopped) = tracker.start(plans(1, None), QueueSettings::single());
    let [large, slow] = [128 << 10, 4 << 20].map(|width| Like { width: Some(width), ..Like::default() });
    for id in 0..20 {
        until_here(&tracker, &scheduler);
        answer(&scheduler, &Like { id, ..slow.clone() }).unwrap();
        assert!(!tracker.was_here(id), "it takes long, whatever small ones take");
        until_one_is_here(&tracker, &scheduler, &large);
        tracker.executed.lock().unwrap().clear();
    }
}

#[test]
fn requests_are_queued_where_something_speaks_against_the_calling_thread() {
    let limiter = crate::RateLimiter::new(vec![]);
    let batched = || settings(false, Duration::ZERO, None);
    let bound = || {
        let allowed = rustix::thread::sched_getaffinity(None).unwrap();
        let core = (0..1024).find(|&core| allowed.is_set(core)).unwrap();
        let mut plans = plans(1, None);
        plans[0].cores = Cores::new(vec![core]);
        plans
    };
    let stays = Tracker { stays: true, ..Tracker::default() };
    let table = [
        ("the model's instances stay", stays, plans(1, None), QueueSettings::single()),
        ("requests are joined", Tracker::default(), plans(1, None), batched()),
        ("it needs resources", Tracker::default(), plans(1, Some(&limiter)), QueueSettings::single()),
        ("it is bound to cores", Tracker::default(), bound(), QueueSettings::single()),
    ];
    for (why, tracker, plans, queue) in table {
        let (scheduler, _stopped) = tracker.start(plans, queue);
        for id in 0..100 {
            answer(&scheduler, &Like { id, ..Like::default() }).unwrap();
            assert!(!tracker.was_here(id), "{why}");
        }
    }
}

#[test]
fn an_inline_panic_is_answered_and_the_instance_made_anew() {
    let tracker = Tracker { panics: (0..1000).collect(), ..Tracker::default() };
    let (scheduler, stopped) = tracker.start(plans(1, None), QueueSettings::single());
    let deadline = Instant::now() + Duration::from_mins(1);
    for id in 0.. {
        until_here(&tracker, &scheduler);
        let error = answer(&scheduler, &Like { id, ..Like::default() }).unwrap_err();
        assert_eq!(error.message(), "the backend of instance 'script_0' panicked: told to");
        answer(&scheduler, &Like { id: 5000 + id, ..Like::default() }).unwrap();
        assert!(!tracker.was_here(5000 + id), "there was no instance to use");
        assert_eq!(*tracker.made.lock().unwrap(), 2 + id);
        if tracker.was_here(id) {
            break;
        }
        assert!(Instant::now() < deadline && id < 999, "no panic was inline");
    }
    drop(scheduler);
    block_on(stopped.wait());
}

#[test]
fn who_waits_in_the_queue_is_not_overtaken() {
    let tracker = Tracker::default();
    let (scheduler, _stopped) = tracker.start(plans(1, None), QueueSettings::single());
    until_here(&tracker, &scheduler);
    let mut receivers = Vec::new();
    let queue = scheduler.batcher.queue_to_pass().unwrap();
    scheduler.inline.while_held(queue, || {
        for id in 0..3 {
            let (request, receiver) = Like { id, ..Like::default() }.make();
            drop(scheduler.execute_or_enqueue(request).unwrap());
            receivers.push(receiver);
        }
        assert_eq!(scheduler.pending(), 3, "the instance's own thread can't execute them either");
    });
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
    let executed = tracker.executed.lock().unwrap();
    let order: Vec<usize> = executed.iter().map(|(id, _)| *id).filter(|id| *id < 3).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn who_has_left_the_queue_is_answered_though_nobody_lets_go_of_the_instance() {
    let tracker = Tracker::default();
    let (scheduler, _stopped) = tracker.start(plans(1, None), QueueSettings::single());
    until_here(&tracker, &scheduler);
    let statistics = Arc::new(ModelStatistics::default());
    let like = Like { statistics: Arc::clone(&statistics), ..Like::default() };
    let queue = scheduler.batcher.queue_to_pass().unwrap();
    let mut waits = None;
    scheduler.inline.while_held(queue, || {
        let (request, cancelled) = like.make();
        drop(cancelled);
        scheduler.enqueue(request).unwrap();
        let (request, receiver) = like.make();
        scheduler.enqueue(request).unwrap();
        waits = Some(receiver);
        let deadline = Instant::now() + Duration::from_mins(1);
        while statistics.snapshot().failures[FailureReason::Canceled as usize] == 0 {
            assert!(Instant::now() < deadline, "the request whose client left was not answered");
            thread::yield_now();
        }
    });
    block_on(waits.unwrap().only()).unwrap();
}

/// Lets the calling thread meet another one at the only instance, until the model has been asked so often for extra ones.
fn meet_until_asked(tracker: &Tracker, scheduler: &Scheduler, times: usize) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let queue = scheduler.batcher.queue_to_pass().unwrap();
    while *tracker.given.lock().unwrap() < times {
        scheduler.inline.while_held(queue, || {
            let (request, _) = Like { id: 2000, ..Like::default() }.make();
            drop(scheduler.execute_or_enqueue(request).unwrap());
        });
        assert!(Instant::now() < deadline, "it was not asked {times} times");
        thread::yield_now();
    }
}

#[test]
fn a_thread_that_meets_another_one_gets_an_instance_of_its_own() {
    let tracker = Tracker { extra: usize::MAX, panics: vec![7], ..Tracker::default() };
    let (scheduler, stopped) = tracker.start(plans(1, None), QueueSettings::single());
    until_here(&tracker, &scheduler);
    assert_eq!(*tracker.given.lock().unwrap(), 0, "one thread needs none");
    meet_until_asked(&tracker, &scheduler, parts());
    let queue = scheduler.batcher.queue_to_pass().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let here_while_held = |id: usize| {
        let mut receiver = None;
        scheduler.inline.while_held(queue, || {
            let (request, waits) = Like { id, ..Like::default() }.make();
            drop(scheduler.execute_or_enqueue(request).unwrap());
            receiver = Some((tracker.was_here(id), waits));
        });
        receiver.unwrap()
    };
    // The thread that makes them may not have put them in their places yet.
    let mut ids = 3000..;
    while !here_while_held(ids.next().unwrap()).0 {
        assert!(Instant::now() < deadline, "no request was executed on an extra instance");
    }
    let (was_here, receiver) = here_while_held(7);
    assert!(was_here && block_on(receiver.only()).is_err(), "it panics");
    while !here_while_held(ids.next().unwrap()).0 {
        assert!(Instant::now() < deadline, "the instance that panicked was not made again");
    }
    drop(scheduler);
    block_on(stopped.wait());
}

#[test]
fn a_model_without_extra_instances_is_asked_once() {
    let tracker = Tracker { extra: 1, ..Tracker::default() };
    let (scheduler, _stopped) = tracker.start(plans(1, None), QueueSettings::single());
    until_here(&tracker, &scheduler);
    // It gives one, and refuses the next.
    meet_until_asked(&tracker, &scheduler, 2);
    let queue = scheduler.batcher.queue_to_pass().unwrap();
    for id in 0..20 {
        scheduler.inline.while_held(queue, || {
            let (request, _) = Like { id, ..Like::default() }.make();
            drop(scheduler.execute_or_enqueue(request).unwrap());
            assert!(!tracker.was_here(id));
        });
    }
    assert_eq!(*tracker.given.lock().unwrap(), 2);
}

#[test]
fn many_threads_share_the_instances_and_every_request_is_answered_once() {
    let tracker = Tracker { panics: (0..5000).step_by(97).collect(), ..Tracker::default() };
    let (scheduler, stopped) = tracker.start(plans(2, None), QueueSettings::single());
    let statistics = Arc::new(ModelStatistics::default());
    thread::scope(|scope| {
        for from in [0, 500, 1000, 1500] {
            let (scheduler, statistics) = (&scheduler, Arc::clone(&statistics));
            scope.spawn(move || {
                for id in from..from + 500 {
                    let statistics = Arc::clone(&statistics);
                    let answer = answer(scheduler, &Like { id, statistics, ..Like::default() });
                    assert_eq!(answer.is_err(), id % 97 == 0, "{id}");
                }
            });
        }
    });
    drop(scheduler);
    block_on(stopped.wait());
    let counters = statistics.snapshot();
    let panics = (0..2000).step_by(97).count() as u64;
    assert_eq!((counters.success.count, counters.fail.count), (2000 - panics, panics));
    assert_eq!(counters.failures[FailureReason::Backend as usize], panics);
    assert_eq!(tracker.executed.lock().unwrap().len(), 2000);
}
