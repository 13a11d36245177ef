//! Faults of a config, each with its place. All faults are collected, not only the first.

use std::error::Error;
use std::fmt;

/// The limit of faults that are collected; further ones are dropped.
const MAX_FAULTS: usize = 100;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; 0 where no place in a text is known.
    pub line: u32,
    /// In characters, counted from 1; 0 where no place in a text is known.
    pub column: u32,
    /// The field, for example `input[0].dims` or `parameters["threads"]`; empty for the whole text.
    pub path: String,
    pub message: String,
    pub kind: FaultKind,
}

/// The kind of a fault, by which suggestions are chosen. The message says the same in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A fault that has only its message.
    #[default]
    Other,
    /// The message type, by its full name, has no field of that name.
    UnknownField { message: String, written: String },
    /// The enumeration, by its full name, has no value of that name.
    UnknownValue { enumeration: String, written: String },
    /// A field that can be given once is given again.
    GivenTwice,
    /// The config has another name than the model's folder.
    NameDiffers,
    /// Neither the config nor a model file tells the backend.
    NoBackend,
    /// Instances are to run on GPUs that cannot be used, unlike these.
    NoGpu { usable: Vec<i32> },
    /// Instances are to run on GPUs, there is none that can be used, and the engine runs on nothing else.
    NeedsGpu,
    /// The field cannot be there.
    Superfluous,
    /// The model file has other dims, as a config would say them: without the batch where the config has one.
    DimsDiffer { provided: Vec<i64> },
    /// The dims and the reshape of a tensor cannot be of the same elements.
    ReshapeDiffers,
    /// The model file has no dimension for the batch that the config asks for.
    NotBatching,
    /// The field has to have this value, as it is written in a config.
    Expected { field: &'static str, value: String },
    /// The model file has another data type, by its name in a config.
    DataTypeDiffers { provided: &'static str },
    /// The version policy selects none of the versions that there are. The name of the model file if that lies beside the
    /// config, where a folder of a version should be.
    NoVersion { misplaced: Option<String> },
    /// The version policy names a version that has no folder.
    VersionMissing,
    /// There is no platform of that name.
    UnknownPlatform { wanted: String },
    /// There is no backend of that name.
    UnknownBackend { wanted: String },
    /// No repository has a model of that name.
    UnknownModel { wanted: String },
    /// The model that an ensemble is composed of could not be loaded.
    Composing { model: String },
    /// A file that the config names cannot be read.
    File(FileUse),
    /// A file has another digest than the config says.
    Digest,
    /// The field has no effect.
    NoEffect,
}

/// The purpose of a file beside the model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileUse {
    Labels,
    WarmUp,
    InitialState,
}

impl Fault {
    /// A fault without a known line.
    pub fn new(path: impl Into<String>, message: impl Into<String>, kind: FaultKind) -> Fault {
        Fault { line: 0, column: 0, path: path.into(), message: message.into(), kind }
    }
}

/// All faults of one configuration, in the order in which they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// What the configuration is called in messages, for example `models/simple/config.pbtxt`.
    pub origin: String,
    pub faults: Vec<Fault>,
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl Faults {
    /// An empty list of faults of the config that messages call `origin`.
    pub fn new(origin: &str) -> Self {
        Faults { origin: origin.to_owned(), faults: Vec::new() }
    }

    /// Adds a fault of the kind [`FaultKind::Other`].
    pub fn push(&mut self, position: Option<Position>, path: &str, message: impl Into<String>) {
        self.push_kind(position, path, message, FaultKind::Other);
    }

    /// A list of one fault.
    pub fn one(origin: &str, fault: Fault) -> Self {
        Faults { origin: origin.to_owned(), faults: vec![fault] }
    }

    /// Adds a fault, unless there are too many already.
    pub fn push_kind(
        &mut self,
        position: Option<Position>,
        path: &str,
        message: impl Into<String>,
        kind: FaultKind,
    ) {
        if self.is_full() {
            return;
        }
        let (line, column) = position.map_or((0, 0), |at| (at.line, at.column));
        self.faults.push(Fault { line, column, ..Fault::new(path, message, kind) });
    }

    /// Whether the limit is reached, so that further faults would be dropped.
    pub fn is_full(&self) -> bool {
        self.faults.len() >= MAX_FAULTS
    }

    /// `value` if there are no faults.
    pub fn into_result<T>(self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl Error for Faults {}

impl fmt::Display for Faults {
    /// One line each, `config.pbtxt:4:17: message`; without a place in the text `config: input[0].dims: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.origin)?;
            if fault.line > 0 {
                write!(f, ":{}", fault.line)?;
                if fault.column > 0 {
                    write!(f, ":{}", fault.column)?;
                }
            } else if !fault.path.is_empty() {
                write!(f, ": {}", fault.path)?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_line_for_each_fault() {
        let mut faults = Faults::new("config.pbtxt");
        faults.push(Some(Position { line: 4, column: 17 }), "max_batch_size", "too small");
        faults.push(None, "input[0]", "has no name");
        faults.push(None, "", "is empty");
        assert_eq!(
            faults.to_string(),
            "config.pbtxt:4:17: too small\nconfig.pbtxt: input[0]: has no name\nconfig.pbtxt: is empty"
        );
    }

    #[test]
    fn stops_collecting_at_some_point() {
        let mut faults = Faults::new("config.pbtxt");
        for _ in 0..10 * MAX_FAULTS {
            faults.push(None, "", "again");
        }
        assert!(faults.is_full());
        assert_eq!(faults.faults.len(), MAX_FAULTS);
    }
}
