//! The distribution of latencies as a picture: a curve for each level, over percentiles that are stretched towards 100 as in
//! the plots of `HdrHistogram`.

use std::fmt::Write;

use super::Report;
use super::time::duration;
use crate::record::Latencies;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 226.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// What a level takes in the list beside the curves. Many of them make the picture higher.
const LEVEL_HEIGHT: f64 = 36.0;

/// Points of a curve, at most.
const POINTS: u32 = 400;

/// The fewest and the most nines of the last percentile on the axis, which ends where the largest level has one request left.
const LEAST_NINES: f64 = 2.0;
const MOST_NINES: f64 = 6.0;

/// Colours and fonts. The reader's system decides between light and dark.
const STYLE: &str = "
svg { font-family: Helvetica, Arial, sans-serif; background: #ffffff; color: #24292f }
text { fill: currentColor; font-size: 12px }
.faint { fill: #6a737d; font-size: 11px }
.grid { stroke: #d9dde0; stroke-width: 1 }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round }
.c0 { stroke: #2f6f8f } .c1 { stroke: #b5533c } .c2 { stroke: #5a8a3a } .c3 { stroke: #8a5aa8 }
.c4 { stroke: #c08a1e } .c5 { stroke: #1e9c94 } .c6 { stroke: #a83e74 } .c7 { stroke: #6a737d }
@media (prefers-color-scheme: dark) {
svg { background: #14181d; color: #e6e9ec }
.faint { fill: #9aa4ae }
.grid { stroke: #333b44 }
.c0 { stroke: #6db3d6 } .c1 { stroke: #ef8e75 } .c2 { stroke: #98cf74 } .c3 { stroke: #c79be6 }
.c4 { stroke: #f0bd59 } .c5 { stroke: #62d8cf } .c6 { stroke: #ef86b6 } .c7 { stroke: #aab2ba }
}
";
const COLOURS: usize = 8;

/// A level's name and its latencies.
type Curve<'a> = (String, &'a Latencies);

pub(crate) fn render(report: &Report) -> String {
    let points = report.points.iter().filter(|point| point.record.answered() > 0);
    let curves: Vec<Curve<'_>> = points.map(|point| (point.name(), &point.record.latencies)).collect();
    draw(&format!("Latency of model {}", report.model), &report.subject(), &curves)
}

fn draw(title: &str, subject: &str, curves: &[Curve<'_>]) -> String {
    let axes = Axes::of(curves);
    let height = HEIGHT.max(TOP + LEVEL_HEIGHT * curves.len() as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\
         <style>{STYLE}</style>\n"
    );
    let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"26\" style=\"font-size: 16px\">{}</text>", escaped(title));
    let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"45\" class=\"faint\">{}</text>", escaped(subject));
    axes.draw(&mut text);
    for (number, (name, latencies)) in curves.iter().enumerate() {
        let colour = number % COLOURS;
        let _ = writeln!(text, "<path class=\"curve c{colour}\" d=\"{}\"/>", axes.path(latencies));
        let (x, y) = (WIDTH - RIGHT + 22.0, TOP + 10.0 + LEVEL_HEIGHT * number as f64);
        let _ = writeln!(text, "<path class=\"curve c{colour}\" d=\"M{x} {y}h18\"/>");
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{}</text>", x + 26.0, y + 4.0, escaped(name));
        let at = |quantile| duration(latencies.value_at_quantile(quantile));
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" class=\"faint\">p50 {}, p99 {}</text>",
            x + 26.0,
            y + 18.0,
            at(0.5),
            at(0.99)
        );
    }
    text + "</svg>\n"
}

/// The scales of a picture: percentiles by the number of nines, latencies by their logarithm.
struct Axes {
    nines: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn of(curves: &[Curve<'_>]) -> Axes {
        let most = curves.iter().map(|(_, latencies)| latencies.len()).max().unwrap_or(1);
        let least = curves.iter().map(|(_, latencies)| latencies.min()).min().unwrap_or(1_000).max(1) as f64;
        let longest = curves.iter().map(|(_, latencies)| latencies.max()).max().unwrap_or(1_000_000) as f64;
        let low = *ticks().iter().rev().find(|tick| **tick <= least).unwrap_or(&1.0);
        let high = *ticks().iter().find(|tick| **tick >= longest && **tick > low).unwrap_or(&1e13);
        let nines = (most.max(1) as f64).log10().ceil().clamp(LEAST_NINES, MOST_NINES);
        Axes { nines, low: low.ln(), high: high.ln() }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * nines / self.nines
    }

    fn y(&self, nanos: f64) -> f64 {
        let part = (nanos.max(1.0).ln() - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
    }

    fn draw(&self, text: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in ticks() {
            if tick.ln() >= self.low - 1e-9 && tick.ln() <= self.high + 1e-9 {
                let y = self.y(tick);
                let _ = writeln!(text, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>");
                let _ = writeln!(
                    text,
                    "<text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 8.0,
                    y + 4.0,
                    duration(tick as u64)
                );
            }
        }
        let whole = (1..=self.nines as i32).map(|nines| (f64::from(nines), percentile(nines)));
        for (nines, name) in
            [(0.0, "0 %".to_owned()), (0.5f64.log10().abs(), "50 %".to_owned())].into_iter().chain(whole)
        {
            let x = self.x(nines);
            let _ = writeln!(text, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>");
            let y = bottom + 18.0;
            let _ = writeln!(
                text,
                "<text class=\"faint\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{name}</text>"
            );
        }
        let (x, y) = (f64::midpoint(LEFT, right), HEIGHT - 14.0);
        let _ = writeln!(
            text,
            "<text class=\"faint\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">percentile of requests that took at most as long</text>"
        );
    }

    /// The curve of a level, up to its last request.
    fn path(&self, latencies: &Latencies) -> String {
        let end = (latencies.len().max(1) as f64).log10().min(self.nines);
        let mut path = String::new();
        for point in 0..=POINTS {
            let nines = end * f64::from(point) / f64::from(POINTS);
            let value = latencies.value_at_quantile(1.0 - 10f64.powf(-nines)) as f64;
            let letter = if point == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x(nines), self.y(value));
        }
        path
    }
}

/// 1, 2, 5, 10 and so on, from a nanosecond to some hours.
fn ticks() -> Vec<f64> {
    (0..13).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power))).collect()
}

/// The percentile of so many nines: 90 %, 99 %, 99.9 %.
fn percentile(nines: i32) -> String {
    match nines {
        1 => "90 %".to_owned(),
        nines => format!("99{}{} %", if nines > 2 { "." } else { "" }, "9".repeat(nines as usize - 2)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::latencies;

    fn numbers(path: &str) -> Vec<(f64, f64)> {
        let points = path.trim_start_matches('M').split('L');
        points
            .map(|point| {
                point.split_once(' ').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_curve_rises_to_the_right_and_stays_within_the_axes() {
        let mut histogram = latencies();
        (1..=10_000u64).for_each(|number| histogram.saturating_record(number * 1_000));
        let axes = Axes::of(&[("16".to_owned(), &histogram)]);
        let points = numbers(&axes.path(&histogram));
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 >= b.1), "{points:?}");
        assert!(
            points
                .iter()
                .all(|(x, y)| (LEFT..=WIDTH - RIGHT).contains(x) && (TOP..=HEIGHT - BOTTOM).contains(y))
        );
        // Half of the way from 0 to four nines is 99 %, which is 9.9 ms.
        let middle = points[POINTS as usize / 2];
        assert!((middle.1 - axes.y(9.9e6)).abs() < 1.0, "{middle:?}");
    }

    #[test]
    fn names_are_escaped_and_nothing_measured_is_a_picture_too() {
        let text = draw("a<b", "c & d", &[]);
        assert!(text.contains("a&lt;b") && text.contains("c &amp; d") && text.ends_with("</svg>\n"));
        assert_eq!([1, 2, 3, 4].map(percentile), ["90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
