//! An instance that says it is lost is made anew, and does not answer for those that are not.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use hippocamp_backend::LossCalls;

use super::*;
use crate::thread_cache::tests::REFUSED;

/// What the test and the instances share.
#[derive(Debug, Default)]
struct Shared {
    /// Instances of this index are lost as soon as they are made.
    is_lost: [AtomicBool; 2],
    /// Making an instance of this index fails, after the first time.
    cannot_be_made: [AtomicBool; 2],
    made: [AtomicUsize; 2],
    executed: [AtomicUsize; 2],
}

#[derive(Debug, Default)]
struct Fragile(Arc<Shared>);

struct FragileInstance(usize, Arc<Shared>);

impl Model for Fragile {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let index = spec.index;
        let before = self.0.made[index].fetch_add(1, Ordering::SeqCst);
        if before > 0 && self.0.cannot_be_made[index].load(Ordering::SeqCst) {
            return Err(Error::unavailable(format!("{index} cannot be made")));
        }
        if before > 0 {
            self.0.is_lost[index].store(false, Ordering::SeqCst);
        }
        Ok(NewInstance::bound(FragileInstance(index, Arc::clone(&self.0))))
    }
}

impl ModelInstance for FragileInstance {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            assert!(!self.1.is_lost[self.0].load(Ordering::SeqCst), "a lost instance is not asked");
            self.1.executed[self.0].fetch_add(1, Ordering::SeqCst);
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }

    fn lost(&self) -> Option<Error> {
        self.1.is_lost[self.0]
            .load(Ordering::SeqCst)
            .then(|| Error::unavailable(format!("{} is lost", self.0)))
    }
}

/// The answers to requests that are sent one after the other.
fn ask(scheduler: &Scheduler, count: usize) -> Vec<Result<()>> {
    let one = |id| {
        let (request, receiver) = Like { id, ..Like::default() }.make();
        scheduler.enqueue(request).unwrap();
        block_on(receiver.only()).map(drop)
    };
    (0..count).map(one).collect()
}

fn start(shared: &Arc<Shared>, instances: usize) -> (Scheduler, Stopped) {
    let model: Arc<dyn Model> = Arc::new(Fragile(Arc::clone(shared)));
    Scheduler::start(&model, plans(instances, None), settings(false, Duration::ZERO, None)).unwrap()
}

#[test]
fn a_lost_instance_is_made_anew_and_then_answers() {
    let shared = Arc::<Shared>::default();
    let (scheduler, stopped) = start(&shared, 1);
    assert!(ask(&scheduler, 3).iter().all(Result::is_ok));
    // It sleeps when it is lost: the request that wakes it is executed.
    shared.is_lost[0].store(true, Ordering::SeqCst);
    assert!(ask(&scheduler, 3).iter().all(Result::is_ok));
    assert_eq!(shared.made[0].load(Ordering::SeqCst), 2);
    drop(scheduler);
    block_on(stopped.wait());
}

#[test]
fn one_that_cannot_be_made_anew_leaves_the_requests_to_the_other() {
    let shared = Arc::<Shared>::default();
    shared.cannot_be_made[0].store(true, Ordering::SeqCst);
    shared.is_lost[0].store(true, Ordering::SeqCst);
    let (scheduler, stopped) = start(&shared, 2);
    // It finds out before it takes its first request.
    let deadline = Instant::now() + Duration::from_mins(1);
    while shared.made[0].load(Ordering::SeqCst) < 2 {
        thread::yield_now();
        assert!(Instant::now() < deadline, "nobody tried to make it anew");
    }
    assert!(ask(&scheduler, 200).iter().all(Result::is_ok));
    assert_eq!(shared.executed.each_ref().map(|count| count.load(Ordering::SeqCst)), [0, 200]);
    // It comes back once it can be made.
    shared.cannot_be_made[0].store(false, Ordering::SeqCst);
    while shared.executed[0].load(Ordering::SeqCst) == 0 {
        assert!(ask(&scheduler, 1)[0].is_ok());
        assert!(Instant::now() < deadline, "it does not come back");
    }
    drop(scheduler);
    block_on(stopped.wait());
}

#[test]
fn if_none_can_be_made_every_request_is_answered_with_the_reason_at_once() {
    let shared = Arc::<Shared>::default();
    for index in 0..2 {
        shared.cannot_be_made[index].store(true, Ordering::SeqCst);
        shared.is_lost[index].store(true, Ordering::SeqCst);
    }
    let (scheduler, stopped) = start(&shared, 2);
    for answer in ask(&scheduler, 100) {
        let error = answer.unwrap_err();
        assert!(error.message().ends_with(" cannot be made"), "{error}");
    }
    let tried: usize = shared.made.iter().map(|made| made.load(Ordering::SeqCst)).sum();
    assert!(tried < 50, "there are pauses between the attempts: {tried}");
    // A scheduler that ends does not wait for a pause.
    let (ended, end) = channel();
    drop(scheduler);
    thread::spawn(move || {
        block_on(stopped.wait());
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_mins(1)).unwrap();
}

/// What the test and instances share that stay in an execution.
#[derive(Default)]
struct Stuck {
    made: AtomicUsize,
    dropped: AtomicUsize,
    /// What the last instance was given to call.
    calls: Mutex<Option<LossCalls>>,
    /// An execution waits here if it is the first of the first instance.
    until: Mutex<Option<Receiver<()>>>,
    /// The first execution has answered, and waits.
    waits: Mutex<Option<Sender<()>>>,
}

impl std::fmt::Debug for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stuck")
    }
}

#[derive(Debug)]
struct StuckModel(Arc<Stuck>);

struct StuckInstance(Arc<Stuck>);

impl Model for StuckModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        Ok(NewInstance::bound(StuckInstance(Arc::clone(&self.0))))
    }
}

impl ModelInstance for StuckInstance {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
        let until = self.0.until.lock().unwrap().take();
        if let Some(until) = until {
            self.0.waits.lock().unwrap().take().unwrap().send(()).unwrap();
            until.recv().unwrap();
        }
    }

    fn when_lost(&mut self, calls: LossCalls) {
        *self.0.calls.lock().unwrap() = Some(calls);
    }
}

impl Drop for StuckInstance {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_execution_that_never_returns_keeps_neither_its_instance_nor_the_end_of_the_scheduler() {
    for is_limited in [false, true] {
        let limiter = is_limited.then(|| crate::RateLimiter::new(vec![]));
        let shared = Arc::<Stuck>::default();
        let (returns, until) = channel();
        let (waits, waiting) = channel();
        *shared.until.lock().unwrap() = Some(until);
        *shared.waits.lock().unwrap() = Some(waits);
        let model: Arc<dyn Model> = Arc::new(StuckModel(Arc::clone(&shared)));
        let plans = plans(1, limiter.as_ref());
        let (scheduler, stopped) =
            Scheduler::start(&model, plans, settings(false, Duration::ZERO, None)).unwrap();
        // The instance gets them on its own thread, once it is made.
        let calls = || {
            let deadline = Instant::now() + Duration::from_mins(1);
            loop {
                if let Some(calls) = shared.calls.lock().unwrap().clone() {
                    return calls;
                }
                assert!(Instant::now() < deadline, "the instance is told how to call");
                thread::yield_now();
            }
        };
        let lost = || Error::unavailable("its process has ended");
        assert!(!(calls().stuck)(lost()), "nothing is executed");
        assert!(ask(&scheduler, 1)[0].is_ok());
        waiting.recv_timeout(Duration::from_mins(1)).unwrap();
        let first = calls();
        assert!((first.stuck)(lost()));
        assert!(!(first.stuck)(lost()), "its thread has been left alone");
        assert!(ask(&scheduler, 10).iter().all(Result::is_ok));
        assert_eq!(shared.made.load(Ordering::SeqCst), 2);
        assert_eq!(scheduler.lost_instances(), 0);
        drop(scheduler);
        block_on(stopped.wait());
        assert_eq!(shared.dropped.load(Ordering::SeqCst), 1, "the first is still in its execution");
        returns.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while shared.dropped.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
            assert!(Instant::now() < deadline, "what returned late is dropped");
        }
    }
}

#[test]
fn an_instance_that_gets_no_other_thread_answers_with_the_reason_until_it_gets_one() {
    let shared = Arc::<Stuck>::default();
    let (returns, until) = channel();
    let (waits, waiting) = channel();
    *shared.until.lock().unwrap() = Some(until);
    *shared.waits.lock().unwrap() = Some(waits);
    let model: Arc<dyn Model> = Arc::new(StuckModel(Arc::clone(&shared)));
    let mut plans = plans(1, None);
    plans[0].spec.name = "gets_no_thread".to_owned();
    let (scheduler, stopped) =
        Scheduler::start(&model, plans, settings(false, Duration::ZERO, None)).unwrap();
    assert!(ask(&scheduler, 1)[0].is_ok());
    waiting.recv_timeout(Duration::from_mins(1)).unwrap();
    let calls = shared.calls.lock().unwrap().clone().unwrap();
    REFUSED.lock().push("gets_no_thread".to_owned());
    let (request, waits) = Like::default().make();
    scheduler.enqueue(request).unwrap();
    assert!((calls.stuck)(Error::unavailable("its process has ended")));
    let refused = |error: &Error| {
        assert!(
            error.message().starts_with("no thread could be started for instance 'gets_no_thread'"),
            "{error}"
        );
    };
    refused(&block_on(waits.only()).unwrap_err());
    refused(&scheduler.lost().unwrap());
    // Those that come later are answered as well.
    for answer in ask(&scheduler, 2) {
        refused(&answer.unwrap_err());
    }
    REFUSED.lock().clear();
    let deadline = Instant::now() + Duration::from_mins(1);
    while ask(&scheduler, 1)[0].is_err() {
        assert!(Instant::now() < deadline, "it goes on once there is a thread");
    }
    assert!(scheduler.lost().is_none());
    drop(scheduler);
    block_on(stopped.wait());
    returns.send(()).unwrap();
}
