use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hippocamp_backend::{
    Delivery, InputTensor, ModelStatistics, Parameters, ResponseReceiver, WantedOutputs, channel,
};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, Shape, TensorData};
use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

fn interface(max_batch_size: u32) -> Interface {
    let input = TensorSpec {
        name: "x".into(),
        data_type: DataType::Uint8,
        dims: Shape::from([-1]),
        reshape: None,
        optional: true,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    Interface { inputs: vec![input], max_batch_size, ..Interface::default() }
}

/// A request with `batch` rows of `width` bytes, or without its optional input if there is no width.
fn request(id: usize, batch: usize, width: Option<i64>) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::new(ModelStatistics::default()));
    let input = width.map(|w| InputTensor {
        shape: Shape::from([batch as i64, w]),
        data: TensorData::from(Bytes::from(vec![0; batch * w as usize])),
    });
    let request = Request {
        id: id.to_string().into(),
        inputs: smallvec![input],
        outputs: WantedOutputs::ALL,
        parameters: Parameters::default(),
        batch_size: batch,
        priority: 0,
        timeout: None,
        sequence: None,
        queued: now,
        response,
    };
    (request, receiver)
}

fn dynamic(max: usize, preferred: &[usize], delay: Duration) -> Queue {
    let batching = BatchPolicy::dynamic(max, preferred.to_vec(), delay, &Arc::new(interface(max as u32)));
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
                prop_assert_eq!(&*request.id, seen.to_string());
                prop_assert_eq!(shape(&request), first);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, requests.len());
    }
}
