//! An archive: its index, its texts, and the content of its entries.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hippocamp_files as files;

use crate::entries::Entries;
use crate::fault::{ArchiveFault, Result};
use crate::{Manifest, folder, tarball, zipped};

/// Where the manifest lies in an archive.
const MANIFEST: &str = "MAR-INF/MANIFEST.json";

/// Where that of a workflow lies.
const OF_WORKFLOW: &str = "WAR-INF/MANIFEST.json";

/// How a zip file and a gzipped file begin.
const ZIP: &[u8] = b"PK";
const GZIP: &[u8] = &[0x1f, 0x8b];

/// An archive whose index was read. Its entries stay in it until they are copied.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// The archive's file name, for messages.
    name: String,
    form: Form,
    /// What all names begin with in the file, such as `model/`. Names here are without it.
    top: String,
    entries: Entries,
    manifest: Manifest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Zip,
    Tar,
    Folder,
}

impl Archive {
    /// Opens an archive and reads its manifest. Blocks on the disk; takes memory for the index and for small texts only.
    pub fn open(path: &Path) -> Result<Archive> {
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        let fault = |text: String| ArchiveFault::new(&name, text);
        let unreadable = |error| ArchiveFault::failed(&name, "it cannot be read", error);
        let (form, entries) = if fs::metadata(path).map_err(unreadable)?.is_dir() {
            (Form::Folder, folder::index(path))
        } else {
            let (file, _) = files::open(path).map_err(unreadable)?;
            let head = files::head(path, 2).map_err(unreadable)?;
            match &head[..] {
                ZIP => (Form::Zip, zipped::index(file)),
                GZIP => (Form::Tar, tarball::index(file)),
                _ => {
                    return Err(fault(
                        "it is neither a zip file nor a gzipped tar file nor a folder".to_owned(),
                    ));
                }
            }
        };
        let (top, entries) = without_top(entries.map_err(fault)?);
        let manifest = match entries.texts.get(MANIFEST) {
            Some(text) => Manifest::parse(text).map_err(fault)?,
            None if entries.sizes.contains_key(MANIFEST) => {
                return Err(fault(format!("its {MANIFEST} is not text of at most a few megabytes")));
            }
            None if entries.sizes.contains_key(OF_WORKFLOW) => {
                return Err(fault(
                    "it is a workflow, whose Python functions are not executed here. Register its models by themselves; an \
                     ensemble runs models one after the other (docs/ensembles.md), with pipelines between them \
                     (docs/vision.md)"
                        .to_owned(),
                ));
            }
            None => {
                return Err(fault(format!(
                    "it has no {MANIFEST}, so it was not made by torch-model-archiver"
                )));
            }
        };
        Ok(Archive { path: path.to_owned(), name, form, top, entries, manifest })
    }

    /// The archive's file name.
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The names of all entries.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.sizes.keys().map(String::as_str)
    }

    /// The size of an entry in bytes.
    pub fn size(&self, entry: &str) -> Option<u64> {
        self.entries.sizes.get(entry).copied()
    }

    /// The content of an entry that is a text of moderate size, such as JSON, YAML, TOML or Python.
    pub fn text(&self, entry: &str) -> Option<&str> {
        self.entries.texts.get(entry).map(String::as_str)
    }

    /// Calls `read` with the content of an entry, of which at most its size is read.
    pub fn read<T>(&self, entry: &str, read: impl FnOnce(&mut dyn Read) -> T) -> Result<T> {
        self.read_unlimited(entry, |reader, size| read(&mut reader.take(size)))
    }

    /// As [`Archive::read`], with the entry's size, and a reader that ends where the entry does: whatever size it says.
    fn read_unlimited<T>(&self, entry: &str, read: impl FnOnce(&mut dyn Read, u64) -> T) -> Result<T> {
        let Some(size) = self.size(entry) else {
            return Err(ArchiveFault::new(&self.name, format!("it has no entry '{entry}'")));
        };
        let inside = format!("{}{entry}", self.top);
        let open = || Ok(files::open(&self.path)?.0);
        let read = |reader: &mut dyn Read| read(reader, size);
        let done = match self.form {
            Form::Zip => open().and_then(|file| zipped::read(file, &inside, read)),
            Form::Tar => open().and_then(|file| tarball::read(file, &inside, read)),
            Form::Folder => folder::read(&self.path, &inside, read),
        };
        done.map_err(|error: io::Error| self.unreadable(entry, error))
    }

    /// Copies the content of an entry to a new file. The error is about an entry that is not what the index says as well.
    pub fn copy(&self, entry: &str, to: &Path) -> Result<()> {
        let failed =
            |error| ArchiveFault::failed(&self.name, format!("entry '{entry}' cannot be unpacked"), error);
        let mut file = fs::File::create_new(to).map_err(failed)?;
        let copied = self.read_unlimited(entry, |reader, size| {
            let copied = io::copy(&mut Read::take(&mut *reader, size), &mut file)?;
            // The checksum of a zip file's entry is compared where its end is read.
            let beyond = reader.read(&mut [0])? as u64;
            Ok::<u64, io::Error>(copied + beyond)
        });
        let copied = copied?.map_err(failed)?;
        file.flush().map_err(failed)?;
        let expected = self.size(entry).unwrap_or_default();
        if copied != expected {
            let got = if copied > expected { "more".to_owned() } else { copied.to_string() };
            return Err(ArchiveFault::new(
                &self.name,
                format!("entry '{entry}' was expected to have {expected} bytes, got {got}"),
            ));
        }
        Ok(())
    }

    pub(crate) fn fault(&self, text: impl Into<String>) -> ArchiveFault {
        ArchiveFault::new(&self.name, text)
    }

    fn unreadable(&self, entry: &str, error: io::Error) -> ArchiveFault {
        ArchiveFault::failed(&self.name, format!("entry '{entry}' cannot be read"), error)
    }
}

/// Takes a folder off that all entries have in common, as tar files have it; returns that and the index without it.
fn without_top(entries: Entries) -> (String, Entries) {
    if entries.sizes.contains_key(MANIFEST) {
        return (String::new(), entries);
    }
    let manifest = entries.sizes.keys().find_map(|name| name.strip_suffix(MANIFEST));
    let Some(top) = manifest.filter(|top| top.matches('/').count() == 1).map(str::to_owned) else {
        return (String::new(), entries);
    };
    if !entries.sizes.keys().all(|name| name.starts_with(&top)) {
        return (String::new(), entries);
    }
    let mut inner = Entries::default();
    let own = |name: String| name[top.len()..].to_owned();
    inner.sizes = entries.sizes.into_iter().map(|(name, size)| (own(name), size)).collect();
    inner.texts = entries.texts.into_iter().map(|(name, text)| (own(name), text)).collect();
    (top, inner)
}

/// Whether a file in a model store is an archive, by its name.
pub fn is_archive_name(name: &str) -> bool {
    let stem = [".mar", ".tar.gz", ".tgz"].iter().find_map(|ending| name.strip_suffix(ending));
    stem.is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'))
}

/// Whether a folder in a model store is an archive that was not packed.
pub fn is_archive_folder(path: &Path) -> bool {
    fs::metadata(path.join(MANIFEST)).is_ok_and(|metadata| metadata.is_file())
}
