//! Instances that have no thread while there is nothing to do.

use std::collections::HashSet;
use std::thread::ThreadId;
use std::time::Instant;

use hippocamp_backend::ResponseReceiver;

use super::*;

/// Notes the threads of its executions and how many instances exist. A request whose id is in `panics` is not survived.
#[derive(Clone, Debug, Default)]
struct Noted {
    threads: Arc<Mutex<Vec<ThreadId>>>,
    made: Arc<Mutex<Vec<ThreadId>>>,
    alive: Arc<()>,
    panics: HashSet<usize>,
    stays: bool,
}

impl Model for Noted {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        self.made.lock().unwrap().push(thread::current().id());
        let instance = self.clone();
        Ok(if self.stays { NewInstance::bound(instance) } else { NewInstance::movable(instance) })
    }
}

impl ModelInstance for Noted {
    fn execute(&mut self, batch: &mut Batch) {
        self.threads.lock().unwrap().push(thread::current().id());
        assert!(!batch.iter().any(|request| self.panics.contains(&id(request))), "told to");
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

impl Noted {
    fn start(&self, plans: Vec<InstancePlan>, queue: QueueSettings) -> (Scheduler, Stopped) {
        Scheduler::start(&self.shared(), plans, queue).unwrap()
    }

    fn shared(&self) -> Arc<dyn Model> {
        Arc::new(self.clone())
    }

    /// How many instances exist: the model and the one of the test are no instances.
    fn wait_until_alive(&self, besides: usize, count: usize) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while Arc::strong_count(&self.alive) != besides + count {
            assert!(Instant::now() < deadline, "{}", Arc::strong_count(&self.alive));
            thread::yield_now();
        }
    }
}

fn send(scheduler: &Scheduler, id: usize) -> ResponseReceiver {
    let (request, receiver) = Like { id, ..Like::default() }.make();
    scheduler.enqueue(request).unwrap();
    receiver
}

/// Waits until so many instances have no thread.
fn wait_until_parked(scheduler: &Scheduler, count: usize) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while scheduler.batcher.parked_instances().parked() != count {
        assert!(Instant::now() < deadline, "{} are parked", scheduler.batcher.parked_instances().parked());
        thread::yield_now();
    }
}

/// The ways in which instances execute.
fn kinds() -> [(&'static str, Vec<InstancePlan>, QueueSettings); 4] {
    let limiter = crate::RateLimiter::new(vec![]);
    let batched = || settings(false, Duration::ZERO, None);
    [
        ("inline", plans(2, None), QueueSettings::single()),
        ("batched", plans(2, None), batched()),
        ("ordered", plans(2, None), settings(true, Duration::ZERO, None)),
        ("limited", plans(2, Some(&limiter)), batched()),
    ]
}

#[test]
fn an_instance_has_a_thread_while_it_has_something_to_do() {
    for (kind, plans, queue) in kinds() {
        let noted = Noted::default();
        let (scheduler, stopped) = noted.start(plans, queue);
        for round in 0..3 {
            wait_until_parked(&scheduler, 2);
            let receivers: Vec<_> = (0..10).map(|id| send(&scheduler, id)).collect();
            for receiver in receivers {
                block_on(receiver.only()).unwrap_or_else(|error| panic!("{kind}, {round}: {error}"));
            }
        }
        assert_eq!(noted.made.lock().unwrap().len(), 2, "{kind}: they are not made anew");
        drop(scheduler);
        block_on(stopped.wait());
        noted.wait_until_alive(1, 0);
    }
}

#[test]
fn parked_instances_end_with_their_scheduler() {
    let noted = Noted::default();
    let (scheduler, stopped) = noted.start(plans(3, None), QueueSettings::single());
    wait_until_parked(&scheduler, 3);
    drop(scheduler);
    block_on(stopped.wait());
    noted.wait_until_alive(1, 0);
    assert!(noted.threads.lock().unwrap().is_empty());
}

#[test]
fn parked_instances_are_handed_over() {
    let noted = Noted::default();
    let (first, first_stopped) = noted.start(plans(2, None), QueueSettings::single());
    let first = Arc::new(first);
    wait_until_parked(&first, 2);
    let (second, stopped) = Scheduler::prepare_handover(
        &first,
        &noted.shared(),
        plans(3, None),
        settings(true, Duration::ZERO, None),
    )
    .unwrap();
    wait_until_parked(&second, 1);
    second.take_over();
    block_on(first_stopped.wait());
    wait_until_parked(&second, 3);
    block_on(send(&second, 0).only()).unwrap();
    assert_eq!(noted.made.lock().unwrap().len(), 3);
    drop((first, second));
    block_on(stopped.wait());
    noted.wait_until_alive(1, 0);
}

#[test]
fn a_panic_ends_no_thread_for_good() {
    for (kind, plans, queue) in kinds() {
        let noted = Noted { panics: (0..10).collect(), ..Noted::default() };
        let (scheduler, stopped) = noted.start(plans, queue);
        for id in 0..4 {
            block_on(send(&scheduler, id).only()).unwrap_err();
            block_on(send(&scheduler, 100).only()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
        wait_until_parked(&scheduler, 2);
        drop(scheduler);
        block_on(stopped.wait());
    }
}

#[test]
fn an_instance_that_stays_on_its_thread_never_parks() {
    let noted = Noted { stays: true, ..Noted::default() };
    let (scheduler, _stopped) = noted.start(plans(1, None), QueueSettings::single());
    let Batcher::Dynamic(queue) = &*scheduler.batcher else { panic!("a queue") };
    for id in 0..100 {
        block_on(send(&scheduler, id).only()).unwrap();
    }
    let made = noted.made.lock().unwrap().clone();
    assert!(noted.threads.lock().unwrap().iter().all(|thread| *thread == made[0]));
    // Longer than others linger: it waits without an end.
    let deadline = Instant::now() + crate::queue::IDLE_TIME * 2;
    while Instant::now() < deadline {
        thread::yield_now();
    }
    assert_eq!((queue.asleep(), scheduler.batcher.parked_instances().parked()), (1, 0));
}

#[test]
fn who_comes_while_an_instance_parks_is_not_forgotten() {
    let noted = Noted::default();
    let (scheduler, _stopped) = noted.start(plans(1, None), settings(false, Duration::ZERO, None));
    let begin = Instant::now();
    // The pauses are about as long as an instance lingers.
    for id in 0..20 {
        let pause = crate::queue::IDLE_TIME.mul_f64(0.9 + f64::from(id % 5) * 0.05);
        if begin.elapsed() < crate::queue::IDLE_TIME * 6 {
            thread::park_timeout(pause);
        }
        block_on(send(&scheduler, 0).only()).unwrap();
    }
}
