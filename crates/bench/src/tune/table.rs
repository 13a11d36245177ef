//! What was tried, as text.

use std::fmt::Write;

use super::Tuned;

/// The share of the machine above which it is told that others took it.
const MUCH: f64 = 0.1;

pub(crate) fn render(tuned: &Tuned) -> String {
    let mut out = String::new();
    let goal = tuned.goal.latency_ms.map_or_else(
        || "the highest throughput".to_owned(),
        |most| format!("the highest throughput with 99 % of requests within {most} ms"),
    );
    let _ = writeln!(out, "{}: {} settings tried for {goal}\n", tuned.model, tuned.tried.len());
    let _ = writeln!(out, "  {:<46} {:>10} {:>10} {:>10}", "settings", "under way", "a second", "p99 ms");
    for (index, tried) in tuned.tried.iter().enumerate() {
        let mark = if index == tuned.best { '*' } else { ' ' };
        let shown = tried.outcome.chosen(tuned.goal);
        let _ = match (shown, &tried.outcome.refused) {
            (_, Some(why)) => writeln!(out, "{mark} {:<46} {why}", tried.settings.to_string()),
            (Some(level), None) => writeln!(
                out,
                "{mark} {:<46} {:>10} {:>10.0} {:>10.2}",
                tried.settings.to_string(),
                level.concurrency,
                level.rate,
                level.p99_ms
            ),
            (None, None) => writeln!(out, "{mark} {:<46} not measured", tried.settings.to_string()),
        };
    }
    let best = &tuned.tried[tuned.best].outcome;
    if let (None, Some(level)) = (best.best(tuned.goal), best.chosen(tuned.goal)) {
        let _ = writeln!(
            out,
            "\nNo settings answer 99 % of requests in time: the shortest that was found is {:.2} ms.",
            level.p99_ms
        );
    }
    if let Some(share) = tuned.others.filter(|share| *share > MUCH) {
        let _ = writeln!(
            out,
            "\nOther processes took {:.0} % of the processors meanwhile: on a quiet machine the result may be another one.",
            100.0 * share
        );
    }
    let _ = match &tuned.change {
        None => writeln!(out, "\nNothing is clearly better than the config as it is."),
        Some(change) if change.is_written => {
            writeln!(out, "\nWritten to {}: {}", change.path.display(), tuned.tried[tuned.best].settings)
        }
        Some(change) => {
            writeln!(out, "\n{} would be:\n\n{}", change.path.display(), change.text.trim_end())
        }
    };
    out
}
