//! Archives that are folders, as `torch-model-archiver --archive-format no-archive` makes them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use hippocamp_files as files;

use crate::entries::Entries;
use crate::entry_name;

/// How deep folders may be nested.
const MAX_DEPTH: usize = 32;

/// Reads the index and the texts.
pub(crate) fn index(folder: &Path) -> Result<Entries, String> {
    let mut entries = Entries::default();
    add(folder, "", MAX_DEPTH, &mut entries)?;
    Ok(entries)
}

fn add(folder: &Path, prefix: &str, depth: usize, entries: &mut Entries) -> Result<(), String> {
    let failed = |error: io::Error| format!("its folder cannot be read: {error}");
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(own) = entry.file_name().into_string() else {
            return Err("the name of a file is not UTF-8".to_owned());
        };
        let name = format!("{prefix}{own}");
        let metadata = fs::symlink_metadata(entry.path()).map_err(failed)?;
        if metadata.is_dir() {
            if depth == 0 {
                return Err(format!("folder '{name}' is nested deeper than {MAX_DEPTH} folders"));
            }
            add(&entry.path(), &format!("{name}/"), depth - 1, entries)?;
        } else if metadata.is_file() {
            entry_name::checked(&name)?;
            entries.add(&name, metadata.len())?;
            let (file, _) = files::open(&entry.path()).map_err(failed)?;
            entries.read_text(&name, file)?;
        } else {
            return Err(format!("entry '{name}' is no regular file; links are not followed"));
        }
    }
    Ok(())
}

/// Opens one entry, whose name was checked.
pub(crate) fn open(folder: &Path, name: &str) -> io::Result<File> {
    Ok(files::open(&folder.join(name))?.0)
}

/// Calls `read` with the content of one entry.
pub(crate) fn read<T>(folder: &Path, name: &str, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
    Ok(read(&mut open(folder, name)?))
}
