//! A line about the running measurement: kept up to date on a terminal, or one a second if that is asked for.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often the rate is counted.
const PERIOD: Duration = Duration::from_secs(1);

/// Writes to standard error, or nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    /// Whether to write lines elsewhere.
    has_lines: bool,
    title: String,
    last: Option<(Instant, u64)>,
    rate: f64,
    /// Whether the rate is that of the first period.
    rate_is_first: bool,
}

impl Progress {
    pub(crate) fn new(has_lines: bool) -> Progress {
        let is_terminal = stderr().is_terminal();
        Progress { is_terminal, has_lines, title: String::new(), last: None, rate: 0.0, rate_is_first: true }
    }

    /// Begins another level.
    pub(crate) fn title(&mut self, title: &str) {
        (self.title, self.last, self.rate) = (title.to_owned(), None, 0.0);
        self.rate_is_first = true;
    }

    /// Shows how many measured requests there are.
    pub(crate) fn show(&mut self, answered: u64, failed: u64) {
        if !self.is_terminal && !self.has_lines {
            return;
        }
        let now = Instant::now();
        let (begin, count) = *self.last.get_or_insert((now, answered));
        let passed = now.duration_since(begin);
        let is_due = passed >= PERIOD;
        // The first period is shown as it goes.
        if is_due || (self.rate_is_first && !passed.is_zero()) {
            self.rate = answered.saturating_sub(count) as f64 / passed.as_secs_f64();
        }
        if is_due {
            (self.last, self.rate_is_first) = (Some((now, answered)), answered == 0);
        }
        let line = self.line(answered, failed);
        if self.is_terminal {
            drop(write!(stderr(), "\r\x1b[K{line}"));
        } else if is_due {
            drop(writeln!(stderr(), "{line}"));
        }
    }

    fn line(&self, answered: u64, failed: u64) -> String {
        let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        match answered + failed {
            0 => format!("{}: warming up", self.title),
            _ => format!("{}: {answered} answered, {:.0} a second{failures}", self.title, self.rate),
        }
    }

    /// Removes the line of a terminal.
    pub(crate) fn clear(&self) {
        if self.is_terminal {
            drop(write!(stderr(), "\r\x1b[K"));
        }
    }
}
