//! The files beside a model that hold its weights ("external data").
//!
//! The engine would map them. Then a file that is written over while the model serves changes its answers, and one that
//! is cut short ends the process by SIGBUS. So they are read into memory here and handed over; the engine copies what it
//! needs of it while it makes the session, and the memory is free again. A session then has its weights as one whose
//! weights lie in the model file: in memory of its own.
//!
//! Their names are in the model file, which is walked for them without its weights being read.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path};

use hippocamp_backend::{Error, Result};

/// A name as the model file has it, and what is in the file.
pub(crate) type ExternalFile = (String, Vec<u8>);

/// Reads what the model refers to. What cannot be a file beside it, or is not there, is left to the engine to refuse.
pub(crate) fn read(model: &str, file: &Path) -> Result<Vec<ExternalFile>> {
    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    let mut files = Vec::new();
    for name in names(file) {
        let path = directory.join(&name);
        if is_beside(&name) && path.is_file() {
            files.push((name, content(model, &path)?));
        }
    }
    Ok(files)
}

fn is_beside(name: &str) -> bool {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && !name.contains('\0') && Path::new(name).components().all(inside)
}

fn content(model: &str, path: &Path) -> Result<Vec<u8>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::internal(format!("unable to load model '{model}', cannot read '{}': {why}", path.display()))
    };
    let mut file = File::open(path).map_err(|e| failed(&e).with_source(e))?;
    let size = file.metadata().map_err(|e| failed(&e).with_source(e))?.len();
    let mut bytes = Vec::new();
    // Weights may be larger than the machine: that is this model's error, not the end of the process.
    let reserved = usize::try_from(size).map(|size| bytes.try_reserve_exact(size));
    if !matches!(reserved, Ok(Ok(()))) {
        return Err(failed(&format!("no memory for its {size} bytes")));
    }
    // No further than it was long: it may grow while it is read.
    file.by_ref().take(size).read_to_end(&mut bytes).map_err(|e| failed(&e).with_source(e))?;
    Ok(bytes)
}

/// The names of the files that the model refers to, each once. None if the file is no ONNX file: the engine says so.
fn names(file: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let opened = File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
    if let Ok((end, file)) = opened {
        // Where the walk stops for a fault, the engine stops as well.
        drop(walk(file, end, &mut names));
    }
    names
}

/// Adds the names in a file of that length. What was added before a fault stays.
pub(crate) fn walk(file: impl Read + Seek, end: u64, names: &mut BTreeSet<String>) -> io::Result<()> {
    let mut walk = Walk { file: BufReader::new(file), at: 0, names };
    walk.message(Kind::Model, end, 0)
}

/// The messages of an ONNX file on the way to the names.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    /// A graph, or a function, which has its nodes in another field.
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    /// A key and a value.
    Entry,
}

/// The kind of the message in a field; `None` where no names can be.
fn kind(within: Kind, field: u64) -> Option<Kind> {
    match (within, field) {
        (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Some(Kind::Graph),
        (Kind::Model, 25) => Some(Kind::Function),
        (Kind::Graph, 1) | (Kind::Function, 7) => Some(Kind::Node),
        (Kind::Node, 5) => Some(Kind::Attribute),
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Some(Kind::SparseTensor),
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::SparseTensor, 1 | 2) => Some(Kind::Tensor),
        (Kind::Tensor, 13) => Some(Kind::Entry),
        _ => None,
    }
}

/// Messages within messages: more than any model has, few enough for the stack.
const DEEPEST: usize = 200;

/// The longest name that is believed: as long as a path can be.
const LONGEST: u64 = 4096;

struct Walk<'a, F> {
    file: BufReader<F>,
    at: u64,
    names: &'a mut BTreeSet<String>,
}

impl<F: Read + Seek> Walk<'_, F> {
    /// Reads a message that ends at `end`.
    fn message(&mut self, within: Kind, end: u64, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.at < end {
            let tag = self.number()?;
            let length = match tag & 7 {
                0 => {
                    self.number()?;
                    continue;
                }
                1 => 8,
                2 => self.number()?,
                3 => {
                    self.group(tag >> 3, end, depth + 1)?;
                    continue;
                }
                5 => 4,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            let next = self.at.checked_add(length).filter(|next| *next <= end);
            let next = next.ok_or(io::ErrorKind::InvalidData)?;
            match (within, tag >> 3) {
                (Kind::Entry, 1) if length <= LONGEST => key = self.text(length)?,
                (Kind::Entry, 2) if length <= LONGEST => value = self.text(length)?,
                (_, field) => match kind(within, field).filter(|_| tag & 7 == 2) {
                    Some(kind) => self.message(kind, next, depth + 1)?,
                    None => self.skip(length)?,
                },
            }
        }
        if key == "location" {
            self.names.insert(value);
        }
        Ok(())
    }

    /// Moves behind a group, an old form of message within a message. ONNX has none, but the engine passes over them, and
    /// names may follow.
    fn group(&mut self, field: u64, end: u64, depth: usize) -> io::Result<()> {
        while depth <= DEEPEST && self.at < end {
            let tag = self.number()?;
            let length = match tag & 7 {
                0 => self.number().map(|_| 0)?,
                1 => 8,
                2 => self.number()?,
                3 => self.group(tag >> 3, end, depth + 1).map(|()| 0)?,
                4 if tag >> 3 == field => return Ok(()),
                5 => 4,
                _ => break,
            };
            let within = self.at.checked_add(length).is_some_and(|next| next <= end);
            if !within {
                break;
            }
            self.skip(length)?;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn text(&mut self, length: u64) -> io::Result<String> {
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        self.file.seek_relative(i64::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?)?;
        self.at += length;
        Ok(())
    }
}
