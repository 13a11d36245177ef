use hippocamp_backend::{
    Delivery, Error, ExecutionTimes, FailureReason, Request, Response, ResponseReceiver,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::kit::{Like, received};

fn admitted(ordered: &Ordered, delivery: Delivery, count: usize) -> Vec<(Request, ResponseReceiver)> {
    let (requests, receivers): (Vec<_>, Vec<_>) =
        (0..count).map(|id| Like { id, delivery, ..Like::default() }.make()).unzip();
    let mut batch: Vec<_> = requests.into_iter().map(Box::new).collect();
    ordered.admit(&mut batch);
    batch.into_iter().map(|request| *request).zip(receivers).collect()
}

fn succeed(request: Request) {
    request.succeed(Response::default(), &ExecutionTimes::now());
}

#[test]
fn an_answer_waits_for_those_before_it() {
    let ordered = Ordered::default();
    let [(a, mut to_a), (b, mut to_b), (c, mut to_c)] =
        admitted(&ordered, Delivery::Once, 3).try_into().unwrap();
    succeed(c);
    succeed(b);
    assert!(received(&mut to_b).is_none() && received(&mut to_c).is_none());
    a.fail(Error::internal("no"), FailureReason::Backend);
    assert!(matches!(received(&mut to_a), Some(Event::Failed(_))));
    assert!(matches!(received(&mut to_b), Some(Event::Response { last: true, .. })));
    assert!(matches!(received(&mut to_c), Some(Event::Response { last: true, .. })));
}

#[test]
fn the_first_in_line_sends_without_delay() {
    let ordered = Ordered::default();
    let [(mut a, mut to_a), (mut b, mut to_b)] = admitted(&ordered, Delivery::Many, 2).try_into().unwrap();
    a.response.send(Response::default());
    assert!(matches!(received(&mut to_a), Some(Event::Response { last: false, .. })));
    b.response.send(Response::default());
    assert!(received(&mut to_b).is_none());
    a.response.finish(a.queued, &ExecutionTimes::now());
    assert!(matches!(received(&mut to_b), Some(Event::Response { last: false, .. })));
    b.response.send(Response::default());
    assert!(matches!(received(&mut to_b), Some(Event::Response { last: false, .. })));
}

#[test]
fn a_request_that_is_dropped_holds_up_nobody() {
    let ordered = Ordered::default();
    let [(a, to_a), (b, mut to_b)] = admitted(&ordered, Delivery::Once, 2).try_into().unwrap();
    assert!(!a.is_cancelled());
    drop(to_a);
    assert!(a.is_cancelled() && !b.is_cancelled());
    succeed(b);
    drop(a);
    assert!(matches!(received(&mut to_b), Some(Event::Response { .. })));
}

proptest! {
    #[test]
    fn order_is_kept_whatever_the_instances_do(
        batches in prop::collection::vec(1usize..4, 1..8),
        turns in prop::collection::vec((any::<Index>(), 0u8..4), 0..60),
    ) {
        let ordered = Ordered::default();
        let mut receivers = Vec::new();
        let mut running = Vec::new();
        for count in batches {
            for (request, receiver) in admitted(&ordered, Delivery::Many, count) {
                running.push(request);
                receivers.push(receiver);
            }
        }
        let mut done = vec![false; receivers.len()];
        let mut look = |receivers: &mut Vec<ResponseReceiver>| {
            let first_open = done.iter().position(|done| !done).unwrap_or(done.len());
            for (index, receiver) in receivers.iter_mut().enumerate().skip(first_open) {
                while let Some(event) = received(receiver) {
                    prop_assert!(done[..index].iter().all(|done| *done), "nobody is overtaken");
                    done[index] |= event.is_last();
                }
            }
            Ok(done.iter().filter(|done| **done).count())
        };
        for (index, what) in turns {
            if running.is_empty() {
                break;
            }
            let index = index.index(running.len());
            match what {
                0 => running.swap_remove(index).fail(Error::internal("x"), FailureReason::Backend),
                1 => drop(running.swap_remove(index)),
                2 => {
                    let request = running.swap_remove(index);
                    request.response.finish(request.queued, &ExecutionTimes::now());
                }
                _ => running[index].response.send(Response::default()),
            }
            look(&mut receivers)?;
        }
        running.clear();
        prop_assert_eq!(look(&mut receivers)?, receivers.len(), "every one is answered to the end");
    }
}
