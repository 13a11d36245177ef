//! A comparison as tables.

use std::fmt::Write;

use hippocamp_client::{Tensor, TensorInfo, dims};

use super::Comparison;
use crate::compare::difference::Largest;
use crate::compare::{Level, Output};
use crate::point::Point;
use crate::report::table::{columns, notes, thousands};

pub(super) fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (letter, (name, place)) in ["A", "B"].iter().zip(comparison.names.iter().zip(&comparison.places)) {
        line(&mut text, format_args!("{letter}: model {name} at {place}"));
    }
    let input = |tensor: &Tensor| format!("{} {} {}", tensor.name, tensor.data_type, dims(&tensor.shape));
    let inputs: Vec<String> = comparison.inputs_sent.iter().map(input).collect();
    line(&mut text, format_args!("inputs {}", inputs.join(", ")));
    if comparison.inputs_by_position {
        line(
            &mut text,
            format_args!("{}", by_position("inputs", comparison.inputs.iter().map(|(a, b)| (a, b)))),
        );
    }
    if comparison.outputs_by_position {
        let outputs = comparison.outputs.iter().map(|output| (&output.a, &output.b));
        line(&mut text, format_args!("{}", by_position("outputs", outputs)));
    }
    for (letter, only) in ["A", "B"].iter().zip(&comparison.only).filter(|(_, only)| !only.is_empty()) {
        line(&mut text, format_args!("only {letter} has {}: not compared", only.join(", ")));
    }
    line(&mut text, format_args!(""));
    answers(&mut text, comparison);
    line(&mut text, format_args!(""));
    speed(&mut text, comparison);
    for failure in &comparison.failures {
        line(&mut text, format_args!("failed: {failure}"));
    }
    text
}

fn by_position<'t>(what: &str, pairs: impl Iterator<Item = (&'t TensorInfo, &'t TensorInfo)>) -> String {
    let pairs = pairs.filter(|(a, b)| a.name != b.name).map(|(a, b)| format!("{} = {}", a.name, b.name));
    format!("{what} without a namesake are matched by position: {}", pairs.collect::<Vec<_>>().join(", "))
}

fn answers(text: &mut String, comparison: &Comparison) {
    let samples = comparison.samples;
    let head =
        ["output", "elements", "different", "above tolerance", "max abs", "at", "A", "B", "max rel", "at"];
    let mut head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    "output, on ".clone_into(&mut head[0]);
    let _ = write!(head[0], "{samples} input{}", if samples == 1 { "" } else { "s" });
    let mut rows = vec![head];
    rows.extend(comparison.outputs.iter().map(|output| row(output, samples)));
    if comparison.tolerance.is_none() {
        // Then it is the number of those that are different at all.
        for row in &mut rows {
            row.remove(3);
        }
    }
    columns(text, &rows);
    for Output { a, differences, .. } in &comparison.outputs {
        if let Some((sample, in_a, in_b)) = &differences.form {
            line(
                text,
                format_args!("{}: A answers {in_a} and B {in_b} to input {sample}: not compared", a.name),
            );
        }
        if let Some((sample, index)) = &differences.first_text {
            line(text, format_args!("{}: the first other text is {}", a.name, at(*sample, index, samples)));
        }
    }
    match comparison.is_within_tolerance() {
        Some(true) => line(text, format_args!("within the tolerance")),
        Some(false) => line(text, format_args!("NOT within the tolerance")),
        None => {}
    }
}

fn row(output: &Output, samples: u32) -> Vec<String> {
    let found = &output.differences;
    let name = format!("{} {}", output.a.name, output.a.data_type);
    let mut row = vec![name, count(found.elements), count(found.different), count(found.above)];
    let of = |largest: &Option<Largest>| {
        largest.as_ref().map_or_else(
            || [dash(), dash(), dash(), dash()],
            |largest| {
                let place = at(largest.sample, &largest.index, samples);
                [number(largest.difference), place, number(largest.a), number(largest.b)]
            },
        )
    };
    row.extend(of(&found.absolute));
    row.extend(of(&found.relative).into_iter().take(2));
    row
}

fn dash() -> String {
    "-".to_owned()
}

fn count(count: u64) -> String {
    thousands(count as f64)
}

/// The place of an element; with the number of the input where there are several.
fn at(sample: u32, index: &[i64], samples: u32) -> String {
    if samples > 1 { format!("{sample}:{}", dims(index)) } else { dims(index) }
}

/// A number with five digits, or as it is if it is whole.
fn number(number: f64) -> String {
    if number == 0.0 || !number.is_finite() || (number.fract() == 0.0 && number.abs() < 1e15) {
        return format!("{number}");
    }
    if (1e-3..1e6).contains(&number.abs()) {
        let digits = (4 - number.abs().log10().floor() as i32).clamp(0, 8) as usize;
        return format!("{number:.digits$}");
    }
    format!("{number:.4e}")
}

fn speed(text: &mut String, comparison: &Comparison) {
    let head = [
        "load",
        "A a second",
        "B a second",
        "B / A",
        "(rounds)",
        "A p50 us",
        "B p50 us",
        "A p99 us",
        "B p99 us",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(comparison.levels.iter().map(level));
    columns(text, &rows);
    for Level { a, b, .. } in &comparison.levels {
        for (letter, point) in [("A", a), ("B", b)] {
            let mut own = String::new();
            notes::write(&mut own, point);
            own.lines().for_each(|note| line(text, format_args!("{letter}: {note}")));
        }
    }
}

fn level(level: &Level) -> Vec<String> {
    let rate = |point: &Point| {
        if point.rate() < 100.0 { format!("{:.1}", point.rate()) } else { thousands(point.rate()) }
    };
    let time = |point: &Point, quantile: f64| {
        thousands(point.record.latencies.value_at_quantile(quantile) as f64 / 1e3)
    };
    let (ratio, range) = level.speedup().map_or_else(
        || (dash(), dash()),
        |(median, least, most)| (format!("{median:.3}"), format!("{least:.3} to {most:.3}")),
    );
    let (a, b) = (&level.a, &level.b);
    let transport = if a.transport.name() == b.transport.name() {
        a.name()
    } else {
        format!("{} and {}", a.name(), b.transport.title())
    };
    vec![transport, rate(a), rate(b), ratio, range, time(a, 0.5), time(b, 0.5), time(a, 0.99), time(b, 0.99)]
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String never fails.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_five_digits() {
        let cases = [
            (0.0, "0"),
            (3.0, "3"),
            (-0.123_456_78, "-0.12346"),
            (1234.5678, "1234.6"),
            (1.5e-7, "1.5000e-7"),
            (f64::INFINITY, "inf"),
            (0.001, "0.0010000"),
        ];
        for (given, want) in cases {
            assert_eq!(number(given), want);
        }
    }
}
