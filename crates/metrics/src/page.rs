//! The text that Prometheus reads.

use std::fmt::{Display, Write};

use crate::{Histogram, SizeHistogram};

/// What a family's samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A page under construction: families one after the other, each with its help, its kind and its samples.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a family. Its samples follow, before the next family begins, as the format demands.
    pub fn family(&mut self, name: &'static str, help: &str, kind: Kind) -> Family<'_> {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
        Family { page: self, name }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.text.write_fmt(what).expect("a string takes everything that is written to it");
    }
}

/// A family that takes samples. Labels are (name, value) pairs; values are escaped here.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, &value);
    }

    /// Writes a histogram of durations with bounds in microseconds.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        self.buckets(labels, histogram.cumulative(), histogram.sum_us());
    }

    /// Writes a histogram of counts.
    pub fn sizes(&mut self, labels: &[(&str, &str)], histogram: &SizeHistogram) {
        self.buckets(labels, histogram.cumulative(), histogram.sum());
    }

    /// The last bucket has no bound, and counts everything.
    fn buckets(
        &mut self,
        labels: &[(&str, &str)],
        cumulative: impl Iterator<Item = (Option<u64>, u64)>,
        sum: u64,
    ) {
        let mut all = 0;
        for (bound, count) in cumulative {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |b| b.to_string());
            self.line("_bucket", labels, Some(&bound), &count);
            all = count;
        }
        self.line("_sum", labels, None, &sum);
        self.line("_count", labels, None, &all);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: &dyn Display) {
        let page = &mut *self.page;
        page.write(format_args!("{}{suffix}", self.name));
        let all = labels.iter().copied().chain(bound.map(|b| ("le", b)));
        let mut opened = false;
        for (name, label) in all {
            let before = if opened { "," } else { "{" };
            page.write(format_args!("{before}{name}=\"{}\"", escaped(label)));
            opened = true;
        }
        page.write(format_args!("{} {value}\n", if opened { "}" } else { "" }));
    }
}

/// A label's value as the format wants it: backslash, quote and line feed escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_families_with_labels() {
        let mut page = Page::default();
        let mut family = page.family("nv_x", "What x is", Kind::Counter);
        family.sample(&[("model", "a\"b"), ("version", "1")], 7);
        page.family("nv_y", "y", Kind::Gauge).sample(&[], 0.5);
        let want = "# HELP nv_x What x is\n# TYPE nv_x counter\nnv_x{model=\"a\\\"b\",version=\"1\"} 7\n\
                    # HELP nv_y y\n# TYPE nv_y gauge\nnv_y 0.5\n";
        assert_eq!(page.into_text(), want);
    }

    #[test]
    fn writes_a_histogram_that_adds_up() {
        let mut h = Histogram::default();
        h.observe_ns(30_000);
        let mut page = Page::default();
        page.family("nv_h", "h", Kind::Histogram).histogram(&[("model", "m")], &h);
        let text = page.into_text();
        assert!(text.contains("nv_h_bucket{model=\"m\",le=\"25\"} 0\n"));
        assert!(text.contains("nv_h_bucket{model=\"m\",le=\"50\"} 1\n"));
        assert!(text.contains("nv_h_bucket{model=\"m\",le=\"+Inf\"} 1\n"));
        assert!(text.contains("nv_h_sum{model=\"m\"} 30\nnv_h_count{model=\"m\"} 1\n"));
    }
}
