//! Slots, the backlog, and what becomes of sequences, with the direct strategy.

use std::time::Duration;

use hippocamp_backend::{Code, CorrelationId, Sequence};

use super::kit::{Bench, CONTROLS, STATE, answered, policy, sequence};
use crate::sequence_batcher::direct::Next;

fn bench(max_batch_size: u32, instances: usize) -> Bench {
    Bench::new(policy(max_batch_size, &format!("direct {{ }} {CONTROLS} {STATE}")), instances)
}

#[test]
fn a_sequence_goes_from_start_to_end_and_is_summed_up() {
    let bench = bench(4, 1);
    let answers = [bench.send(7, "S", 1), bench.send(7, "", 2), bench.send(7, "E", 3)];
    assert_eq!(bench.run(0), ["7:S1"]);
    assert_eq!(bench.run(0), ["7:2"]);
    assert_eq!(bench.run(0), ["7:E3"]);
    assert_eq!(answers.map(|answer| answered(answer).unwrap()), [Ok(1), Ok(3), Ok(6)]);
    assert_eq!(bench.batcher.pending(), 0);
}

#[test]
fn requests_that_belong_to_no_sequence_are_refused_in_tritons_words() {
    let bench = bench(4, 1);
    let no_id = "Invalid argument: inference request to model 'm' must specify a non-zero or non-empty correlation ID";
    assert_eq!(bench.refused(None), no_id);
    let not_started = |id: &str| {
        format!(
            "Invalid argument: inference request for sequence {id} to model 'm' must specify the START flag on the \
             first request of the sequence"
        )
    };
    assert_eq!(bench.refused(Some(sequence(77, ""))), not_started("77"));
    assert_eq!(bench.refused(Some(sequence(77, "E"))), not_started("77"));
    let _answers = [bench.send(77, "S", 1), bench.send(77, "E", 1)];
    assert_eq!(bench.refused(Some(sequence(77, ""))), not_started("77"), "after its END");
    let (mut request, _answer) = bench.request(Some(sequence(5, "S")), 0);
    request.batch_size = 2;
    assert_eq!(
        bench.push(request).unwrap_err().message(),
        "inference request to model 'm' must specify batch-size 1 due to requirements of sequence batcher"
    );
}

#[test]
fn a_text_as_id_is_told_from_a_number_and_refused_by_a_model_of_numbers() {
    let text =
        |flags: &str| Sequence { correlation_id: CorrelationId::Text("7".into()), ..sequence(0, flags) };
    let bench = bench(4, 1);
    let refused = bench.refused(Some(text("S")));
    assert!(refused.contains("sequence 7 to model 'm' must have a number as correlation ID"), "{refused}");
    let without_control = Bench::new(policy(4, STATE), 1);
    let _number = without_control.send(7, "S", 1);
    let refused = without_control.refused(Some(text("")));
    assert!(refused.contains("sequence 7 to model 'm' must specify the START flag"), "{refused}");
    let (request, _answer) = without_control.request(Some(text("S")), 1);
    without_control.push(request).unwrap();
}

#[test]
fn slots_are_given_away_evenly_and_keep_their_sequence() {
    let bench = bench(2, 2);
    let _answers = [1, 2, 3, 4].map(|id| bench.send(id, "S", 0));
    assert_eq!(bench.run(0), ["1:S0", "3:S0"]);
    assert_eq!(bench.run(1), ["2:S0", "4:S0"]);
    let _answers = [bench.send(4, "", 1), bench.send(3, "", 1)];
    assert_eq!(bench.run(0), ["-", "3:1"]);
    assert_eq!(bench.run(1), ["-", "4:1"]);
}

#[test]
fn more_sequences_than_slots_wait_in_order() {
    let bench = bench(1, 1);
    let answers = [
        bench.send(1, "S", 1),
        bench.send(2, "S", 10),
        bench.send(3, "SE", 100),
        bench.send(2, "", 20),
        bench.send(1, "E", 2),
        bench.send(2, "E", 30),
    ];
    assert_eq!(bench.batcher.pending(), 6);
    for row in ["1:S1", "1:E2", "2:S10", "2:20", "2:E30", "3:SE100"] {
        assert_eq!(bench.run(0), [row]);
    }
    let sums: Vec<_> = answers.into_iter().map(|answer| answered(answer).unwrap().unwrap()).collect();
    assert_eq!(sums, [1, 10, 100, 30, 3, 60]);
    assert_eq!(bench.batcher.pending(), 0);
}

#[test]
fn a_start_in_the_middle_begins_anew() {
    let bench = bench(4, 1);
    let answers = [bench.send(1, "S", 1), bench.send(1, "", 2), bench.send(1, "S", 5), bench.send(1, "E", 1)];
    for row in ["1:S1", "1:2", "1:S5", "1:E1"] {
        assert_eq!(bench.run(0), [row]);
    }
    assert_eq!(answers.map(|answer| answered(answer).unwrap()), [Ok(1), Ok(3), Ok(5), Ok(6)]);
}

#[test]
fn an_id_that_is_used_again_waits_for_its_old_sequence() {
    let bench = bench(2, 1);
    let _answers = [bench.send(1, "S", 1), bench.send(1, "E", 2), bench.send(1, "S", 3)];
    assert_eq!(bench.run(0), ["1:S1"]);
    assert_eq!(bench.run(0), ["1:E2"]);
    assert_eq!(bench.run(0), ["-", "1:S3"], "another slot, but not before");
}

#[test]
fn an_idle_sequence_loses_its_slot() {
    let bench = bench(1, 1);
    let first = bench.send(1, "S", 1);
    assert_eq!(bench.run(0), ["1:S1"]);
    assert_eq!(answered(first), Some(Ok(1)));
    let _waiting = bench.send(2, "S", 1);
    bench.pass(Duration::from_millis(999));
    assert_eq!(bench.reap(), Some(Duration::from_millis(1)));
    assert_eq!(bench.run(0), [""; 0], "not yet");
    bench.pass(Duration::from_millis(1));
    bench.reap();
    assert_eq!(bench.run(0), ["2:S1"], "the next one of the backlog has it");
    let refused = bench.refused(Some(sequence(1, "")));
    assert!(refused.contains("sequence 1 to model 'm' must specify the START flag"), "{refused}");
}

#[test]
fn a_late_request_is_refused_though_nobody_looked() {
    let bench = bench(4, 1);
    let _first = bench.send(1, "S", 1);
    assert_eq!(bench.run(0), ["1:S1"]);
    bench.pass(Duration::from_millis(999));
    let _second = bench.send(1, "", 1);
    assert_eq!(bench.run(0), ["1:1"]);
    bench.pass(Duration::from_secs(1));
    assert!(bench.refused(Some(sequence(1, ""))).contains("must specify the START flag"));
}

#[test]
fn a_sequence_with_a_request_is_not_idle_however_long_it_takes() {
    let bench = bench(1, 1);
    let _queued = [bench.send(1, "S", 1), bench.send(2, "S", 1)];
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.reap(), Some(Duration::from_millis(500)), "clients may go away meanwhile");
    let batch = bench.pull(0);
    bench.pass(Duration::from_secs(9));
    bench.reap();
    drop(batch);
    let _next = bench.send(1, "", 1);
    assert_eq!(bench.run(0), ["1:1"]);
}

#[test]
fn without_sequences_the_reaper_has_nothing_to_do() {
    let bench = bench(4, 2);
    assert_eq!(bench.reap(), None);
    let _answer = bench.send(1, "SE", 1);
    assert_eq!(bench.run(0), ["1:SE1"]);
    assert_eq!(bench.reap(), None);
}

#[test]
fn a_sequence_that_waited_longer_than_its_client_wants_is_rejected() {
    let bench = bench(1, 1);
    let _first = bench.send(1, "S", 1);
    let waiting = bench.send(2, "S", 1);
    let (mut request, impatient) = bench.request(Some(sequence(2, "")), 1);
    request.timeout = Some(Duration::from_millis(5));
    bench.push(request).unwrap();
    let other = bench.send(3, "SE", 1);
    bench.pass(Duration::from_millis(4));
    assert_eq!(bench.reap(), Some(Duration::from_millis(1)));
    bench.pass(Duration::from_millis(1));
    bench.reap();
    assert_eq!(answered(waiting), Some(Err(Code::Unavailable)));
    assert_eq!(answered(impatient), Some(Err(Code::Unavailable)));
    assert!(answered(other).is_none());
    assert!(bench.refused(Some(sequence(2, ""))).contains("must specify the START flag"));
    assert_eq!(bench.batcher.pending(), 1 + 1);
}

#[test]
fn a_cancelled_request_takes_what_waits_behind_it_along() {
    let bench = bench(1, 1);
    let (gone, behind) = (bench.send(1, "S", 1), bench.send(1, "", 2));
    let next = bench.send(2, "SE", 3);
    drop(gone);
    assert_eq!(bench.run(0), ["2:SE3"]);
    assert_eq!(answered(behind), Some(Err(Code::Cancelled)));
    assert_eq!(answered(next), Some(Ok(3)));
    assert!(bench.refused(Some(sequence(1, ""))).contains("must specify the START flag"));
}

#[test]
fn a_cancelled_sequence_in_the_backlog_never_gets_a_slot() {
    let bench = bench(1, 1);
    let _running = bench.send(1, "S", 1);
    let (start, gone) = (bench.send(2, "S", 2), bench.send(2, "", 3));
    let next = bench.send(3, "SE", 4);
    drop(gone);
    let _last = bench.send(1, "E", 1);
    assert_eq!(bench.run(0), ["1:S1"]);
    assert_eq!(bench.run(0), ["1:E1"]);
    assert_eq!(bench.run(0), ["3:SE4"]);
    assert_eq!(answered(start), Some(Err(Code::Cancelled)));
    assert_eq!(answered(next), Some(Ok(4)));
}

#[test]
fn a_cancelled_sequence_is_answered_while_others_keep_the_slots() {
    let bench = bench(2, 1);
    let _running = bench.send(1, "S", 1);
    let batch = bench.pull(0);
    let (gone, behind) = (bench.send(2, "S", 2), bench.send(2, "", 3));
    let (start, cancelled, last) = (bench.send(3, "S", 4), bench.send(3, "", 5), bench.send(3, "E", 6));
    let stays = bench.send(4, "SE", 7);
    drop((gone, cancelled));
    bench.reap();
    assert_eq!([behind, start, last].map(answered), [Some(Err(Code::Cancelled)); 3]);
    for id in [2, 3] {
        assert!(bench.refused(Some(sequence(id, ""))).contains("must specify the START flag"));
    }
    assert_eq!(bench.batcher.pending(), 1);
    drop(batch);
    assert_eq!(bench.run(0), ["-", "4:SE7"]);
    assert_eq!(answered(stays), Some(Ok(7)));
}

#[test]
fn after_the_end_of_all_everything_that_waits_is_executed() {
    let bench = bench(1, 1);
    let answers = [bench.send(1, "S", 1), bench.send(2, "S", 2), bench.send(3, "S", 3), bench.send(2, "", 2)];
    bench.batcher.close();
    for row in ["1:S1", "2:S2", "2:2", "3:S3"] {
        assert_eq!(bench.run(0), [row]);
    }
    assert_eq!(bench.try_pull(0).0, Next::End);
    assert!(answers.into_iter().all(|answer| answered(answer).unwrap().is_ok()));
}

#[test]
fn a_batch_waits_for_more_sequences_where_the_config_wants_it() {
    let batching = format!(
        "direct {{ minimum_slot_utilization: 0.75 max_queue_delay_microseconds: 5000 }} {CONTROLS} {STATE}"
    );
    let bench = Bench::new(policy(4, &batching), 1);
    let _answers = [bench.send(1, "S", 1), bench.send(2, "S", 2)];
    assert!(matches!(bench.try_pull(0), (Next::Wait(Some(_)), batch) if batch.is_empty()));
    let _third = bench.send(3, "S", 3);
    assert_eq!(bench.run(0), ["1:S1", "2:S2", "3:S3"], "three of four slots");
    let _late = bench.send(1, "", 1);
    assert_eq!(bench.run(0), [""; 0]);
    bench.pass(Duration::from_millis(5));
    assert_eq!(bench.run(0), ["1:1"], "after the delay");
}

#[test]
fn a_test_may_have_requests_collected_first() {
    let policy = policy(1, &format!("direct {{ }} {CONTROLS} {STATE}")).with_delays(2, 1);
    let bench = Bench::new(policy, 2);
    let _answers = [bench.send(1, "S", 1), bench.send(2, "S", 1)];
    assert_eq!(bench.run(0), [""; 0], "the backlog is empty");
    // The last that is waited for, and no slot gets it.
    let (request, _backlog) = bench.request(Some(sequence(3, "S")), 1);
    assert_eq!(bench.woken_by(request), [0, 1]);
    let (request, _same) = bench.request(Some(sequence(3, "")), 1);
    assert_eq!(bench.woken_by(request), [0, 1]);
    assert_eq!(bench.run(0), ["1:S1"]);
    assert_eq!(bench.run(1), ["2:S1"]);
    let _more = bench.send(1, "", 1);
    assert_eq!(bench.run(0), ["1:1"], "only at first");
}
