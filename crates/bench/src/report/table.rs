//! The results as a table for people.

pub(crate) mod notes;

use std::fmt::Write;

use super::{QUANTILES, Report};
use crate::point::Point;

/// From which 99th percentile on latencies are shown in milliseconds, in nanoseconds.
const LONG: u64 = 100_000_000;

pub(crate) fn render(report: &Report) -> String {
    let mut text = format!("model {}; {}\n\n", report.model, report.subject());
    let is_long = report.points.iter().any(|point| point.record.latencies.value_at_quantile(0.99) > LONG);
    let (unit, nanos) = if is_long { ("ms", 1e6) } else { ("us", 1e3) };
    let mut head: Vec<String> =
        ["load", "connections", "requests", "failed", "a second"].map(str::to_owned).to_vec();
    head.extend(QUANTILES.iter().map(|(_, name)| format!("{name} {unit}")));
    head.extend([format!("max {unit}"), "client CPU s per 1,000".to_owned()]);
    let mut rows = vec![head];
    rows.extend(report.points.iter().map(|point| row(point, nanos)));
    columns(&mut text, &rows);
    report.points.iter().for_each(|point| notes::write(&mut text, point));
    for failure in &report.failures {
        let _ = writeln!(text, "failed: {failure}");
    }
    text
}

fn row(point: &Point, nanos: f64) -> Vec<String> {
    let latencies = &point.record.latencies;
    let time = |value: u64| {
        let time = value as f64 / nanos;
        if time < 100.0 { format!("{time:.1}") } else { thousands(time) }
    };
    let mut row = vec![
        point.name(),
        point.connections.to_string(),
        thousands(point.record.answered() as f64),
        thousands(point.record.failed() as f64),
        if point.rate() < 100.0 { format!("{:.1}", point.rate()) } else { thousands(point.rate()) },
    ];
    row.extend(QUANTILES.iter().map(|(quantile, _)| time(latencies.value_at_quantile(*quantile))));
    row.push(time(latencies.max()));
    row.push(point.cpu_per_1000().map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.4}")));
    row
}

/// A number without decimals, its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes cells in columns, names to the left and numbers to the right.
pub(crate) fn columns(text: &mut String, rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in rows {
        let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let cases = [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")];
        for (number, want) in cases {
            assert_eq!(thousands(number), want);
        }
    }

    #[test]
    fn columns_end_below_each_other() {
        let mut text = String::new();
        columns(&mut text, &[vec!["a".to_owned(), "bcd".to_owned()], vec!["12".to_owned(), "3".to_owned()]]);
        assert_eq!(text, "a   bcd\n12    3\n");
    }
}
