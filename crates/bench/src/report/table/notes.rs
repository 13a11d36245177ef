//! What a reader must know of a level beside its numbers.

use std::fmt::Write;

use super::super::time::duration;
use super::thousands;
use crate::plan::Load;
use crate::point::Point;
use crate::samples::is_stable;

pub(crate) fn write(text: &mut String, point: &Point) {
    let name = point.name();
    let mut note = |note: &str| {
        let _ = writeln!(text, "{name}: {note}");
    };
    if let Some(first) = &point.record.first {
        let at = |quantile| duration(first.value_at_quantile(quantile));
        note(&format!(
            "{} responses, the first of a request after {} (p50), {} (p99)",
            thousands(point.record.responses as f64),
            at(0.5),
            at(0.99)
        ));
    }
    for doubt in doubts(point) {
        note(&doubt);
    }
    if point.is_interrupted {
        note("interrupted; these are the requests until then");
    }
    if point.record.unanswered > 0 {
        let count = thousands(point.record.unanswered as f64);
        note(&format!("{count} requests had no answer when the time for it was over; --timeout allows more"));
    }
    if point.record.unsent > 0 {
        // Nanoseconds, as latencies are.
        let waited = duration(u64::try_from(point.record.waited.as_nanos()).unwrap_or(u64::MAX));
        let count = thousands(point.record.unsent as f64);
        note(&format!(
            "{count} requests were due and not sent, as {} were under way all the time: when it was over, the first of them had waited for \
             {waited}. Latencies are of those that were sent",
            point.load.workers()
        ));
    }
    for (error, count) in &point.record.errors {
        note(&format!("{} failed: {error}", thousands(*count as f64)));
    }
    if let Some(why) = &point.gave_up {
        note(&format!("given up, the server cannot be reached any more: {why}; is it still running?"));
    }
}

/// Why the numbers may not be what they seem.
fn doubts(point: &Point) -> Vec<String> {
    let mut doubts = Vec::new();
    // By how much the number of random requests may differ from its mean.
    let chance = 3.0 / (point.record.answered().max(1) as f64).sqrt();
    if let Load::Open { rate, .. } = point.load
        && point.rate() < (0.95 - chance) * rate
        && !point.is_interrupted
        && point.record.failed() == 0
    {
        let whole = |rate: f64| if rate < 10.0 { format!("{rate:.2}") } else { thousands(rate) };
        let (rate, reached) = (whole(rate), whole(point.rate()));
        doubts.push(format!("the server did not keep up: {reached} of {rate} a second were answered"));
    }
    if point.record.answered() > 0 && is_stable(&point.rates) == Some(false) {
        let least = point.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = point.rates.iter().copied().fold(0.0, f64::max);
        doubts.push(format!(
            "not stable, between {} and {} a second; measure longer by --seconds, or look for what else runs",
            thousands(least),
            thousands(most)
        ));
    }
    if point.is_limit() {
        doubts.push(format!(
            "the load generator was busy for {:.0} % of the time of its {} threads, so it may be the limit; give it more \
             processors",
            point.busy() * 100.0,
            point.threads
        ));
    }
    doubts
}
