//! The text of `pipeline.toml`: what is wrong with it, and where.

use std::fmt::Write;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// More faults than this help nobody; the rest is dropped.
const MAX_FAULTS: usize = 50;

/// A list of names; a file beyond this is something else.
const MAX_BESIDE: u64 = 1 << 20;

/// A text that is being read, and the faults found so far: all of them are told at once.
#[derive(Debug)]
pub(crate) struct File<'a> {
    /// What it is called in messages.
    origin: &'a str,
    text: &'a str,
    /// Where files lie that it names.
    folders: &'a [&'a Path],
    /// Byte in the text, message.
    faults: Vec<(usize, String)>,
}

impl<'a> File<'a> {
    pub(crate) fn new(origin: &'a str, text: &'a str, folders: &'a [&'a Path]) -> File<'a> {
        File { origin, text, folders, faults: Vec::new() }
    }

    /// The text of a file that this one names: of the first folder that has it.
    pub(crate) fn read_beside(&self, name: &str) -> Result<String, String> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == ".." {
            return Err(format!("'{name}' was expected to be the name of a file beside the pipeline"));
        }
        let mut why = "there is no folder to look into".to_owned();
        for folder in self.folders {
            let mut text = String::new();
            let opened = std::fs::File::open(folder.join(name));
            match opened.and_then(|file| file.take(MAX_BESIDE + 1).read_to_string(&mut text)) {
                Ok(size) if size as u64 <= MAX_BESIDE => return Ok(text),
                Ok(_) => return Err(format!("'{name}' is larger than {MAX_BESIDE} bytes")),
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("'{name}' cannot be read: {why}"))
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
