//! The oldest strategy.

use std::time::Duration;

use hippocamp_backend::Code;

use super::kit::{Bench, CONTROLS, STATE, answered, policy, sequence};
use crate::sequence_batcher::direct::Next;

fn bench(max_batch_size: u32, instances: usize, oldest: &str) -> Bench {
    let batching = format!("oldest {{ max_candidate_sequences: 4 {oldest} }} {CONTROLS} {STATE}");
    Bench::new(policy(max_batch_size, &batching), instances)
}

#[test]
fn batches_hold_the_oldest_requests_and_one_of_each_sequence() {
    let bench = bench(2, 1, "");
    let answers = [
        bench.send(1, "S", 1),
        bench.send(1, "", 2),
        bench.send(2, "S", 10),
        bench.send(3, "SE", 100),
        bench.send(1, "E", 3),
    ];
    assert_eq!(bench.run(0), ["1:S1", "2:S10"]);
    assert_eq!(bench.run(0), ["3:SE100", "1:2"]);
    assert_eq!(bench.run(0), ["1:E3"]);
    assert_eq!(answers.map(|a| answered(a).unwrap()), [Ok(1), Ok(3), Ok(10), Ok(100), Ok(6)]);
}

#[test]
fn a_sequence_has_one_request_under_way_even_if_its_backend_takes_its_time() {
    let bench = bench(2, 1, "");
    let _answers = [bench.send(1, "S", 1), bench.send(1, "", 2), bench.send(2, "S", 10)];
    let first = bench.pull(0);
    assert_eq!(first.len(), 2);
    assert_eq!(bench.run(0), [""; 0]);
    drop(first);
    assert_eq!(bench.run(0), ["1:2"]);
}

#[test]
fn no_more_candidates_than_the_config_allows() {
    let bench = bench(8, 1, "");
    let _answers: Vec<_> = (1..=6).map(|id| bench.send(id, "S", 0)).collect();
    assert_eq!(bench.run(0), ["1:S0", "2:S0", "3:S0", "4:S0"]);
    let _end = bench.send(3, "E", 0);
    assert_eq!(bench.run(0), ["3:E0"]);
    assert_eq!(bench.run(0), ["5:S0"]);
}

#[test]
fn without_a_number_of_candidates_there_are_as_many_as_fit_into_a_batch() {
    let bench = Bench::new(policy(2, &format!("oldest {{ }} {CONTROLS} {STATE}")), 1);
    let _answers: Vec<_> = (1..=3).map(|id| bench.send(id, "SE", 0)).collect();
    assert_eq!(bench.run(0), ["1:SE0", "2:SE0"]);
    assert_eq!(bench.run(0), ["3:SE0"]);
}

#[test]
fn candidates_spread_over_the_instances() {
    let bench = bench(8, 2, "");
    let _answers: Vec<_> = (1..=8).map(|id| bench.send(id, "S", 0)).collect();
    assert_eq!(bench.run(0), ["1:S0", "3:S0", "5:S0", "7:S0"]);
    assert_eq!(bench.run(1), ["2:S0", "4:S0", "6:S0", "8:S0"]);
    let _answer = bench.send(6, "", 1);
    assert_eq!(bench.run(0), [""; 0]);
    assert_eq!(bench.run(1), ["6:1"]);
}

#[test]
fn preferred_sizes_and_the_delay_decide_when_a_batch_begins() {
    let bench = bench(4, 1, "preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 5000");
    let _one = bench.send(1, "S", 0);
    assert!(matches!(bench.try_pull(0), (Next::Wait(Some(_)), batch) if batch.is_empty()));
    let _two = bench.send(2, "S", 0);
    let _three = bench.send(3, "S", 0);
    assert_eq!(bench.run(0), ["1:S0", "2:S0"]);
    assert_eq!(bench.run(0), [""; 0]);
    bench.pass(Duration::from_millis(5));
    assert_eq!(bench.run(0), ["3:S0"]);
    let _full: Vec<_> = (1..=4).map(|id| bench.send(id, if id == 4 { "S" } else { "" }, 0)).collect();
    assert_eq!(bench.run(0).len(), 4, "a full batch");
}

#[test]
fn a_cancelled_request_takes_what_waits_behind_it_along() {
    let bench = bench(4, 1, "");
    let (gone, behind) = (bench.send(1, "S", 1), bench.send(1, "", 2));
    let other = bench.send(2, "SE", 3);
    drop(gone);
    assert_eq!(bench.run(0), ["2:SE3"]);
    assert_eq!(answered(behind), Some(Err(Code::Cancelled)));
    assert_eq!(answered(other), Some(Ok(3)));
    assert!(bench.refused(Some(sequence(1, ""))).contains("must specify the START flag"));
}

#[test]
fn an_id_that_is_used_again_waits_for_its_old_sequence() {
    let bench = bench(4, 1, "");
    let answers = [bench.send(1, "S", 1), bench.send(1, "E", 2), bench.send(1, "SE", 3)];
    assert_eq!(bench.run(0), ["1:S1"]);
    assert_eq!(bench.run(0), ["1:E2"]);
    assert_eq!(bench.run(0), ["1:SE3"]);
    assert_eq!(answers.map(|a| answered(a).unwrap()), [Ok(1), Ok(3), Ok(3)]);
}

#[test]
fn an_id_that_is_used_again_waits_even_if_one_in_between_is_dropped() {
    let batching = format!("oldest {{ max_candidate_sequences: 2 }} {CONTROLS} {STATE}");
    let bench = Bench::new(policy(1, &batching), 1);
    let _old = [bench.send(1, "S", 1), bench.send(2, "S", 2)];
    assert_eq!((bench.run(0), bench.run(0)), (vec!["1:S1".to_owned()], vec!["2:S2".to_owned()]));
    let _ends = [bench.send(1, "E", 3), bench.send(2, "E", 4)];
    let (dropped, _end) = (bench.send(1, "S", 5), bench.send(1, "E", 6));
    let last = bench.send(1, "SE", 7);
    drop(dropped);
    let end_of_old = bench.pull(0);
    assert_eq!(bench.run(0), ["2:E4"]);
    assert_eq!(bench.run(0), [""; 0], "it has a slot now, but the first of its id is not done");
    end_of_old.into_iter().for_each(super::kit::answer_with_sum);
    assert_eq!(bench.run(0), ["1:SE7"]);
    assert_eq!(answered(last), Some(Ok(7)));
}

#[test]
fn a_model_without_a_batch_dimension_executes_requests_alone() {
    let bench = bench(0, 1, "");
    let _answers = [bench.send(1, "S", 0), bench.send(2, "S", 0)];
    assert_eq!(bench.run(0), ["1:S0"]);
    assert_eq!(bench.run(0), ["2:S0"]);
}

#[test]
fn answers_keep_the_order_of_execution_where_the_config_wants_it() {
    let bench = bench(1, 1, "preserve_ordering: true");
    let answers = [bench.send(1, "S", 1), bench.send(2, "S", 2)];
    let first = bench.pull(0);
    let mut second = bench.pull(0);
    second.drain(..).for_each(super::kit::answer_with_sum);
    let third = bench.send(2, "", 3);
    let mut batch = bench.pull(0);
    assert_eq!(super::kit::describe(&batch[0]), "2:3", "the sequence goes on");
    batch.drain(..).for_each(super::kit::answer_with_sum);
    let [one, mut two] = answers;
    assert!(super::kit::event(&mut two).is_none(), "held back");
    first.into_iter().for_each(super::kit::answer_with_sum);
    assert_eq!([one, two, third].map(|a| answered(a).unwrap()), [Ok(1), Ok(2), Ok(5)]);
}

#[test]
fn a_test_may_have_requests_collected_first() {
    let batching = format!("oldest {{ max_candidate_sequences: 4 }} {CONTROLS} {STATE}");
    let bench = Bench::new(policy(4, &batching).with_delays(2, 9), 1);
    let _one = bench.send(1, "S", 0);
    assert_eq!(bench.run(0), [""; 0]);
    let _two = bench.send(2, "S", 0);
    assert_eq!(bench.run(0), ["1:S0", "2:S0"], "whatever the backlog");
}

#[test]
fn a_test_that_wants_more_requests_than_fit_into_slots_does_not_wait_for_ever() {
    let batching = format!("oldest {{ max_candidate_sequences: 2 }} {CONTROLS} {STATE}");
    let bench = Bench::new(policy(4, &batching).with_delays(3, 0), 1);
    let _answers = [bench.send(1, "S", 0), bench.send(1, "", 0)];
    assert_eq!(bench.run(0), [""; 0]);
    let _last = bench.send(2, "S", 0);
    let _backlog = bench.send(3, "S", 0);
    assert_eq!(bench.run(0), ["1:S0", "2:S0"]);
}

#[test]
fn a_cancelled_request_is_noticed_while_the_instance_is_busy() {
    let bench = bench(1, 1, "");
    let _running = [bench.send(1, "S", 1), bench.send(2, "S", 1)];
    let batch = bench.pull(0);
    // Behind one that is executed, and ready itself.
    let (gone, behind) = (bench.send(1, "", 2), bench.send(1, "", 3));
    let (ready, second) = (bench.send(3, "S", 4), bench.send(3, "", 5));
    drop((gone, ready));
    bench.reap();
    assert_eq!([behind, second].map(answered), [Some(Err(Code::Cancelled)); 2]);
    drop(batch);
    assert_eq!(bench.run(0), ["2:S1"]);
    assert_eq!(bench.batcher.pending(), 0);
}
