//! The files beside a model that hold its weights ("external data").
//!
//! The engine would map them. Then overwriting a file would change the results of a loaded model, and truncating it
//! would end the process by SIGBUS. So the files are read into memory and passed to the engine, which copies what it
//! needs when it creates the session; the memory is released after that. The session then holds its weights as if they
//! were in the model file.
//!
//! The names of the files are in the model file, which is searched for them without reading its weights.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use hippocamp_backend::{Error, Result};
use hippocamp_machine::available_memory;

use crate::model_file::walk::{Kind, Reader, walk_file};

/// The name in the model file, and the content of the file.
pub(crate) type ExternalFile = (String, Vec<u8>);

/// Reads the files that the model refers to. Names that cannot be files beside it, and missing files, are left to the
/// engine, which refuses them.
pub(crate) fn read(model: &str, file: &Path) -> Result<Vec<ExternalFile>> {
    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    let mut files = Vec::new();
    for name in names(file) {
        let path = directory.join(&name);
        if !is_beside(&name) {
            continue;
        }
        if path.is_file() {
            files.push((name, content(model, &path)?));
        } else if let Some(other) = beside_target(file, &name) {
            let (file, other) = (file.display(), other.display());
            return Err(Error::not_found(format!(
                "unable to load model '{model}', its weights were expected in '{}': '{file}' is a link, and they lie beside what it leads \
                 to, as '{other}'; link them as well, or the folder",
                path.display()
            )));
        }
    }
    Ok(files)
}

/// The file of that name beside what the model's file leads to, if it is a link. It would be no part of the model's folder: the engine
/// refuses it, and nobody would see that it changed.
fn beside_target(file: &Path, name: &str) -> Option<PathBuf> {
    let target = file.is_symlink().then(|| file.canonicalize().ok()).flatten()?;
    Some(target.with_file_name(name)).filter(|other| other.is_file())
}

fn is_beside(name: &str) -> bool {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !name.is_empty() && !name.contains('\0') && Path::new(name).components().all(inside)
}

/// Reads a file of a model as a whole.
pub(crate) fn content(model: &str, path: &Path) -> Result<Vec<u8>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::internal(format!("unable to load model '{model}', cannot read '{}': {why}", path.display()))
    };
    // Weights may exceed the memory of the machine, which has to be an error of this model and not the end of the
    // process.
    hippocamp_files::read(path, available_memory()).map_err(|e| failed(&e).with_source(e))
}

/// The names of the files that the model refers to, each once; none if the file is no ONNX file, which the engine
/// reports.
pub(crate) fn names(file: &Path) -> BTreeSet<String> {
    let mut names = Names::default();
    // A fault that ends the walk is reported by the engine.
    drop(walk_file(file, &mut names));
    names.found
}

/// The names in a file of length `end`. Those found before a fault count.
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
