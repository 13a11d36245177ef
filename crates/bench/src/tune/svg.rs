//! Throughput against latency of all that was tried.

use std::fmt::Write;

use super::Tuned;
use super::outcome::Level;

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
    // What is nobody's result does not decide how large the others are.
    let main = || [0, tuned.best].into_iter().flat_map(|index| &tuned.tried[index].outcome.levels);
    let levels = || tuned.tried.iter().flat_map(|tried| &tried.outcome.levels);
    let rates = levels().map(|level| level.rate).fold(0.0, f64::max);
    let latencies = main().map(|level| level.p99_ms).chain(tuned.goal.latency_ms).fold(0.0, f64::max);
    let scale = Scale { rates: above(rates), latencies: above(latencies) };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    axes(&mut out, &scale);
    if let Some(goal) = tuned.goal.latency_ms {
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
    let mut words =
        vec![("#0550ae", "as it was"), ("#1a7f37", best.as_str()), ("#777", "numbers: requests under way")];
    words.retain(|(color, _)| tuned.best > 0 || *color != "#0550ae");
    for (number, (color, text)) in words.into_iter().enumerate() {
        let (x, y) = (LEFT + 60.0, 18 + 18 * number);
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y}\" fill=\"{color}\">{text}</text>");
    }
    out.push_str("</svg>\n");
    out
}

/// The end of an axis that has something up to `most` on it: five round steps or less.
fn above(most: f64) -> f64 {
    let step = step(most.max(1e-3) * 1.02);
    (most.max(1e-3) * 1.02 / step).ceil() * step
}

/// The least of 1, 2 and 5, by a power of ten, of which five are enough.
fn step(most: f64) -> f64 {
    let ten = 10f64.powf((most / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * ten).find(|step| step * 5.0 >= most).unwrap_or(most)
}

/// A step's multiples from 0 to the end of an axis, with as many decimals as they need.
fn ticks(end: f64) -> impl Iterator<Item = (f64, String)> {
    let step = step(end * 0.999);
    let decimals = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
    (0..=5)
        .map(move |number| step * f64::from(number))
        .take_while(move |at| *at <= end * 1.001)
        .map(move |at| (at, format!("{at:.decimals$}")))
}

fn axes(out: &mut String, scale: &Scale) {
    for (latency, text) in ticks(scale.latencies) {
        let height = scale.y(latency);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {height:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            WIDTH - RIM,
            LEFT - 8.0,
            height + 4.0
        );
    }
    for (rate, text) in ticks(scale.rates) {
        let (at, below) = (scale.x(rate), HEIGHT - BELOW + 18.0);
        let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{text}</text>");
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
    let is_main = index == 0 || index == tuned.best;
    let levels = || tried.outcome.levels.iter().filter(|level| level.p99_ms <= scale.latencies);
    let place = |level: &Level| (scale.x(level.rate), scale.y(level.p99_ms));
    let points: Vec<String> = levels().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        out,
        "<g stroke=\"{color}\" stroke-width=\"{width}\" fill=\"none\"><title>{}</title><polyline points=\"{}\"/></g>",
        tried.settings,
        points.join(" ")
    );
    let chosen = tried.outcome.chosen(tuned.goal).map(|level| level.concurrency);
    for level in levels() {
        let (x, y) = place(level);
        // The level that counts is larger.
        let radius = width + if is_main && chosen == Some(level.concurrency) { 4.0 } else { 1.0 };
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{color}\"/>");
        if is_main {
            let (x, y) = (x + radius + 2.0, y - radius);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{color}\">{}</text>",
                level.concurrency
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        let texts = |most: f64| ticks(above(most)).map(|(_, text)| text).collect::<Vec<_>>().join(" ");
        assert_eq!(texts(4800.0), "0 1000 2000 3000 4000 5000");
        assert_eq!(texts(86.8), "0 20 40 60 80 100");
        assert_eq!(texts(0.31), "0.0 0.1 0.2 0.3 0.4");
        assert_eq!(texts(2.3), "0.0 0.5 1.0 1.5 2.0 2.5");
        assert_eq!(texts(0.0), "0.0000 0.0005 0.0010 0.0015");
        for most in [0.007, 0.0999, 1.0, 3.0, 99.0, 101.0, 123_456.0] {
            assert!(above(most) > most && above(most) < 3.0 * most, "{most}");
        }
    }
}
