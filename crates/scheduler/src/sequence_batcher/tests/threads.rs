//! With threads: instances that wait, and the one that ends idle sequences.

use std::sync::Arc;
use std::thread;

use hippocamp_backend::Batch;

use super::kit::{Bench, CONTROLS, STATE, answer_with_sum, answered, policy};
use crate::sequence_batcher::SequenceBatcher;

#[test]
fn instances_wait_for_requests_and_end_when_the_batcher_closes() {
    for strategy in ["direct { }", "oldest { max_candidate_sequences: 4 }"] {
        let policy = policy(4, &format!("{strategy} {CONTROLS} {STATE}"));
        let batcher = Arc::new(SequenceBatcher::new(policy, 2).unwrap());
        let instances = [0, 1].map(|instance| {
            let batcher = Arc::clone(&batcher);
            thread::spawn(move || {
                let mut batch = Batch::new();
                while batcher.pull(instance, &mut batch) {
                    batch.drain(..).for_each(answer_with_sum);
                }
            })
        });
        // Only for its requests.
        let bench = Bench::new(super::kit::policy(4, STATE), 1);
        let mut answers = Vec::new();
        for step in 0..20 {
            for id in 1..=20 {
                let flags = match step {
                    0 => "S",
                    19 => "E",
                    _ => "",
                };
                let (request, answer) = bench.request(Some(super::kit::sequence(id, flags)), 1);
                batcher.push(request).map_err(|refused| refused.1).unwrap();
                answers.push((step, answer));
            }
        }
        batcher.close();
        for instance in instances {
            instance.join().unwrap();
        }
        for (step, answer) in answers {
            assert_eq!(answered(answer), Some(Ok(step + 1)));
        }
    }
}

#[test]
fn an_idle_sequence_makes_room_without_anybody_asking() {
    let text = format!("direct {{ }} {CONTROLS} {STATE} max_sequence_idle_microseconds: 1000");
    let batcher = SequenceBatcher::new(policy(1, &text), 1).unwrap();
    let bench = Bench::new(policy(1, STATE), 1);
    let mut batch = Batch::new();
    for id in 1..=3 {
        // None of them ends; the pull of the next one waits until the reaper ended the one before.
        let (request, answer) = bench.request(Some(super::kit::sequence(id, "S")), 1);
        batcher.push(request).map_err(|refused| refused.1).unwrap();
        assert!(batcher.pull(0, &mut batch));
        batch.drain(..).for_each(answer_with_sum);
        assert_eq!(answered(answer), Some(Ok(1)));
    }
    batcher.close();
    assert!(!batcher.pull(0, &mut batch));
}
