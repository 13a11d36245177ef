//! The work for a request is the same, whether ten others wait or a hundred thousand.

use super::*;

/// Steps for each of 1,000 requests, pushed and pulled one by one while `depth` others wait.
fn steps(depth: usize, policies: QueuePolicies, like: impl Fn(usize) -> Like) -> usize {
    const REQUESTS: usize = 1_000;
    let mut waiting = Waiting::new(dynamic(1, &[1], Duration::ZERO), policies, 0);
    let mut receivers: Vec<_> = (0..depth).map(|n| push(&mut waiting, &like(n))).collect();
    waiting.steps.0 = 0;
    let now = Instant::now();
    for n in 0..REQUESTS {
        receivers.push(push(&mut waiting, &like(depth + n)));
        assert_eq!(pull(&mut waiting, now).len(), 1);
        // As the timekeeper does.
        waiting.next_deadline();
    }
    waiting.steps.0.div_ceil(REQUESTS)
}

fn timeouts() -> QueuePolicies {
    let default = LevelPolicy {
        default_timeout: Some(Duration::from_hours(1)),
        allow_timeout_override: true,
        max_queue_size: Some(1_000_000),
        ..LevelPolicy::default()
    };
    QueuePolicies { levels: 3, default_level: 2, default, ..QueuePolicies::default() }
}

const FEW: usize = 10;
const MANY: usize = 100_000;

#[test]
fn with_nothing_set() {
    let at = |depth| steps(depth, QueuePolicies::default(), |_| Like::default());
    assert_eq!((at(FEW), at(MANY)), (3, 3));
}

#[test]
fn with_a_default_timeout_and_priorities() {
    let like = |n: usize| Like { priority: 1 + n as u64 % 3, ..Like::default() };
    let at = |depth| steps(depth, timeouts(), like);
    assert!(at(FEW) <= 5 && at(MANY) <= 5, "{} and {}", at(FEW), at(MANY));
}

#[test]
fn with_timeouts_in_any_order() {
    let like = |n: usize| {
        let timeout = Some(Duration::from_secs(1_000 + (n as u64 * 7919) % 2_000));
        Like { timeout, ..Like::default() }
    };
    let at = |depth| steps(depth, timeouts(), like);
    // A heap of 100,000 is 17 high.
    assert!(at(FEW) <= 20 && at(MANY) <= 45, "{} and {}", at(FEW), at(MANY));
}

#[test]
fn with_cancelled_requests_in_the_middle() {
    let mut waiting = Waiting::new(dynamic(1, &[1], Duration::ZERO), timeouts(), 0);
    let receivers: Vec<_> = (0..MANY).map(|id| push(&mut waiting, &Like { id, ..Like::default() })).collect();
    waiting.steps.0 = 0;
    let mut kept = Vec::new();
    for (id, receiver) in receivers.into_iter().enumerate() {
        if id % 10 == 0 {
            kept.push(receiver);
        }
    }
    let now = Instant::now();
    for n in 0..kept.len() {
        assert_eq!(pull(&mut waiting, now), [10 * n]);
        waiting.next_deadline();
    }
    // Each one is stepped over once, and its deadline once.
    assert!(waiting.steps.0 <= 3 * MANY, "{}", waiting.steps.0);
}

#[test]
fn with_a_full_queue() {
    let at = |depth: usize| {
        let policy = LevelPolicy { max_queue_size: Some(depth), ..LevelPolicy::default() };
        let mut waiting = limited(policy);
        let _receivers: Vec<_> = (0..depth).map(|_| push(&mut waiting, &Like::default())).collect();
        waiting.steps.0 = 0;
        for _ in 0..100 {
            let mut refused = push(&mut waiting, &Like::default());
            refusal(&mut refused);
        }
        waiting.steps.0 / 100
    };
    assert_eq!((at(FEW), at(MANY)), (FEW, LOOKED_AT_WHEN_FULL));
}

#[test]
fn deadlines_of_requests_that_are_gone_do_not_pile_up() {
    let mut waiting = Waiting::new(dynamic(1, &[1], Duration::ZERO), timeouts(), 0);
    for n in 0..10_000u64 {
        let timeout = Some(Duration::from_secs(100 + (n * 7919) % 1_000));
        let _receiver = push(&mut waiting, &Like { timeout, ..Like::default() });
        assert_eq!(pull(&mut waiting, Instant::now()).len(), 1);
    }
    assert!(waiting.deadlines.len() < 100, "{}", waiting.deadlines.len());
}
