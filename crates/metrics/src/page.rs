//! Writes the page in the Prometheus text format.

mod labels;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::{Display, Write};

use crate::{BoundedHistogram, Histogram, SizeHistogram};
pub use labels::{LabelSet, Series};

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }
}

/// The size in bytes at which a part of the page is full; the last line may exceed it.
const PART: usize = 64 << 10;

/// A page under construction: families one after the other, each with its help, its kind and its samples.
///
/// ```
/// use hippocamp_metrics::{Kind, Page};
///
/// let mut page = Page::default();
/// let mut family = page.family("connections", "Open connections", Kind::Gauge);
/// family.sample(&[("port", "http")], 7);
/// assert_eq!(
///     page.into_text(),
///     "# HELP connections Open connections\n# TYPE connections gauge\nconnections{port=\"http\"} 7\n"
/// );
/// ```
#[derive(Debug, Default)]
pub struct Page {
    /// The full parts. A long page is held in several strings, so that it is never copied while it grows.
    parts: Vec<String>,
    text: String,
    /// The families that are on it, by name.
    kinds: HashMap<Box<str>, Kind>,
}

impl Page {
    /// Begins a family. Its samples have to be written before the next family begins. A family without samples is left
    /// out.
    pub fn family<'a>(&'a mut self, name: &'a str, help: &'a str, kind: Kind) -> Family<'a> {
        Family { page: self, name, head: Some((help, kind)) }
    }

    /// The kind of the family of that name that has samples on the page.
    pub(crate) fn kind_of(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// Writes a line that scrapers pass over.
    pub(crate) fn comment(&mut self, text: &str) {
        self.write(format_args!("# {text}"));
        self.end_line();
    }

    /// The whole page as one string.
    pub fn into_text(self) -> String {
        self.into_parts().concat()
    }

    /// The page in parts of about 64 KiB, each of whole lines.
    pub fn into_parts(mut self) -> Vec<String> {
        self.parts.push(self.text);
        self.parts
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.text.write_fmt(what).expect("a string takes everything that is written to it");
    }

    fn end_line(&mut self) {
        self.text.push('\n');
        if self.text.len() >= PART {
            let next = String::with_capacity(PART + 1024);
            self.parts.push(std::mem::replace(&mut self.text, next));
        }
    }
}

/// Writes the samples of a family. Labels are (name, value) pairs, or a [`Series`] that was formatted before.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
    /// Help and type, written before the first sample.
    head: Option<(&'a str, Kind)>,
}

impl Family<'_> {
    pub fn sample<L: LabelSet + ?Sized>(&mut self, labels: &L, value: impl Display) {
        self.line("", labels, None, &value);
    }

    /// Writes a histogram of durations with bounds in microseconds.
    pub fn histogram<L: LabelSet + ?Sized>(&mut self, labels: &L, histogram: &Histogram) {
        self.buckets(labels, histogram.cumulative(), histogram.sum_us());
    }

    /// Writes a histogram of sizes.
    pub fn sizes<L: LabelSet + ?Sized>(&mut self, labels: &L, histogram: &SizeHistogram) {
        self.buckets(labels, histogram.cumulative(), histogram.sum());
    }

    /// Writes a histogram with user-defined bounds.
    pub fn bounded<L: LabelSet + ?Sized>(&mut self, labels: &L, histogram: &BoundedHistogram) {
        self.buckets(labels, histogram.cumulative(), histogram.sum());
    }

    /// Writes a summary: (quantile, value) pairs, and the sum and the number of all observations.
    pub fn summary<L: LabelSet + ?Sized>(
        &mut self,
        labels: &L,
        quantiles: impl IntoIterator<Item = (f64, f64)>,
        sum: u64,
        count: u64,
    ) {
        for (quantile, value) in quantiles {
            self.line("", labels, Some(("quantile", &quantile)), &value);
        }
        self.line("_sum", labels, None, &sum);
        self.line("_count", labels, None, &count);
    }

    /// Writes the buckets; the last one has no bound and counts everything.
    pub(crate) fn buckets<L: LabelSet + ?Sized>(
        &mut self,
        labels: &L,
        cumulative: impl Iterator<Item = (Option<impl Display>, u64)>,
        sum: impl Display,
    ) {
        let mut all = 0;
        for (bound, count) in cumulative {
            let bound: &dyn Display = match &bound {
                Some(bound) => bound,
                None => &"+Inf",
            };
            self.line("_bucket", labels, Some(("le", bound)), &count);
            all = count;
        }
        self.line("_sum", labels, None, &sum);
        self.line("_count", labels, None, &all);
    }

    fn line<L: LabelSet + ?Sized>(
        &mut self,
        suffix: &str,
        labels: &L,
        last: Option<(&str, &dyn Display)>,
        value: &dyn Display,
    ) {
        let (page, name) = (&mut *self.page, self.name);
        if let Some((help, kind)) = self.head.take() {
            let help = labels::escaped_help(help);
            page.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
            page.kinds.insert(name.into(), kind);
        }
        page.write(format_args!("{name}{suffix}"));
        let begin = page.text.len();
        page.text.push('{');
        labels.write(&mut page.text);
        if let Some((label, value)) = last {
            let comma = if page.text.len() > begin + 1 { "," } else { "" };
            page.write(format_args!("{comma}{label}=\"{value}\""));
        }
        if page.text.len() > begin + 1 {
            page.text.push('}');
        } else {
            page.text.truncate(begin);
        }
        page.write(format_args!(" {value}"));
        page.end_line();
    }
}
