//! The text of `pipeline.toml`: what is wrong with it, and where.

use std::fmt::Write;
use std::ops::Range;

/// More faults than this help nobody; the rest is dropped.
const MAX_FAULTS: usize = 50;

/// A text that is being read, and the faults found so far: all of them are told at once.
#[derive(Debug)]
pub(crate) struct File<'a> {
    /// What it is called in messages.
    origin: &'a str,
    text: &'a str,
    /// Byte in the text, message.
    faults: Vec<(usize, String)>,
}

impl<'a> File<'a> {
    pub(crate) fn new(origin: &'a str, text: &'a str) -> File<'a> {
        File { origin, text, faults: Vec::new() }
    }

    /// Notes a fault at that place.
    pub(crate) fn fault(&mut self, at: &Range<usize>, message: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((at.start, message.into()));
        }
    }

    pub(crate) fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// One line each: `pipeline.toml:4: message`, in the order of the file.
    pub(crate) fn into_message(mut self) -> String {
        self.faults.sort_by_key(|(at, _)| *at);
        let mut message = String::new();
        for (at, fault) in &self.faults {
            let separator = if message.is_empty() { "" } else { "\n" };
            let fault = fault.trim_end().replace('\n', " ");
            let _ = write!(message, "{separator}{}:{}: {fault}", self.origin, self.line(*at));
        }
        message
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.get(..at).unwrap_or(self.text).matches('\n').count()
    }
}
