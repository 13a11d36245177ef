//! Throughput against latency of all that was tried.

use std::fmt::Write;

use super::Tuned;
use super::search::Level;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// The space for axes and their texts.
const LEFT: f64 = 70.0;
const BELOW: f64 = 50.0;
const RIM: f64 = 30.0;

/// Where throughputs and latencies lie.
struct Scale {
    rates: f64,
    latencies: f64,
}

impl Scale {
    fn x(&self, rate: f64) -> f64 {
        LEFT + rate / self.rates * (WIDTH - LEFT - RIM)
    }

    fn y(&self, latency: f64) -> f64 {
        HEIGHT - BELOW - latency / self.latencies * (HEIGHT - BELOW - RIM)
    }
}

pub(crate) fn render(tuned: &Tuned) -> String {
    let levels = || tuned.tried.iter().flat_map(|tried| &tried.outcome.levels);
    let most = |of: fn(&Level) -> f64| levels().map(of).fold(0.0, f64::max).max(1e-3) * 1.05;
    let scale = Scale { rates: most(|level| level.rate), latencies: most(|level| level.p99_ms) };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    axes(&mut out, &scale);
    if let Some(goal) = tuned.goal.latency_ms.filter(|goal| *goal < scale.latencies) {
        let (at, right) = (scale.y(goal), WIDTH - RIM);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{right:.1}\" stroke=\"#c33\" stroke-dasharray=\"6 4\"/>"
        );
    }
    // The config as it was and the best come last, on top of the others.
    let mut order: Vec<usize> = (1..tuned.tried.len()).filter(|index| *index != tuned.best).collect();
    order.push(0);
    order.extend((tuned.best > 0).then_some(tuned.best));
    for index in order {
        curve(&mut out, tuned, index, &scale);
    }
    let best = format!("best: {}", tuned.tried[tuned.best].settings);
    for (color, text, top) in [("#0550ae", "as it was", 18), ("#1a7f37", best.as_str(), 36)] {
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{top}\" fill=\"{color}\">{text}</text>", LEFT + 60.0);
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String, scale: &Scale) {
    for part in 0..=4 {
        let (rate, latency) = (scale.rates * f64::from(part) / 4.0, scale.latencies * f64::from(part) / 4.0);
        let (at, height) = (scale.x(rate), scale.y(latency));
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {height:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{latency:.2}</text>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{rate:.0}</text>",
            WIDTH - RIM,
            LEFT - 8.0,
            height + 4.0,
            HEIGHT - BELOW + 18.0,
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">requests a second</text><text x=\"{LEFT}\" y=\"18\" \
         text-anchor=\"middle\">p99, ms</text>",
        WIDTH / 2.0,
        HEIGHT - 12.0
    );
}

/// The levels of settings, as a line with a dot for each.
fn curve(out: &mut String, tuned: &Tuned, index: usize, scale: &Scale) {
    let tried = &tuned.tried[index];
    let (color, width) = match index {
        best if best == tuned.best => ("#1a7f37", 3.0),
        0 => ("#0550ae", 2.0),
        _ => ("#bbb", 1.0),
    };
    let place = |level: &Level| (scale.x(level.rate), scale.y(level.p99_ms));
    let places: Vec<(f64, f64)> = tried.outcome.levels.iter().map(place).collect();
    let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        out,
        "<g stroke=\"{color}\" stroke-width=\"{width}\" fill=\"none\"><title>{}</title><polyline points=\"{}\"/></g>",
        tried.settings,
        points.join(" ")
    );
    for (x, y) in places {
        let _ =
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{color}\"/>", width + 1.0);
    }
}
