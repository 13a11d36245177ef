//! The table as text.

use crate::Settings;
use crate::history::{History, Row};
use crate::layout::{self, Layout};
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

/// The part of the table that is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// Lines of the terminal; `None` shows all models.
    pub(crate) height: Option<usize>,
    /// The first model that is shown.
    pub(crate) first: usize,
}

/// What is shown, with the view as it came out: no model below the last is the first.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) first: usize,
    /// How many models there is room for.
    pub(crate) rows: usize,
}

/// Head and table, no line wider than the view, and no more lines than it has.
pub(crate) fn text(history: &History, settings: &Settings, fault: Option<&str>, view: View) -> Shown {
    let mut text = String::new();
    let width = view.width;
    line(&mut text, &head(&history.page, settings), width);
    if view.height.is_some() {
        line(&mut text, KEYS, width);
    }
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
    let longest =
        models.iter().map(|(name, ..)| layout::length(&name.model, &name.version)).max().unwrap_or(5);
    let layout = Layout::of(width, longest);
    line(&mut text, &layout.titles(), width);
    let above = text.lines().count();
    let rows = view.height.map_or(models.len(), |height| height.saturating_sub(above));
    // The last line says how many are left.
    let rows = if rows < models.len() { rows.saturating_sub(1).max(1) } else { rows };
    let first = view.first.min(models.len().saturating_sub(rows));
    for (name, rows, row) in models.iter().skip(first).take(rows) {
        line(&mut text, &layout.row((&name.model, &name.version), row, rows), width);
    }
    if rows < models.len() {
        let (below, more) = (models.len() - first - rows, models.len() - rows);
        line(&mut text, &format!("{more} more: {first} above, {below} below"), width);
    }
    Shown { text, first, rows }
}

/// What keys do, in a line that a terminal of 80 columns has room for.
const KEYS: &str = "r, l, w, n: by requests, latency, waiting, name; arrows, PgUp, PgDn; q ends";

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

fn head(page: &Page, settings: &Settings) -> String {
    let sum = |part: fn(&crate::page::Counters) -> f64| page.models.values().map(part).sum::<f64>();
    format!(
        "{}:{}  {} {}  {:.0} requests answered, {:.0} failed, {:.0} wait  every {} s",
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
        let mut settings = Settings {
            address,
            headers: String::new(),
            interval: Duration::from_secs(1),
            sort: Sort::Requests,
            count: None,
        };
        let all = |width| View { width, ..View::default() };
        let shown = text(&history, &settings, None, all(200)).text;
        assert!(shown.contains("processors 42 %") && shown.contains("localhost:8002  2 models"), "{shown}");
        assert!(shown.find("beta 1").unwrap() < shown.find("alpha 1").unwrap(), "{shown}");
        assert!(shown.contains("     30.0"), "{shown}");
        // Latency rises, so do the bars.
        assert!(shown.lines().any(|line| line.ends_with("▁▄█") || line.ends_with("▁▅█")), "{shown}");
        settings.sort = Sort::Name;
        let shown = text(&history, &settings, Some("it is\u{1b}gone"), all(40)).text;
        assert!(shown.find("alpha 1").unwrap() < shown.find("beta 1").unwrap());
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(shown.contains("no answer") && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn models_that_do_not_fit_are_told_and_reached() {
        let begun = Instant::now();
        let page = || {
            let line = |model: u32| {
                format!("nv_inference_request_success{{model=\"m{model:03}\",version=\"1\"}} 0\n")
            };
            Page::read(&(0..300).map(line).collect::<String>())
        };
        let mut history = History::new(page(), begun);
        history.add(page(), begun + Duration::from_secs(1));
        let address = "localhost".parse().unwrap();
        let settings = Settings {
            address,
            headers: String::new(),
            interval: Duration::from_secs(1),
            sort: Sort::Name,
            count: None,
        };
        let look =
            |height, first| text(&history, &settings, None, View { width: 80, height: Some(height), first });
        let shown = look(23, 0);
        assert_eq!(shown.text.lines().count(), 23);
        assert!(shown.text.contains("arrows, PgUp, PgDn"), "{}", shown.text);
        assert!(shown.text.contains("m000 1"), "{}", shown.text);
        let more = 300 - shown.rows;
        assert!(shown.text.ends_with(&format!("{more} more: 0 above, {more} below\n")), "{}", shown.text);
        let shown = look(23, 100);
        assert_eq!(shown.first, 100);
        assert!(shown.text.contains("m100 1") && !shown.text.contains("m099 1"), "{}", shown.text);
        // The end is a full page.
        let shown = look(23, usize::MAX);
        assert_eq!(shown.first, more);
        assert!(shown.text.contains("m299 1") && shown.text.contains(", 0 below"), "{}", shown.text);
        // No window is too small for one.
        assert_eq!(look(1, 5).rows, 1);
        let shown = text(&history, &settings, None, View { width: 80, ..View::default() });
        assert!(shown.text.contains("m299 1") && !shown.text.contains("more"), "a script gets all");
    }
}
