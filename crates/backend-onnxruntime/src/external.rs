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
use std::io;
use std::path::{Component, Path};

use hippocamp_backend::{Error, Result};

use crate::model_file::walk::{Kind, Reader, walk_file};

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
    // Weights may be larger than the machine: that is this model's error, not the end of the process.
    hippocamp_files::read(path, available_memory()).map_err(|e| failed(&e).with_source(e))
}

/// Bytes that the machine can still give, as the kernel reckons them. What it grants beyond these ends processes.
fn available_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    available_in(&told).unwrap_or(u64::MAX)
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The names of the files that the model refers to, each once. None if the file is no ONNX file: the engine says so.
fn names(file: &Path) -> BTreeSet<String> {
    let mut names = Names::default();
    // Where the walk stops for a fault, the engine stops as well.
    drop(walk_file(file, &mut names));
    names.found
}

/// Those in a file of that length. What was found before a fault counts.
#[cfg(feature = "fuzzing")]
pub(crate) fn names_in(file: impl io::Read + io::Seek, end: u64) -> BTreeSet<String> {
    let mut names = Names::default();
    drop(crate::model_file::walk::walk(file, end, &mut names));
    names.found
}

/// Collects the values of entries with the key `location`.
#[derive(Default)]
struct Names {
    found: BTreeSet<String>,
    key: String,
    value: String,
}

impl Reader for Names {
    fn wants(&self, within: Kind, field: u64) -> bool {
        matches!((within, field), (Kind::Entry, 1 | 2))
    }

    fn text(&mut self, _: Kind, field: u64, text: Vec<u8>) -> io::Result<()> {
        let text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
        *if field == 1 { &mut self.key } else { &mut self.value } = text;
        Ok(())
    }

    fn end(&mut self, kind: Kind) {
        if matches!(kind, Kind::Entry) {
            let (key, value) = (std::mem::take(&mut self.key), std::mem::take(&mut self.value));
            if key == "location" {
                self.found.insert(value);
            }
        }
    }
}
