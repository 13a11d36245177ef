//! Batches of models whose instances are prepared for a few sizes.

use proptest::prelude::*;

use super::*;

/// The sizes of the batches in which requests of these sizes are executed, by instances that are prepared for `plans`.
fn batches(plans: &[usize], requests: &[usize], delay: Duration) -> Vec<usize> {
    let max = *plans.last().unwrap();
    let mut batching = dynamic(max, &[max], delay);
    batching.plans = plans.iter().copied().collect();
    let mut waiting = Waiting::new(batching, QueuePolicies::default(), 0);
    let now = Instant::now();
    let queued = ago(now, 1000);
    let like = |(id, batch): (usize, &usize)| Like { id, batch: *batch, queued, ..Like::default() };
    let _clients: Vec<_> =
        requests.iter().enumerate().map(|request| push(&mut waiting, &like(request))).collect();
    let mut sizes = Vec::new();
    let mut next = 0;
    while !waiting.is_empty() {
        let taken = pull(&mut waiting, now);
        assert!(!taken.is_empty(), "{sizes:?}");
        assert!(taken.iter().copied().eq(next..next + taken.len()), "in the order of arrival");
        sizes.push(requests[next..next + taken.len()].iter().sum());
        next += taken.len();
    }
    sizes
}

const POWERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

#[test]
fn a_batch_that_would_be_mostly_padding_is_cut_to_a_plan() {
    let of = |rows: usize| batches(&POWERS, &vec![1; rows], Duration::ZERO);
    for full in POWERS {
        assert_eq!(of(full), [full]);
    }
    assert_eq!(of(3), [3], "one row more costs less than another execution");
    assert_eq!((of(5), of(6), of(7)), (vec![4, 1], vec![6], vec![7]));
    assert_eq!((of(17), of(28), of(29)), (vec![16, 1], vec![16, 8, 4], vec![29]));
    assert_eq!(of(33), [32, 1]);
    assert_eq!(batches(&POWERS, &[1; 17], 100 * MS), [16, 1], "also when the delay has passed");
    assert_eq!(batches(&[8, 32], &[1; 5], Duration::ZERO), [5], "there is no smaller plan");
    assert_eq!(batches(&POWERS, &[3, 3, 3, 3, 3, 3], Duration::ZERO), [18], "no requests fill a plan");
}

proptest! {
    #[test]
    fn no_plan_would_do_more_rows_in_the_time(rows in 1..200_usize, largest in 0..POWERS.len()) {
        let plans = &POWERS[..=largest];
        let max = plans[largest];
        let sizes = batches(plans, &vec![1; rows], Duration::ZERO);
        prop_assert_eq!(sizes.iter().sum::<usize>(), rows);
        let time = |size: usize| 4 + plans.iter().find(|plan| **plan >= size).unwrap();
        let mut left = rows;
        for size in sizes {
            for other in plans.iter().copied().chain([left]).filter(|other| *other <= left.min(max)) {
                prop_assert!(size * time(other) >= other * time(size), "{} of {}, not {}", size, left, other);
            }
            left -= size;
        }
    }
}
