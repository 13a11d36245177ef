//! The columns of the table, as many as the terminal has room for.

use std::collections::VecDeque;
use std::fmt::Write;

use crate::history::{LENGTH, Row};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A name may be cut to this.
const SHORT_NAME: usize = 16;

/// A name has no more room than this, however long it is.
const LONG_NAME: usize = 60;

/// A chart with fewer bars says nothing.
const SHORT_CHART: usize = 8;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Requests,
    Failures,
    Batch,
    Queue,
    Mean,
    P99,
    Waiting,
}

use Column::{Batch, Failures, Mean, P99, Queue, Requests, Waiting};

const COLUMNS: [Column; 7] = [Requests, Failures, Batch, Queue, Mean, P99, Waiting];

/// The order in which columns are left out where there is no room.
const LEFT_OUT: [Column; 6] = [Batch, Queue, Failures, Mean, Waiting, P99];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Requests => "req/s",
            Failures => "fail/s",
            Batch => "batch",
            Queue => "queue",
            Mean => "mean ms",
            P99 => "p99 ms",
            Waiting => "waiting",
        }
    }

    fn width(self) -> usize {
        match self {
            Requests => 8,
            Failures => 6,
            Batch => 5,
            Queue | Mean | P99 | Waiting => 7,
        }
    }

    fn of(self, row: &Row) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        match self {
            Requests => format!("{:.1}", row.requests),
            Failures => format!("{:.1}", row.failures),
            Batch => format!("{:.1}", row.batch),
            Queue => number(row.queue),
            Mean => number(row.latency),
            P99 => number(row.p99),
            Waiting => format!("{:.0}", row.pending),
        }
    }
}

/// How wide what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    name: usize,
    gap: usize,
    columns: Vec<Column>,
    /// Bars; 0 without a chart.
    chart: usize,
}

/// How long a name with its version is.
pub(crate) fn length(model: &str, version: &str) -> usize {
    model.chars().count() + 1 + version.chars().count()
}

impl Layout {
    /// Names give way first, then the chart and the gaps; then columns are left out whole.
    pub(crate) fn of(width: usize, longest: usize) -> Layout {
        let name = longest.clamp(5, SHORT_NAME);
        let mut columns = COLUMNS.to_vec();
        let mut left_out = LEFT_OUT.iter();
        loop {
            for gap in [2, 1] {
                let numbers: usize = columns.iter().map(|column| gap + column.width()).sum();
                let least = name + numbers + gap + SHORT_CHART;
                if least <= width {
                    let mut room = width - least;
                    let chart = SHORT_CHART + room.min(LENGTH - SHORT_CHART);
                    room -= chart - SHORT_CHART;
                    let name = name + room.min(longest.min(LONG_NAME).saturating_sub(name));
                    return Layout { name, gap, columns, chart };
                }
            }
            match left_out.next() {
                Some(column) => columns.retain(|other| other != column),
                None => return Layout { name, gap: 1, columns, chart: 0 },
            }
        }
    }

    pub(crate) fn titles(&self) -> String {
        let chart = if self.chart == 0 { "" } else { "latency" };
        self.line("model", |column| column.title().to_owned(), chart)
    }

    /// The line of a model and version.
    pub(crate) fn row(&self, (model, version): (&str, &str), row: &Row, rows: &VecDeque<Row>) -> String {
        let chart = if self.chart == 0 { String::new() } else { chart(rows, self.chart) };
        self.line(&self.shown(model, version), |column| column.of(row), &chart)
    }

    fn line(&self, name: &str, value: impl Fn(Column) -> String, chart: &str) -> String {
        let mut text = format!("{name:<width$}", width = self.name);
        let gap = " ".repeat(self.gap);
        for column in &self.columns {
            text.push_str(&gap);
            let _ = write!(text, "{:>width$}", value(*column), width = column.width());
        }
        text + &gap + chart
    }

    /// A name that is too long loses letters in its middle: beginnings and ends, and versions, are what tells models apart.
    fn shown(&self, model: &str, version: &str) -> String {
        let letter = |letter: char| if letter.is_control() { ' ' } else { letter };
        let length = model.chars().count();
        let room = self.name.saturating_sub(1 + version.chars().count()).max(3);
        let mut text: String = if length <= room {
            model.chars().map(letter).collect()
        } else {
            let end = (room - 1) / 2;
            let begin = model.chars().take(room - 1 - end);
            begin.chain(['…']).chain(model.chars().skip(length - end)).map(letter).collect()
        };
        text.push(' ');
        text.extend(version.chars().map(letter));
        text
    }
}

/// The latencies of the last intervals as bars, the highest of them full; a gap where nothing was answered.
fn chart(rows: &VecDeque<Row>, bars: usize) -> String {
    let shown = || rows.iter().skip(rows.len().saturating_sub(bars));
    let highest = shown().filter_map(|row| row.latency).fold(0.0, f64::max);
    let mut chart = " ".repeat(bars.saturating_sub(rows.len()));
    chart.extend(shown().map(|row| match row.latency {
        Some(latency) if highest > 0.0 => BARS[((latency / highest * 8.0) as usize).clamp(1, 8) - 1],
        _ => ' ',
    }));
    chart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_terminal_has_all_columns_and_a_chart() {
        for longest in [6, 36, 200] {
            let layout = Layout::of(80, longest);
            assert_eq!(layout.columns, COLUMNS, "{longest}");
            assert!(layout.chart >= SHORT_CHART, "{longest}");
            assert!(layout.titles().chars().count() <= 80 && layout.titles().ends_with("latency"));
        }
        let wide = Layout::of(200, 36);
        assert_eq!((wide.name, wide.gap, wide.chart), (36, 2, LENGTH));
    }

    #[test]
    fn columns_are_left_out_whole() {
        for width in 0..200 {
            for longest in [1, 20, 100] {
                let layout = Layout::of(width, longest);
                let titles = layout.titles();
                assert!(titles.trim_end().chars().count() <= width.max(25), "{width}: {titles}");
                assert_eq!(layout.columns[0], Requests, "{width}");
            }
        }
        let narrow = Layout::of(60, 36);
        assert!(narrow.chart > 0 && narrow.columns.contains(&P99), "{narrow:?}");
    }

    #[test]
    fn a_long_name_keeps_its_ends_and_its_version() {
        let layout = Layout::of(80, 60);
        let shown = |version| layout.shown("a_very_long_name_of_a_model_that_ends", version);
        assert_eq!(shown("1").chars().count(), layout.name);
        assert!(shown("1").starts_with("a_very") && shown("1").ends_with("ends 1"), "{}", shown("1"));
        assert_ne!(shown("1"), shown("2"));
        assert_eq!(layout.shown("s\u{1b}", "1"), "s  1");
    }
}
