use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, BatchStrategy, Event, GrowingBatch, ResponseReceiver};

use super::*;
use crate::kit::{Like, id, interface, received};
use crate::queue_policy::LevelPolicy;

mod flat;
mod model;
mod plans;

const MS: Duration = Duration::from_millis(1);

fn ago(now: Instant, ms: u32) -> Instant {
    now.checked_sub(ms * MS).expect("the machine runs for longer")
}

fn dynamic(max: usize, preferred: &[usize], delay: Duration) -> BatchPolicy {
    BatchPolicy::dynamic(max, preferred.to_vec(), delay, &interface(max as u32))
}

/// One level with this policy, batches of up to 4.
fn limited(policy: LevelPolicy) -> Waiting {
    let policies = QueuePolicies { default: policy, ..QueuePolicies::default() };
    Waiting::new(dynamic(4, &[4], Duration::ZERO), policies, 0)
}

/// Pushes and forgets what is dropped, which answers it.
fn push(waiting: &mut Waiting, like: &Like) -> ResponseReceiver {
    let (request, receiver) = like.make();
    let mut dropped = Dropped::default();
    waiting.push(Box::new(request), &mut dropped);
    dropped.answer();
    receiver
}

impl Waiting {
    /// Looks for a batch and takes it.
    fn pull(&mut self, now: Instant, closing: bool, batch: &mut Batch, dropped: &mut Dropped) -> Look {
        let look = self.look(now, closing, dropped);
        if let Look::Batch(count) = look {
            let mut taken = Taken::new();
            self.take(count, &mut taken);
            batch.extend(taken.into_iter().map(|request| *request));
        }
        look
    }
}

/// The ids of the next batch; empty if there is none. What is dropped is answered.
fn pull(waiting: &mut Waiting, now: Instant) -> Vec<usize> {
    let (mut batch, mut dropped) = (Batch::new(), Dropped::default());
    waiting.pull(now, false, &mut batch, &mut dropped);
    dropped.answer();
    batch.iter().map(id).collect()
}

fn refusal(receiver: &mut ResponseReceiver) -> String {
    match received(receiver) {
        Some(Event::Failed(error)) => error.to_string(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// What becomes of requests with these batch sizes, all queued at 0 ms, when they are looked at after `at` of a delay of
/// 10 ms (or with no delay for `None`): the count that is taken.
fn taken(max: usize, preferred: &[usize], at: Option<u64>, sizes: &[usize]) -> usize {
    let now = Instant::now();
    let delay = at.map_or(Duration::ZERO, |_| 10 * MS);
    let mut waiting = Waiting::new(dynamic(max, preferred, delay), QueuePolicies::default(), 0);
    let receivers: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(id, &batch)| push(&mut waiting, &Like { id, batch, queued: now, ..Like::default() }))
        .collect();
    let count = pull(&mut waiting, now + Duration::from_millis(at.unwrap_or(0))).len();
    drop(receivers);
    count
}

#[test]
fn a_preferred_size_is_taken_at_once_though_more_would_fit() {
    assert_eq!(taken(8, &[4], None, &[1; 6]), 4);
    assert_eq!(taken(8, &[4], Some(0), &[1; 6]), 4);
    assert_eq!(taken(8, &[4], Some(0), &[1; 20]), 4);
    assert_eq!(taken(8, &[2, 4], Some(0), &[1; 7]), 4, "the largest that can be had");
    assert_eq!(taken(8, &[2, 4], Some(0), &[1; 3]), 2);
}

#[test]
fn after_the_delay_everything_that_fits_is_taken() {
    assert_eq!(taken(8, &[4], Some(10), &[1; 6]), 6);
    assert_eq!(taken(8, &[4], Some(10), &[1; 20]), 8);
    assert_eq!(taken(8, &[4], Some(10), &[1; 3]), 3);
}

#[test]
fn before_it_less_than_a_preferred_size_waits() {
    assert_eq!(taken(8, &[4], Some(0), &[1; 3]), 0);
    assert_eq!(taken(8, &[4], Some(9), &[1; 3]), 0);
    assert_eq!(taken(8, &[4], None, &[1; 3]), 3, "without a delay nothing waits");
}

#[test]
fn a_batch_that_can_not_reach_a_preferred_size_does_not_wait() {
    assert_eq!(taken(8, &[4], Some(0), &[3, 3]), 1, "3 and 3 pass 4 by");
    assert_eq!(taken(8, &[4], Some(10), &[3, 3]), 2);
    assert_eq!(taken(8, &[4], Some(0), &[6]), 1);
    assert_eq!(taken(8, &[8], Some(0), &[5, 4]), 1, "the next one does not fit");
}

#[test]
fn an_incomplete_batch_says_until_when_and_for_what_it_waits() {
    let now = Instant::now();
    let pulled = |interface: &std::sync::Arc<hippocamp_model_config::Interface>| {
        let batching = BatchPolicy::dynamic(8, vec![4, 8], 10 * MS, interface);
        let mut waiting = Waiting::new(batching, QueuePolicies::default(), 0);
        let _receivers =
            [5, 0].map(|before| push(&mut waiting, &Like { queued: ago(now, before), ..Like::default() }));
        waiting.pull(now, false, &mut Batch::new(), &mut Dropped::default())
    };
    let until = now + 5 * MS;
    let mut uniform = (*interface(8)).clone();
    uniform.inputs.clear();
    assert_eq!(pulled(&uniform.into()), Look::Incomplete(Incomplete { until, enough: 4 }));
    // The next request may have another shape, and end the batch.
    assert_eq!(pulled(&interface(8)), Look::Incomplete(Incomplete { until, enough: 0 }));
}

#[test]
fn only_requests_of_the_same_shape_are_joined() {
    let now = Instant::now();
    let mut waiting = Waiting::new(dynamic(8, &[8], Duration::ZERO), QueuePolicies::default(), 0);
    let widths = [Some(2), Some(2), Some(3), None, None, Some(2)];
    let _receivers: Vec<_> = (0..)
        .zip(widths)
        .map(|(id, width)| push(&mut waiting, &Like { id, width, ..Like::default() }))
        .collect();
    let batches: Vec<_> = (0..5).map(|_| pull(&mut waiting, now)).collect();
    assert_eq!(batches, [vec![0, 1], vec![2], vec![3, 4], vec![5], vec![]]);
}

#[test]
fn higher_priorities_go_first_and_an_unknown_one_is_the_default() {
    let policies = QueuePolicies { levels: 3, default_level: 2, ..QueuePolicies::default() };
    let mut waiting = Waiting::new(dynamic(1, &[1], Duration::ZERO), policies, 0);
    let _receivers: Vec<_> = (0..)
        .zip([3, 0, 1, 2, 9, 1])
        .map(|(id, priority)| push(&mut waiting, &Like { id, priority, ..Like::default() }))
        .collect();
    let order: Vec<_> = (0..6).flat_map(|_| pull(&mut waiting, Instant::now())).collect();
    assert_eq!(order, [2, 5, 1, 3, 4, 0]);
}

#[test]
fn a_batch_goes_on_into_lower_priorities() {
    let policies = QueuePolicies { levels: 2, default_level: 2, ..QueuePolicies::default() };
    let mut waiting = Waiting::new(dynamic(4, &[4], Duration::ZERO), policies, 0);
    let _receivers: Vec<_> = (0..)
        .zip([2, 2, 1, 2])
        .map(|(id, priority)| push(&mut waiting, &Like { id, priority, ..Like::default() }))
        .collect();
    assert_eq!(pull(&mut waiting, Instant::now()), [2, 0, 1, 3]);
}

#[test]
fn priorities_mean_nothing_without_levels() {
    let mut waiting = limited(LevelPolicy::default());
    let _receivers: Vec<_> = (0..)
        .zip([5, 0, 1])
        .map(|(id, priority)| push(&mut waiting, &Like { id, priority, ..Like::default() }))
        .collect();
    assert_eq!(pull(&mut waiting, Instant::now()), [0, 1, 2]);
}

#[test]
fn a_full_queue_refuses_with_tritons_text() {
    let mut waiting = limited(LevelPolicy { max_queue_size: Some(2), ..LevelPolicy::default() });
    let mut receivers: Vec<_> =
        (0..3).map(|id| push(&mut waiting, &Like { id, ..Like::default() })).collect();
    assert_eq!(refusal(&mut receivers[2]), "[request id: 2] Exceeds maximum queue size");
    assert_eq!(pull(&mut waiting, Instant::now()), [0, 1]);
}

#[test]
fn the_size_is_limited_level_by_level() {
    let small = LevelPolicy { max_queue_size: Some(1), ..LevelPolicy::default() };
    let by_level = [(2, LevelPolicy { max_queue_size: Some(2), ..small })].into();
    let policies = QueuePolicies { levels: 2, default_level: 1, default: small, by_level };
    let mut waiting = Waiting::new(dynamic(8, &[8], Duration::ZERO), policies, 0);
    let _receivers: Vec<_> = (0..)
        .zip([1, 2, 1, 2, 2, 1])
        .map(|(id, priority)| push(&mut waiting, &Like { id, priority, ..Like::default() }))
        .collect();
    assert_eq!(pull(&mut waiting, Instant::now()), [0, 1, 3]);
}

#[test]
fn cancelled_requests_make_room_in_a_full_queue() {
    let max = 3 * LOOKED_AT_WHEN_FULL;
    let mut waiting = limited(LevelPolicy { max_queue_size: Some(max), ..LevelPolicy::default() });
    let mut receivers: Vec<_> =
        (0..max).map(|id| Some(push(&mut waiting, &Like { id, ..Like::default() }))).collect();
    receivers[max - 1] = None;
    // A part of the queue is looked at each time.
    for _ in 0..2 {
        let mut refused = push(&mut waiting, &Like::default());
        assert!(refusal(&mut refused).contains("Exceeds maximum"));
    }
    let mut taken_in = push(&mut waiting, &Like::default());
    assert!(received(&mut taken_in).is_none());
    assert_eq!(waiting.len(), max);
    drop(receivers);
    let all: Vec<_> = (1..max).map(|_| push(&mut waiting, &Like::default())).collect();
    assert!(all.into_iter().all(|mut receiver| received(&mut receiver).is_none()), "room for as many again");
    assert_eq!(waiting.len(), max);
}

#[test]
fn who_waited_too_long_is_refused_with_tritons_text() {
    let now = Instant::now();
    let mut waiting = limited(LevelPolicy { default_timeout: Some(10 * MS), ..LevelPolicy::default() });
    let mut late = push(&mut waiting, &Like { id: 0, queued: ago(now, 10), ..Like::default() });
    let _in_time = push(&mut waiting, &Like { id: 1, queued: ago(now, 9), ..Like::default() });
    assert_eq!(pull(&mut waiting, now), [1]);
    assert_eq!(refusal(&mut late), "Request timeout expired");
}

#[test]
fn a_request_may_ask_for_less_time_and_not_for_more() {
    let with = |default: Option<u64>, allow_timeout_override| LevelPolicy {
        default_timeout: default.map(Duration::from_millis),
        allow_timeout_override,
        ..LevelPolicy::default()
    };
    let timeout = |policy: LevelPolicy, asked: u64| {
        let timeout = Some(Duration::from_millis(asked));
        policy.timeout(&Like { timeout, ..Like::default() }.make().0).map(|timeout| timeout.as_millis())
    };
    assert_eq!(timeout(with(Some(100), true), 50), Some(50));
    assert_eq!(timeout(with(Some(100), true), 500), Some(100));
    assert_eq!(timeout(with(Some(100), true), 0), Some(100));
    assert_eq!(timeout(with(Some(100), false), 50), Some(100));
    assert_eq!(timeout(with(None, true), 50), Some(50));
    assert_eq!(timeout(with(None, false), 50), None);
}

#[test]
fn a_delayed_request_goes_behind_the_others_of_its_level() {
    let now = Instant::now();
    let policy =
        LevelPolicy { overdue: Overdue::Delay, default_timeout: Some(10 * MS), ..LevelPolicy::default() };
    let policies = QueuePolicies { levels: 2, default_level: 1, default: policy, ..QueuePolicies::default() };
    let mut waiting = Waiting::new(dynamic(8, &[8], Duration::ZERO), policies, 0);
    let like = |id, priority, age: u32| Like { id, priority, queued: ago(now, age), ..Like::default() };
    let _receivers =
        [like(0, 2, 0), like(1, 1, 20), like(2, 1, 11), like(3, 1, 5)].map(|like| push(&mut waiting, &like));
    assert_eq!(pull(&mut waiting, now), [3, 1, 2, 0]);
}

#[test]
fn the_first_deadline_is_known_whatever_the_order() {
    let now = Instant::now();
    let policy = LevelPolicy {
        default_timeout: Some(100 * MS),
        allow_timeout_override: true,
        ..LevelPolicy::default()
    };
    let mut waiting = limited(policy);
    let mut dropped = Dropped::default();
    let mut is_first = |waiting: &mut Waiting, timeout: u32| {
        let like = Like { queued: now, timeout: Some(timeout * MS), ..Like::default() };
        let (request, receiver) = like.make();
        (waiting.push(Box::new(request), &mut dropped), receiver)
    };
    assert_eq!(waiting.next_deadline(), None);
    let (first, a) = is_first(&mut waiting, 50);
    let (second, _b) = is_first(&mut waiting, 70);
    let (third, _c) = is_first(&mut waiting, 20);
    assert_eq!([first, second, third], [true, false, true]);
    assert_eq!(waiting.next_deadline(), Some(now + 20 * MS));
    waiting.expire(now + 20 * MS, &mut dropped);
    assert_eq!(waiting.next_deadline(), Some(now + 50 * MS));
    waiting.expire(now + 60 * MS, &mut dropped);
    assert_eq!((waiting.len(), waiting.next_deadline()), (1, Some(now + 70 * MS)));
    drop(a);
}

#[test]
fn the_test_hook_holds_everything_until_enough_wait() {
    let policies = QueuePolicies {
        default: LevelPolicy { default_timeout: Some(MS), ..LevelPolicy::default() },
        ..QueuePolicies::default()
    };
    let now = Instant::now();
    let mut waiting = Waiting::new(dynamic(4, &[4], Duration::ZERO), policies, 3);
    let like = |id, age: u32| Like { id, queued: ago(now, age), ..Like::default() };
    let _two = [like(0, 0), like(1, 5)].map(|like| push(&mut waiting, &like));
    assert_eq!(pull(&mut waiting, now), [0usize; 0]);
    assert_eq!(waiting.next_deadline(), None, "time does not count before the start");
    let _third = push(&mut waiting, &like(2, 0));
    assert_eq!(pull(&mut waiting, now), [0, 2]);
    let _fourth = push(&mut waiting, &like(3, 0));
    assert_eq!(pull(&mut waiting, now), [3], "only once");
}

#[test]
fn levels_that_are_empty_are_forgotten_when_there_are_many() {
    let policies = QueuePolicies { levels: u64::MAX, default_level: 1, ..QueuePolicies::default() };
    let mut waiting = Waiting::new(dynamic(1, &[1], Duration::ZERO), policies, 0);
    let priorities = (1..=10_000u64).chain([u64::MAX]);
    let receivers: Vec<_> =
        priorities.map(|priority| push(&mut waiting, &Like { priority, ..Like::default() })).collect();
    for _ in 0..receivers.len() {
        assert_eq!(pull(&mut waiting, Instant::now()).len(), 1);
    }
    assert!(waiting.is_empty() && waiting.levels.len() <= levels::LEVELS_KEPT);
}

/// Batches of up to 4 requests, padded to 8 or to 16 bytes.
fn padding(preserve_ordering: bool) -> Waiting {
    let text = r#"
        name: "m" max_batch_size: 4
        input { name: "x" data_type: TYPE_UINT8 dims: [ -1 ] }
        output { name: "y" data_type: TYPE_UINT8 dims: [ 1 ] }
        parameters { key: "padding.buckets" value { string_value: "8,16" } }
        parameters { key: "padding.input.x" value { string_value: "value=0" } }"#;
    let config = hippocamp_model_config::parse(text, "config.pbtxt").unwrap().config;
    let interface = Arc::new(hippocamp_model_config::Interface::new(&config).unwrap());
    let batching = hippocamp_proto::inference::ModelDynamicBatching {
        preferred_batch_size: vec![4],
        preserve_ordering,
        ..Default::default()
    };
    Waiting::new(BatchPolicy::from_config(&batching, &interface), QueuePolicies::default(), 0)
}

fn push_widths(waiting: &mut Waiting, widths: impl IntoIterator<Item = i64>) -> Vec<ResponseReceiver> {
    let widths = widths.into_iter().enumerate();
    widths.map(|(id, width)| push(waiting, &Like { id, width: Some(width), ..Like::default() })).collect()
}

#[test]
fn requests_of_another_bucket_are_passed_over_and_come_next() {
    let mut waiting = padding(false);
    let _receivers = push_widths(&mut waiting, [4, 12, 5, 13, 6, 14, 7, 15, 8]);
    let now = Instant::now();
    assert_eq!(pull(&mut waiting, now), [0, 2, 4, 6]);
    assert_eq!(pull(&mut waiting, now), [1, 3, 5, 7]);
    assert_eq!(pull(&mut waiting, now), [8]);
}

#[test]
fn only_so_many_are_passed_over_for_one_batch() {
    let mut waiting = padding(false);
    let widths = std::iter::once(4).chain(std::iter::repeat_n(12, 1_000)).chain([4]);
    let _receivers = push_widths(&mut waiting, widths);
    assert_eq!(pull(&mut waiting, Instant::now()), [0], "the other one of its bucket is too far behind");
    assert!(waiting.steps.0 < 300, "{} steps", waiting.steps.0);
}

#[test]
fn none_is_passed_over_where_the_order_is_kept() {
    let mut waiting = padding(true);
    let _receivers = push_widths(&mut waiting, [4, 12, 5]);
    assert_eq!(pull(&mut waiting, Instant::now()), [0]);
}

/// Batches whose ids add up to at most a limit.
#[derive(Debug)]
struct UpTo(usize);

struct Sum(usize, usize);

impl BatchStrategy for UpTo {
    fn begin(&self, first: &Request) -> Box<dyn GrowingBatch + '_> {
        Box::new(Sum(id(first), self.0))
    }
}

impl GrowingBatch for Sum {
    fn admits(&mut self, next: &Request) -> bool {
        self.0 += id(next);
        self.0 <= self.1
    }
}

#[test]
fn a_strategy_closes_a_batch_at_the_first_request_that_it_does_not_want() {
    let now = Instant::now();
    let mut policy = dynamic(4, &[4], Duration::from_hours(1));
    policy.strategy = Some(Arc::new(UpTo(10)));
    let mut waiting = Waiting::new(policy, QueuePolicies::default(), 0);
    let _receivers: Vec<_> =
        [9, 1, 1, 20, 2, 3].map(|n| push(&mut waiting, &Like { id: n, ..Like::default() })).into();
    assert_eq!(pull(&mut waiting, now), [9, 1], "it does not wait: no other request may join");
    assert_eq!(pull(&mut waiting, now), [1]);
    assert_eq!(pull(&mut waiting, now), [20], "the first is executed in any case");
    assert_eq!(pull(&mut waiting, now), [0; 0], "more may come");
    let _four = [1, 1].map(|n| push(&mut waiting, &Like { id: n, ..Like::default() }));
    assert_eq!(pull(&mut waiting, now), [2, 3, 1, 1], "the config's limit holds, too");
}
