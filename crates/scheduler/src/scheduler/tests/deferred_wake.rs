//! Requests that are queued before an instance is woken for them.

use std::time::Instant;

use hippocamp_backend::{DeferredWake, ResponseReceiver};

use super::*;
use crate::batcher::Batcher;

/// Tells how large each batch was.
#[derive(Clone, Debug, Default)]
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl Model for Sizes {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(self.clone()))
    }
}

impl ModelInstance for Sizes {
    fn execute(&mut self, batch: &mut Batch) {
        self.0.lock().unwrap().push(batch.len());
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

fn queue(scheduler: &Scheduler) -> (ResponseReceiver, Option<DeferredWake>) {
    let (request, receiver) = Like::default().make();
    (receiver, scheduler.execute_or_enqueue(request).unwrap())
}

/// A request for which an instance has to be woken: all of them sleep, so that none takes it before.
fn first(scheduler: &Scheduler) -> (ResponseReceiver, DeferredWake) {
    let Batcher::Dynamic(waiting) = &*scheduler.batcher else { panic!("a dynamic batcher") };
    let deadline = Instant::now() + Duration::from_mins(1);
    while waiting.asleep() < scheduler.places.len() {
        assert!(Instant::now() < deadline, "not all instances went to sleep");
        std::thread::yield_now();
    }
    let (receiver, wake) = queue(scheduler);
    (receiver, wake.expect("an instance sleeps"))
}

fn start(instances: usize) -> (Sizes, Scheduler, Stopped) {
    let sizes = Sizes::default();
    let model: Arc<dyn Model> = Arc::new(sizes.clone());
    let queue = settings(false, Duration::ZERO, None);
    let (scheduler, stopped) = Scheduler::start(&model, plans(instances, None), queue).unwrap();
    (sizes, scheduler, stopped)
}

#[test]
fn what_is_queued_before_the_wake_is_one_batch() {
    let (sizes, scheduler, _stopped) = start(1);
    let (receiver, wake) = first(&scheduler);
    let (second, none) = queue(&scheduler);
    assert!(none.is_none(), "one wake is enough");
    assert_eq!(scheduler.pending(), 2);
    drop(wake);
    block_on(async {
        receiver.only().await.unwrap();
        second.only().await.unwrap();
    });
    assert_eq!(sizes.0.lock().unwrap().last(), Some(&2));
}

#[test]
fn a_full_batch_waits_for_no_deferred_wake() {
    let (sizes, scheduler, _stopped) = start(2);
    let (receiver, wake) = first(&scheduler);
    let others: Vec<_> = (1..MAX).map(|_| queue(&scheduler)).collect();
    block_on(receiver.only()).unwrap();
    for (receiver, none) in others {
        block_on(receiver.only()).unwrap();
        assert!(none.is_none());
    }
    assert_eq!(sizes.0.lock().unwrap().last(), Some(&MAX));
    drop(wake);
}

#[test]
fn a_deferred_wake_is_never_lost() {
    let (_, scheduler, stopped) = start(1);
    let (mut receiver, wake) = first(&scheduler);
    let (other, _) = queue(&scheduler);
    receiver.wake_when_waiting(Some(wake));
    drop(receiver);
    block_on(other.only()).unwrap();
    // And the end of the scheduler needs none.
    let (receiver, wake) = first(&scheduler);
    drop(scheduler);
    block_on(receiver.only()).unwrap();
    block_on(stopped.wait());
    drop(wake);
}

#[test]
fn who_queues_for_good_need_not_ring() {
    let (_, scheduler, _stopped) = start(1);
    let (request, receiver) = Like::default().make();
    scheduler.enqueue(request).unwrap();
    block_on(receiver.only()).unwrap();
}
