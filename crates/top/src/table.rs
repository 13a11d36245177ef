//! The table as text.

use std::collections::VecDeque;
use std::fmt::Write;

use crate::Settings;
use crate::history::{History, LENGTH, Row};
use crate::page::Page;

/// By which column the models are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Requests,
    Latency,
    Pending,
    Name,
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Head and table, no line wider than `width`.
pub(crate) fn text(history: &History, settings: &Settings, fault: Option<&str>, width: usize) -> String {
    let mut text = String::new();
    line(&mut text, &head(&history.page, settings), width);
    line(&mut text, &machine(&history.page), width);
    if let Some(fault) = fault {
        line(&mut text, &format!("no answer, what follows is old: {fault}"), width);
    }
    text.push('\n');
    let mut models: Vec<_> =
        history.rows.iter().filter_map(|(name, rows)| Some((name, rows, rows.back()?))).collect();
    models.sort_by(|a, b| {
        key(settings.sort, b.2).total_cmp(&key(settings.sort, a.2)).then_with(|| a.0.cmp(b.0))
    });
    let named = |name: &crate::page::Name| format!("{} {}", name.model, name.version);
    let longest = models.iter().map(|(name, ..)| named(name).chars().count()).max().unwrap_or(5).clamp(5, 32);
    let titles = format!(
        "{:<longest$}  {:>9}  {:>7}  {:>5}  {:>8}  {:>8}  {:>8}  {:>7}  latency",
        "model", "req/s", "fail/s", "batch", "queue", "mean ms", "p99 ms", "waiting"
    );
    line(&mut text, &titles, width);
    for (name, rows, row) in models {
        let shown: String = named(name)
            .chars()
            .take(longest)
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let entry = format!(
            "{shown:<longest$}  {:>9.1}  {:>7.1}  {:>5.1}  {:>8}  {:>8}  {:>8}  {:>7.0}  {}",
            row.requests,
            row.failures,
            row.batch,
            number(row.queue),
            number(row.latency),
            number(row.p99),
            row.pending,
            chart(rows)
        );
        line(&mut text, &entry, width);
    }
    text
}

fn key(sort: Sort, row: &Row) -> f64 {
    match sort {
        Sort::Requests => row.requests,
        Sort::Latency => row.latency.unwrap_or(-1.0),
        Sort::Pending => row.pending,
        Sort::Name => 0.0,
    }
}

fn line(text: &mut String, line: &str, width: usize) {
    // Names and faults are others' words: no letter of theirs moves the cursor.
    text.extend(line.chars().take(width).map(|letter| if letter.is_control() { ' ' } else { letter }));
    while text.ends_with(' ') {
        text.pop();
    }
    text.push('\n');
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn head(page: &Page, settings: &Settings) -> String {
    let sum = |part: fn(&crate::page::Counters) -> f64| page.models.values().map(part).sum::<f64>();
    format!(
        "{}:{}  {} {}  {:.0} requests answered, {:.0} failed, {:.0} wait     every {} s; r requests, l latency, w waiting, n name, q ends",
        settings.address.host,
        settings.address.port,
        page.models.len(),
        if page.models.len() == 1 { "model" } else { "models" },
        sum(|counters| counters.success),
        sum(|counters| counters.failure),
        sum(|counters| counters.pending),
        settings.interval.as_secs_f64()
    )
}

/// What the page says of the machine.
fn machine(page: &Page) -> String {
    let mut parts = Vec::new();
    let mut add = |metric: &str, write: &dyn Fn(f64) -> String| parts.extend(page.sum(metric).map(write));
    add("nv_cpu_utilization", &|share| format!("processors {:.0} %", share * 100.0));
    add("nv_cpu_memory_used_bytes", &|bytes| format!("memory {:.1} GB used", bytes / 1e9));
    add("nv_server_connections", &|count| format!("{count:.0} connections"));
    add("nv_server_open_requests", &|count| format!("{count:.0} open requests"));
    parts.extend(
        page.mean("nv_gpu_utilization").map(|share| format!("GPUs {:.0} % on average", share * 100.0)),
    );
    let mut add = |metric: &str, write: &dyn Fn(f64) -> String| parts.extend(page.sum(metric).map(write));
    add("nv_gpu_memory_used_bytes", &|bytes| format!("their memory {:.1} GB used", bytes / 1e9));
    parts.join("  ")
}

/// The latencies of the last intervals as bars, the highest of them full; a gap where nothing was answered.
fn chart(rows: &VecDeque<Row>) -> String {
    let highest = rows.iter().filter_map(|row| row.latency).fold(0.0, f64::max);
    let mut chart = String::new();
    let _ = write!(chart, "{:>gap$}", "", gap = LENGTH.saturating_sub(rows.len()));
    chart.extend(rows.iter().map(|row| match row.latency {
        Some(latency) if highest > 0.0 => BARS[((latency / highest * 8.0) as usize).clamp(1, 8) - 1],
        _ => ' ',
    }));
    chart
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn page(requests: [f64; 2]) -> Page {
        let line = |model: &str, count: f64| {
            format!(
                "nv_inference_request_success{{model=\"{model}\",version=\"1\"}} {count}\nnv_inference_request_duration_us{{model=\"{model}\",version=\"1\"}} {}\n",
                count * count * 10.0
            )
        };
        Page::read(&(line("alpha", requests[0]) + &line("beta", requests[1]) + "nv_cpu_utilization 0.42\n"))
    }

    #[test]
    fn rows_are_sorted_and_no_line_is_too_wide() {
        let begun = Instant::now();
        let mut history = History::new(page([0.0, 0.0]), begun);
        for second in 1..4_u32 {
            let count = f64::from(second * 10);
            history.add(page([count, count * 3.0]), begun + Duration::from_secs(u64::from(second)));
        }
        let address = "localhost".parse().unwrap();
        let mut settings =
            Settings { address, interval: Duration::from_secs(1), sort: Sort::Requests, count: None };
        let shown = text(&history, &settings, None, 200);
        assert!(shown.contains("processors 42 %") && shown.contains("localhost:8002  2 models"), "{shown}");
        assert!(shown.find("beta 1").unwrap() < shown.find("alpha 1").unwrap(), "{shown}");
        assert!(shown.contains("     30.0"), "{shown}");
        // Latency rises, so do the bars.
        assert!(shown.lines().any(|line| line.ends_with("▁▄█") || line.ends_with("▁▅█")), "{shown}");
        settings.sort = Sort::Name;
        let shown = text(&history, &settings, Some("it is\u{1b}gone"), 40);
        assert!(shown.find("alpha 1").unwrap() < shown.find("beta 1").unwrap());
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(shown.contains("no answer") && !shown.contains('\u{1b}'), "{shown}");
    }
}
