use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use hippocamp_backend::{Batch, ResponseReceiver};
use proptest::prelude::*;

use super::*;
use crate::kit::{Like, block_on, interface};
use crate::policy::BatchPolicy;
use crate::queue_policy::{LevelPolicy, Overdue, QueuePolicies};

/// A request with `batch` rows of `width` bytes, or without its optional input if there is no width.
fn request(id: usize, batch: usize, width: Option<i64>) -> (Request, ResponseReceiver) {
    Like { id, batch, width, ..Like::default() }.make()
}

fn dynamic(max: usize, preferred: &[usize], delay: Duration) -> Queue {
    let batching = BatchPolicy::dynamic(max, preferred.to_vec(), delay, &interface(max as u32));
    Queue::new(QueueSettings { batching, ..QueueSettings::single() })
}

fn sizes(queue: &Queue) -> Vec<usize> {
    let mut batch = Batch::new();
    let mut sizes = Vec::new();
    while queue.pull(&mut batch) {
        sizes.push(batch.drain(..).map(|r| r.batch_size).sum());
    }
    sizes
}

/// Queues requests of these sizes and closes, so that pulling ends.
fn filled(queue: &Queue, batches: &[usize]) -> Vec<ResponseReceiver> {
    let queued = batches.iter().enumerate().map(|(i, &batch)| {
        let (request, receiver) = request(i, batch, Some(4));
        queue.push(request).unwrap();
        receiver
    });
    let receivers = queued.collect();
    queue.close();
    receivers
}

#[test]
fn the_default_scheduler_executes_requests_alone() {
    let queue = Queue::new(QueueSettings::single());
    let _receivers = filled(&queue, &[1, 3, 1]);
    assert_eq!(sizes(&queue), [1, 3, 1]);
}

#[test]
fn what_waits_makes_one_batch() {
    let queue = dynamic(8, &[8], Duration::from_hours(1));
    let _receivers = filled(&queue, &[1, 3, 2]);
    assert_eq!(sizes(&queue), [6]);
}

#[test]
fn a_batch_never_exceeds_its_maximum() {
    let queue = dynamic(4, &[4], Duration::ZERO);
    let _receivers = filled(&queue, &[3, 2, 2, 4, 1]);
    assert_eq!(sizes(&queue), [3, 4, 4, 1]);
}

#[test]
fn a_preferred_size_is_executed_without_waiting_for_more() {
    let queue = dynamic(8, &[4], Duration::from_hours(1));
    let (requests, _receivers): (Vec<_>, Vec<_>) = (0..5).map(|i| request(i, 1, Some(4))).unzip();
    for request in requests {
        queue.push(request).unwrap();
    }
    let mut batch = Batch::new();
    assert!(queue.pull(&mut batch));
    assert_eq!(batch.len(), 4);
}

#[test]
fn an_incomplete_batch_is_executed_when_its_oldest_request_has_waited_long_enough() {
    let queue = dynamic(8, &[8], Duration::from_millis(5));
    let (request, _receiver) = request(0, 1, Some(4));
    let queued = request.queued;
    queue.push(request).unwrap();
    let mut batch = Batch::new();
    assert!(queue.pull(&mut batch));
    assert_eq!(batch.len(), 1);
    assert!(queued.elapsed() >= Duration::from_millis(5));
}

#[test]
fn a_full_batch_does_not_wait() {
    let queue = dynamic(2, &[2], Duration::from_hours(1));
    let (requests, _receivers): (Vec<_>, Vec<_>) = (0..3).map(|i| request(i, 1, Some(4))).unzip();
    for request in requests {
        queue.push(request).unwrap();
    }
    let mut batch = Batch::new();
    assert!(queue.pull(&mut batch), "with an hour's delay this would hang if it waited");
    assert_eq!(batch.len(), 2);
}

#[test]
fn two_idle_instances_share_the_work() {
    let queue = Arc::new(dynamic(1, &[1], Duration::ZERO));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || sizes(&queue).len())
        })
        .collect();
    let _receivers = filled(&queue, &[1; 100]);
    assert_eq!(threads.into_iter().map(|t| t.join().unwrap()).sum::<usize>(), 100);
}

#[test]
fn a_request_whose_client_is_gone_is_not_executed() {
    let queue = dynamic(8, &[8], Duration::ZERO);
    let mut receivers = filled(&queue, &[1, 2, 4]);
    drop(receivers.remove(0));
    assert_eq!(sizes(&queue), [6]);
}

#[test]
fn a_closed_queue_takes_no_more() {
    let queue = Queue::new(QueueSettings::single());
    queue.close();
    let (request, _receiver) = request(0, 1, None);
    assert!(queue.push(request).is_err());
}

/// A queue that the clock calls.
fn called(settings: QueueSettings) -> Arc<Queue> {
    let queue = Arc::new(Queue::new(settings));
    let owner: Weak<Queue> = Arc::downgrade(&queue);
    queue.owned_by(owner, watch::Sender::new(()));
    queue
}

/// A queue whose requests may wait that long.
fn timed(default: LevelPolicy) -> Arc<Queue> {
    let policies = QueuePolicies { default, ..QueuePolicies::default() };
    called(QueueSettings { policies, ..QueueSettings::single() })
}

#[test]
fn a_late_request_is_answered_though_no_instance_looks() {
    let timeout = Some(Duration::from_millis(5));
    let queue = timed(LevelPolicy { default_timeout: timeout, ..LevelPolicy::default() });
    for _ in 0..2 {
        let (request, receiver) = request(0, 1, None);
        queue.push(request).unwrap();
        assert_eq!(block_on(receiver.only()).unwrap_err().message(), "Request timeout expired");
    }
    assert!(queue.is_empty());
    queue.close();
}

#[test]
fn an_earlier_deadline_is_called_earlier() {
    let policy = LevelPolicy {
        default_timeout: Some(Duration::from_hours(1)),
        allow_timeout_override: true,
        ..LevelPolicy::default()
    };
    let queue = timed(policy);
    let (patient, _receiver) = request(0, 1, None);
    queue.push(patient).unwrap();
    let hurry = Like { timeout: Some(Duration::from_millis(1)), ..Like::default() };
    let (request, receiver) = hurry.make();
    queue.push(request).unwrap();
    assert_eq!(block_on(receiver.only()).unwrap_err().message(), "Request timeout expired");
    assert_eq!(queue.len(), 1);
    queue.close();
    let mut batch = Batch::new();
    assert!(queue.pull(&mut batch));
    batch.clear();
    assert!(!queue.pull(&mut batch));
}

#[test]
fn only_for_what_may_be_late_the_clock_calls() {
    let is_called = |policy: LevelPolicy| {
        let queue = timed(policy);
        let (request, _receiver) = Like { timeout: Some(Duration::from_hours(1)), ..Like::default() }.make();
        queue.push(request).unwrap();
        queue.state.lock().called_at.is_some()
    };
    let timeout = Some(Duration::from_mins(1));
    assert!(!is_called(LevelPolicy::default()));
    assert!(!is_called(LevelPolicy { max_queue_size: Some(1), ..LevelPolicy::default() }));
    assert!(is_called(LevelPolicy { default_timeout: timeout, ..LevelPolicy::default() }));
    assert!(is_called(LevelPolicy { allow_timeout_override: true, ..LevelPolicy::default() }));
    let overdue = Overdue::Delay;
    assert!(!is_called(LevelPolicy { overdue, ..LevelPolicy::default() }));
    assert!(is_called(LevelPolicy { default_timeout: timeout, overdue, ..LevelPolicy::default() }));
    assert!(is_called(LevelPolicy { allow_timeout_override: true, overdue, ..LevelPolicy::default() }));
}

#[test]
fn many_requests_with_one_timeout_ask_for_one_call() {
    let timeout = Some(Duration::from_hours(1));
    let queue = timed(LevelPolicy { default_timeout: timeout, ..LevelPolicy::default() });
    let mut batch = Batch::new();
    let mut calls = Vec::new();
    for id in 0..10 {
        let (request, _receiver) = request(id, 1, None);
        queue.push(request).unwrap();
        calls.push(queue.state.lock().called_at.unwrap());
        assert!(queue.pull(&mut batch));
        batch.clear();
    }
    assert!(calls.iter().all(|at| *at == calls[0]), "it is called once, and then looks for the next");
    assert_eq!(queue.called(calls[0]), None);
    assert_eq!(queue.state.lock().called_at, None);
}

/// What an instance executes that waits for a preferred size of 4 or 16, when a request of 3 entries in front of one of 4
/// has waited too long.
fn executed_without_the_first(overdue: Overdue) -> (usize, usize) {
    let policy = LevelPolicy { overdue, allow_timeout_override: true, ..LevelPolicy::default() };
    let queue = called(QueueSettings {
        batching: BatchPolicy::dynamic(16, vec![4, 16], Duration::from_hours(1), &interface(16)),
        policies: QueuePolicies { default: policy, ..QueuePolicies::default() },
        ..QueueSettings::single()
    });
    let instance = Arc::clone(&queue);
    let (pulled, pulls) = mpsc::channel();
    let instance = thread::spawn(move || {
        let mut batch = Batch::new();
        instance.pull(&mut batch);
        pulled.send(batch.iter().map(|request| request.batch_size).collect::<Vec<_>>()).unwrap();
    });
    let (hurry, _first) =
        Like { batch: 3, timeout: Some(Duration::from_millis(20)), ..Like::default() }.make();
    queue.push(hurry).unwrap();
    let (patient, _second) = Like { batch: 4, ..Like::default() }.make();
    queue.push(patient).unwrap();
    let executed = pulls.recv_timeout(Duration::from_mins(1)).expect("it would wait for an hour");
    assert_eq!(executed, [4]);
    instance.join().unwrap();
    let left = queue.len();
    queue.close();
    sizes(&queue);
    (executed.len(), left)
}

#[test]
fn an_instance_that_waits_for_a_batch_is_called_when_a_late_request_makes_way_for_one() {
    assert_eq!(executed_without_the_first(Overdue::Delay), (1, 1));
    assert_eq!(executed_without_the_first(Overdue::Reject), (1, 0));
}

#[test]
fn a_batch_that_is_looked_at_stays_and_grows() {
    let queue = dynamic(4, &[4], Duration::ZERO);
    assert!(!queue.has_batch());
    let _first = filled_open(&queue, 1);
    assert_eq!(queue.wait(Puller::ANY), Pulled::Batch(()));
    assert!(queue.has_batch());
    let _more = filled_open(&queue, 4);
    let mut batch = Batch::new();
    assert!(queue.try_pull(&mut batch));
    assert_eq!((batch.len(), queue.len()), (4, 1));
    batch.clear();
    assert!(queue.try_pull(&mut batch));
    assert!(!queue.try_pull(&mut Batch::new()) && !queue.has_batch());
    queue.close();
    assert_eq!(queue.wait(Puller::ANY), Pulled::Closed);
}

#[test]
fn an_incomplete_batch_is_none_yet() {
    let queue = dynamic(4, &[4], Duration::from_hours(1));
    let _receivers = filled_open(&queue, 3);
    assert!(!queue.has_batch() && !queue.try_pull(&mut Batch::new()));
    let _last = filled_open(&queue, 1);
    assert!(queue.has_batch());
}

/// Queues so many requests.
fn filled_open(queue: &Queue, count: usize) -> Vec<ResponseReceiver> {
    let (requests, receivers): (Vec<_>, Vec<_>) = (0..count).map(|id| request(id, 1, Some(4))).unzip();
    for request in requests {
        queue.push(request).unwrap();
    }
    receivers
}

#[test]
fn an_instance_that_waits_for_a_batch_is_called_when_it_is_there() {
    let mut uniform = (*interface(4)).clone();
    uniform.inputs.clear();
    let batching = BatchPolicy::dynamic(4, vec![4], Duration::from_hours(1), &uniform.into());
    let queue = Arc::new(Queue::new(QueueSettings { batching, ..QueueSettings::single() }));
    let instance = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || {
            let mut batch = Batch::new();
            queue.pull(&mut batch);
            batch.len()
        })
    };
    let mut receivers = Vec::new();
    for id in 0..4 {
        let (request, receiver) = request(id, 1, Some(4));
        queue.push(request).unwrap();
        receivers.push(receiver);
    }
    assert_eq!(instance.join().unwrap(), 4, "it would sleep for an hour");
}

#[test]
fn a_full_queue_answers_at_once() {
    let policies = QueuePolicies {
        default: LevelPolicy { max_queue_size: Some(1), ..LevelPolicy::default() },
        ..QueuePolicies::default()
    };
    let queue = Queue::new(QueueSettings { policies, ..QueueSettings::single() });
    let (first, _receiver) = request(0, 1, None);
    queue.push(first).unwrap();
    let (second, receiver) = request(1, 1, None);
    queue.push(second).unwrap();
    let error = block_on(receiver.only()).unwrap_err();
    assert_eq!(error.message(), "[request id: 1] Exceeds maximum queue size");
    assert_eq!(queue.depths().cumulative().take(2).map(|(_, n)| n).collect::<Vec<_>>(), [1, 2]);
}

proptest! {
    #[test]
    fn every_request_is_executed_once_in_order_with_its_like(
        max in 1usize..10,
        preferred in prop::collection::vec(1usize..10, 0..3),
        requests in prop::collection::vec((1usize..10, prop::option::of(1i64..3)), 0..40),
    ) {
        let queue = dynamic(max, &preferred, Duration::ZERO);
        let mut receivers = Vec::new();
        for (i, (batch, width)) in requests.iter().enumerate() {
            let (request, receiver) = request(i, (*batch).min(max), *width);
            queue.push(request).unwrap();
            receivers.push(receiver);
        }
        queue.close();
        let mut batch = Batch::new();
        let mut seen = 0;
        while queue.pull(&mut batch) {
            prop_assert!(!batch.is_empty());
            prop_assert!(batch.iter().map(|r| r.batch_size).sum::<usize>() <= max);
            let shape = |r: &Request| r.inputs[0].as_ref().map(|t| t.shape[1]);
            let first = shape(&batch[0]);
            for request in batch.drain(..) {
                prop_assert_eq!(&**request.id(), seen.to_string());
                prop_assert_eq!(shape(&request), first);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, requests.len());
    }
}

#[test]
fn only_full_batches_are_begun_behind_another() {
    let queue = dynamic(4, &[4], Duration::ZERO);
    let mut receivers = filled_open(&queue, 3);
    let mut batch = Batch::new();
    assert!(!queue.pull_behind(&mut batch) && batch.is_empty());
    receivers.extend(filled_open(&queue, 3));
    assert!(queue.pull_behind(&mut batch));
    assert_eq!((batch.len(), queue.len()), (4, 2));
    batch.clear();
    assert!(!queue.pull_behind(&mut batch));
}

#[test]
fn nothing_is_begun_behind_another_batch_while_an_instance_sleeps() {
    let queue = Queue::new(QueueSettings::single());
    thread::scope(|scope| {
        let idle = scope.spawn(|| sizes(&queue));
        while queue.asleep() == 0 {
            thread::yield_now();
        }
        let _receivers: Vec<_> = (0..20)
            .map(|id| {
                let (request, receiver) = request(id, 1, None);
                queue.push(request).unwrap();
                // It is still asleep, or has taken the request.
                let mut batch = Batch::new();
                assert!(!queue.pull_behind(&mut batch));
                // It counts as asleep until it runs, so that the request has to be gone, too.
                while !queue.is_empty() || queue.asleep() == 0 {
                    thread::yield_now();
                }
                receiver
            })
            .collect();
        queue.close();
        assert_eq!(idle.join().unwrap(), [1; 20]);
    });
}
