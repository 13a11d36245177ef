//! How many rows are in flight at once, on which threads, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::Request;

use super::super::kit::*;
use super::*;
#[test]
fn at_most_so_many_rows_are_in_flight() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let ensemble = mapped(&m, &[("fan_out.m.max_inflight", "2")]);
    let (request, receiver) = given(&[0, 1, 2, 3, 4]);
    ensemble.enqueue(request);
    for left in (0..5).rev() {
        assert_eq!(held.len(), 2.min(left + 1));
        let request = held.one();
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, [0, 1, 2, 3, 4]);
}

#[test]
fn rows_that_are_answered_at_once_do_not_nest() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, deepest) = (Arc::clone(&now), Arc::clone(&most));
    let m = Fake::new("m", &io("X", "Y"), move |request| {
        deepest.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x]);
        here.fetch_sub(1, Ordering::SeqCst);
    });
    let all: Vec<i32> = (0..1000).collect();
    let (request, receiver) = given(&all);
    mapped(&m, &[("fan_out.m.max_inflight", "1")]).enqueue(request);
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, all);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_client_that_hangs_up_ends_all_rows() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[1, 2, 3]);
    mapped(&m, &[("fan_out.m.max_inflight", "1")]).enqueue(request);
    let first = held.one();
    drop(receiver);
    assert!(first.is_cancelled());
    answer(first, &[1]);
    assert_eq!(held.len(), 0);
}

#[test]
fn many_threads_answer_rows_of_many_requests() {
    let (queue, requests) = std::sync::mpsc::channel::<Request>();
    let m = Fake::new("m", &io("X", "Y"), move |request| queue.send(request).unwrap());
    let ensemble = mapped(&m, &[("fan_out.m.max_inflight", "3")]);
    let requests = parking_lot::Mutex::new(requests);
    std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        for number in 0..20 {
            let all: Vec<i32> = (0..number).map(|row| number * 100 + row).collect();
            let (request, receiver) = given(&all);
            ensemble.enqueue(request);
            receivers.push((all, receiver));
        }
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Ok(request) = requests.lock().recv() else { return };
                    let x = numbers(&request)[0].unwrap();
                    answer(request, &[x]);
                }
            });
        }
        for (all, receiver) in receivers {
            assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, all);
        }
        // The model goes, and with it the queue's end that the threads wait on.
        drop((ensemble, m));
    });
}
