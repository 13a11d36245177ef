//! Executions that go on after the instance's call has returned.

use std::sync::mpsc::{Receiver, Sender, channel};

use hippocamp_backend::{Code, LateBatch, ResponseReceiver};

use super::*;

/// Hands each batch to the test, which answers it.
#[derive(Debug)]
struct Late {
    batches: Mutex<Sender<LateBatch>>,
    made: Arc<Mutex<usize>>,
    /// Panics once it has handed a batch over to itself.
    keeps: bool,
}

struct LateInstance {
    batches: Sender<LateBatch>,
    kept: Vec<LateBatch>,
    keeps: bool,
}

impl Model for Late {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        *self.made.lock().unwrap() += 1;
        let batches = self.batches.lock().unwrap().clone();
        Ok(NewInstance::bound(LateInstance { batches, kept: Vec::new(), keeps: self.keeps }))
    }
}

impl ModelInstance for LateInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let late = batch.finish_later();
        assert!(batch.is_empty());
        if self.keeps {
            self.kept.push(late);
            panic!("told to");
        }
        self.batches.send(late).unwrap();
    }
}

/// Instances whose batches come to the test.
struct Bench {
    scheduler: Scheduler,
    stopped: Stopped,
    batches: Receiver<LateBatch>,
    made: Arc<Mutex<usize>>,
}

impl Bench {
    fn start(instances: usize, limiter: Option<&Arc<crate::RateLimiter>>) -> Bench {
        Bench::start_with(instances, limiter, false)
    }

    fn start_with(instances: usize, limiter: Option<&Arc<crate::RateLimiter>>, keeps: bool) -> Bench {
        let (sender, batches) = channel();
        let made = Arc::<Mutex<usize>>::default();
        let late = Late { batches: Mutex::new(sender), made: Arc::clone(&made), keeps };
        let model: Arc<dyn Model> = Arc::new(late);
        let plans = plans(instances, limiter);
        let (scheduler, stopped) = Scheduler::start(&model, plans, QueueSettings::single()).unwrap();
        Bench { scheduler, stopped, batches, made }
    }

    fn send(&self, id: usize) -> ResponseReceiver {
        let (request, receiver) = Like { id, ..Like::default() }.make();
        self.scheduler.enqueue(request).unwrap();
        receiver
    }

    fn made(&self) -> usize {
        *self.made.lock().unwrap()
    }

    /// Gives threads a chance to do what they must not do.
    fn nothing_is_executed(&self) {
        for _ in 0..1000 {
            thread::yield_now();
        }
        assert!(self.batches.try_recv().is_err(), "the instance was given another batch");
    }
}

fn answer(mut batch: LateBatch) {
    for request in batch.drain(..) {
        request.succeed(Response::default(), &ExecutionTimes::now());
    }
}

fn failed(receiver: ResponseReceiver) -> Error {
    block_on(receiver.only()).unwrap_err()
}

#[test]
fn an_instance_is_held_until_its_batch_is_complete() {
    let bench = Bench::start(1, None);
    let receivers = [bench.send(0), bench.send(1)];
    let mut first = bench.batches.recv().unwrap();
    assert_eq!((first.len(), id(&first[0])), (1, 0));
    bench.nothing_is_executed();
    // Nor is it free when the requests are answered, as long as somebody has the batch.
    for request in first.drain(..) {
        request.succeed(Response::default(), &ExecutionTimes::now());
    }
    bench.nothing_is_executed();
    assert_eq!(bench.scheduler.pending(), 1);
    drop(first);
    let second = bench.batches.recv().unwrap();
    assert_eq!(id(&second[0]), 1);
    answer(second);
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
    assert_eq!(bench.made(), 1);
}

#[test]
fn resources_follow_the_batch() {
    let limiter = crate::RateLimiter::new(vec![]);
    // One resource, which both instances need.
    let bench = Bench::start(2, Some(&limiter));
    let receivers: Vec<_> = (0..6).map(|id| bench.send(id)).collect();
    for _ in 0..6 {
        let batch = bench.batches.recv().unwrap();
        bench.nothing_is_executed();
        answer(batch);
    }
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
}

#[test]
fn what_is_dropped_without_an_answer_fails_and_the_next_batch_comes() {
    let bench = Bench::start(1, None);
    let receivers = [bench.send(0), bench.send(1)];
    drop(bench.batches.recv().unwrap());
    answer(bench.batches.recv().unwrap());
    let [first, second] = receivers;
    assert_eq!(failed(first).code(), Code::Internal);
    block_on(second.only()).unwrap();
    assert_eq!(bench.made(), 1, "forgetting an answer costs no instance");
}

#[test]
fn a_panic_elsewhere_fails_the_batch_and_the_instance_is_made_anew() {
    let bench = Bench::start(1, None);
    let receivers = [bench.send(0), bench.send(1)];
    let batch = bench.batches.recv().unwrap();
    let finishing = thread::spawn(move || {
        let _batch = batch;
        panic!("told to");
    });
    finishing.join().unwrap_err();
    answer(bench.batches.recv().unwrap());
    let [first, second] = receivers;
    let error = failed(first);
    assert_eq!(error.message(), "the backend of instance 'script_0' panicked: while it finished a batch");
    block_on(second.only()).unwrap();
    assert_eq!(bench.made(), 2);
}

#[test]
fn a_panic_of_an_instance_that_keeps_its_batch_holds_up_nobody() {
    let bench = Bench::start_with(1, None, true);
    for round in 0..2 {
        let receiver = bench.send(round);
        assert_eq!(failed(receiver).code(), Code::Internal);
    }
    drop(bench.scheduler);
    block_on(bench.stopped.wait());
    assert!(*bench.made.lock().unwrap() >= 2);
}

#[test]
fn a_cancelled_request_is_seen_by_whoever_has_the_batch() {
    let bench = Bench::start(1, None);
    let receiver = bench.send(0);
    let batch = bench.batches.recv().unwrap();
    assert!(!batch[0].is_cancelled());
    drop(receiver);
    assert!(batch[0].is_cancelled());
}

#[test]
fn a_scheduler_that_ends_waits_for_what_goes_on() {
    let bench = Bench::start(1, None);
    let receivers = [bench.send(0), bench.send(1)];
    let first = bench.batches.recv().unwrap();
    drop(bench.scheduler);
    let mut stopped = std::pin::pin!(bench.stopped.wait());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        assert!(stopped.as_mut().poll(&mut context).is_pending());
        thread::yield_now();
    }
    answer(first);
    let second = bench.batches.recv().unwrap();
    assert!(stopped.as_mut().poll(&mut context).is_pending());
    answer(second);
    block_on(stopped);
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
}
