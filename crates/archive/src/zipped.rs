//! Archives that are zip files.

use std::fs::File;
use std::io::{self, BufReader, Read};

use zip::read::ZipFile;

use crate::entries::Entries;
use crate::entry_name;
use crate::zip_directory::{Metered, open};

/// The bits of a file's mode that say what it is, and their values for a regular file and for one that does not say.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// Reads the index and the texts.
pub(crate) fn index(file: File) -> Result<Entries, String> {
    let file_len = file.metadata().map_err(|error| format!("it cannot be read: {error}"))?.len();
    let mut zip = open(file)?;
    let mut entries = Entries::of_file(file_len);
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(|error| format!("it is a damaged zip file: {error}"))?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(|error| format!("the name of an entry cannot be read: {error}"))?;
        let name = entry_name::checked(&name)?.to_owned();
        check_kind(&entry, &name)?;
        entries.add(&name, entry.size())?;
        entries.read_text(&name, entry)?;
    }
    Ok(entries)
}

/// Calls `read` with the content of one entry.
pub(crate) fn read<T>(file: File, name: &str, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
    let mut zip = open(file).map_err(io::Error::other)?;
    let named = [name.to_owned(), format!("./{name}")];
    let index = named.iter().find_map(|name| zip.index_for_name(name));
    let index = index.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let mut entry = zip.by_index(index)?;
    Ok(read(&mut entry))
}

fn check_kind(entry: &ZipFile<'_, BufReader<Metered>>, name: &str) -> Result<(), String> {
    if entry.encrypted() {
        return Err(format!("entry '{name}' is encrypted"));
    }
    match entry.unix_mode().map(|mode| mode & KIND) {
        None | Some(0 | REGULAR) => Ok(()),
        Some(_) => Err(format!("entry '{name}' is no regular file; links are not followed")),
    }
}
