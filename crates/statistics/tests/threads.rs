//! What several threads report is counted as if one had reported all of it.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_events::{
    ExecutionTimes, FailureReason, GpuNumber, ModelEvent, ModelId, Observer, Outcome, RequestContext,
    RequestEvent, ResponseOutcome, ResponseTimes,
};
use hippocamp_statistics::{Counters, ModelStatistics, WantedLatencies};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a thread reports, with durations in microseconds.
#[derive(Clone, Copy, Debug)]
enum Report {
    /// An execution and its requests, of which it had so many.
    Batch(u64, [u64; 3]),
    /// A request that was an execution of its own.
    Alone([u64; 3]),
    Cached(u64),
    Missed(u64),
    Failed(usize),
    Response(usize, u64),
}

fn reports() -> impl Strategy<Value = Vec<Report>> {
    let phases = || prop::array::uniform3(0..60_000u64);
    let report = prop_oneof![
        (2..9u64, phases()).prop_map(|(count, phases)| Report::Batch(count, phases)),
        phases().prop_map(Report::Alone),
        (0..3_000_000u64).prop_map(Report::Cached),
        (0..9_000u64).prop_map(Report::Missed),
        (0..FailureReason::ALL.len()).prop_map(Report::Failed),
        (0..40usize, 0..9_000u64).prop_map(|(index, took)| Report::Response(index, took)),
    ];
    vec(report, 1..60)
}

/// Reports to `statistics`, all of it at the same moment, as what happens on that GPU.
fn report(statistics: &ModelStatistics, begin: Instant, gpu: Option<i32>, report: Report) {
    let model = ModelId { name: "m".into(), version: 1 };
    let context = RequestContext { gpu: gpu.and_then(GpuNumber::new), ..RequestContext::new(begin) };
    let after = |us: u64| begin + Duration::from_micros(us);
    let times = |[input, infer, output]: [u64; 3]| ExecutionTimes {
        started: after(5),
        inputs_ready: after(5 + input),
        outputs_begun: after(5 + input + infer),
        finished: after(5 + input + infer + output),
    };
    let ended = |outcome, at| RequestEvent::Ended { outcome, at };
    match report {
        Report::Batch(count, phases) => {
            let times = &times(phases);
            let executed = ModelEvent::Executed { batch_size: count, inferences: count, times, gpu };
            statistics.on_model(&model, &executed);
            for _ in 0..count {
                let outcome = Outcome::Success { queued: after(1), times };
                statistics.on_request(&model, &context, &ended(outcome, times.finished));
            }
        }
        Report::Alone(phases) => {
            let times = &times(phases);
            let executed = ModelEvent::Executed { batch_size: 1, inferences: 1, times, gpu };
            let outcome = Outcome::Success { queued: after(1), times };
            let end = ended(outcome, times.finished);
            statistics.on_batch(&model, &executed, &mut std::iter::once((&context, end)));
        }
        Report::Cached(took) => {
            let outcome = Outcome::Cached { queued: after(1), looked: after(2) };
            statistics.on_request(&model, &context, &ended(outcome, after(2 + took)));
        }
        Report::Missed(took) => {
            let (looked, kept) = (Duration::from_micros(took), Duration::from_micros(2 * took));
            statistics.on_model(&model, &ModelEvent::CacheMissed { looked, kept });
        }
        Report::Failed(reason) => {
            let outcome = Outcome::Failed { reason: FailureReason::ALL[reason], message: "told to" };
            statistics.on_request(&model, &context, &ended(outcome, after(7)));
        }
        Report::Response(index, took) => {
            let times =
                ResponseTimes { started: begin, output_begun: Some(after(took)), finished: after(took + 1) };
            let event = RequestEvent::Responded { index, outcome: ResponseOutcome::Success, times };
            statistics.on_request(&model, &context, &event);
        }
    }
}

fn statistics() -> ModelStatistics {
    let wanted = WantedLatencies { summaries: true, first_response_ms: Some(vec![1e9]) };
    ModelStatistics::with_latencies(&wanted)
}

/// All that is counted, but for the time of day.
fn all(statistics: &ModelStatistics) -> String {
    let counters = Counters { last_inference_ms: 0, ..statistics.snapshot() };
    let summaries = statistics.latency_summaries(&[0.0, 0.5, 0.99, 1.0]);
    // The sum of the times to the first response is read from the clock.
    let first: Vec<_> = statistics.first_responses().into_iter().map(|h| h.cumulative().last()).collect();
    format!("{counters:?} {summaries:?} {first:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_sum_is_exact_and_so_is_each_gpu(threads in vec(reports(), 2..6)) {
        const TIMES: usize = 20;
        let gpus = [None, Some(2), Some(1), Some(2), None, Some(1)];
        let (divided, whole, begin) = (statistics(), statistics(), Instant::now());
        let ready = Barrier::new(threads.len() + 1);
        thread::scope(|scope| {
            let running: Vec<_> = threads
                .iter()
                .zip(gpus)
                .map(|(reports, gpu)| {
                    let (ready, divided) = (&ready, &divided);
                    scope.spawn(move || {
                        ready.wait();
                        let reports = reports.iter().cycle().take(reports.len() * TIMES);
                        reports.for_each(|r| report(divided, begin, gpu, *r));
                    })
                })
                .collect();
            ready.wait();
            let mut before = Counters::default();
            // Whoever reads meets those who write, and nothing is taken back.
            while running.iter().any(|thread| !thread.is_finished()) {
                let now = divided.snapshot();
                assert!(now.success.count >= before.success.count && now.execution_count >= before.execution_count);
                before = now;
            }
        });
        let parts = [statistics(), statistics(), statistics()];
        for (reports, gpu) in threads.iter().zip(gpus) {
            for reported in reports.iter().cycle().take(reports.len() * TIMES) {
                // What has to do with the cache is no GPU's.
                let gpu = gpu.filter(|_| !matches!(reported, Report::Cached(_) | Report::Missed(_)));
                for statistics in [&whole, &parts[gpu.map_or(0, |gpu| gpu as usize)]] {
                    report(statistics, begin, None, *reported);
                }
            }
        }
        prop_assert_eq!(all(&divided), all(&whole));
        let (elsewhere, on_gpus) = divided.snapshot_by_gpu(&[1, 2]);
        for (counted, part) in [elsewhere].iter().chain(&on_gpus).zip(&parts) {
            let expected = Counters { last_inference_ms: 0, ..part.snapshot() };
            prop_assert_eq!(format!("{counted:?}"), format!("{expected:?}"));
        }
    }
}

#[test]
fn the_last_inference_is_the_latest_of_all_threads() {
    let model = ModelId { name: "m".into(), version: 1 };
    let now = Instant::now();
    let executed = |statistics: &ModelStatistics, seconds_ago: u64| {
        let times = &ExecutionTimes::starting(now.checked_sub(Duration::from_secs(seconds_ago)).unwrap());
        statistics.on_model(&model, &ModelEvent::Executed { batch_size: 1, inferences: 1, times, gpu: None });
    };
    let (all, last) = (statistics(), statistics());
    thread::scope(|scope| {
        for seconds_ago in [9, 3, 6] {
            let (all, executed) = (&all, &executed);
            scope.spawn(move || executed(all, seconds_ago));
        }
    });
    executed(&last, 3);
    let (all, last) = (all.snapshot().last_inference_ms, last.snapshot().last_inference_ms);
    assert!(all.abs_diff(last) < 1_500, "{all} {last}");
}
