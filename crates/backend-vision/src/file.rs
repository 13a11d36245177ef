//! The text of a `pipeline.toml`, and its faults with their lines.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use hippocamp_model_config::{Fault, FaultKind, Faults};

/// The largest number of reported faults; further ones are dropped.
const MAX_FAULTS: usize = 50;

/// The largest file of labels in bytes.
const MAX_BESIDE: u64 = 1 << 20;

/// A text that is being parsed, and its faults so far. They are reported all at once.
#[derive(Debug)]
pub(crate) struct File<'a> {
    /// The name of the file in messages.
    origin: &'a str,
    text: &'a str,
    /// The folders in which files named by the pipeline are looked for.
    folders: &'a [&'a Path],
    /// (byte offset in the text, message) pairs.
    faults: Vec<(usize, String)>,
}

impl<'a> File<'a> {
    pub(crate) fn new(origin: &'a str, text: &'a str, folders: &'a [&'a Path]) -> File<'a> {
        File { origin, text, folders, faults: Vec::new() }
    }

    /// Reads a file that the pipeline names, from the first folder that has it.
    pub(crate) fn read_beside(&self, name: &str) -> Result<String, String> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == ".." {
            return Err(format!("'{name}' was expected to be the name of a file beside the pipeline"));
        }
        let mut why = "there is no folder to look into".to_owned();
        for folder in self.folders {
            match hippocamp_files::read_text(&folder.join(name), MAX_BESIDE) {
                Ok(text) => return Ok(text),
                Err(error) if error.kind() == ErrorKind::NotFound => why = error.to_string(),
                Err(error) => return Err(format!("'{name}' cannot be read: {error}")),
            }
        }
        Err(format!("'{name}' cannot be read: {why}"))
    }

    /// Adds a fault at a place of the text.
    pub(crate) fn fault(&mut self, at: &Range<usize>, message: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((at.start, message.into()));
        }
    }

    pub(crate) fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// All faults in the order of the text, each with its line.
    pub(crate) fn into_faults(mut self) -> Faults {
        self.faults.sort_by_key(|(at, _)| *at);
        let mut faults = Faults::new(self.origin);
        for (at, fault) in &self.faults {
            let message = fault.trim_end().replace('\n', " ");
            let line = u32::try_from(self.line(*at)).unwrap_or(u32::MAX);
            faults.faults.push(Fault { line, ..Fault::new("", message, FaultKind::Other) });
        }
        faults
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.get(..at).unwrap_or(self.text).matches('\n').count()
    }
}
