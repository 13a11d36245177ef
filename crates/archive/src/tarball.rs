//! Archives that are gzipped tar files. They have no index, so that each question reads the file from its beginning.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Entry, EntryType};

use crate::entries::{Entries, MAX_RATIO, max_unpacked};
use crate::entry_name;

/// The most bytes of the records before an entry.
const MAX_RECORDS: u64 = 64 << 10;

type Tar = tar::Archive<Bounded<MultiGzDecoder<BufReader<File>>>>;

/// A reader that fails beyond a number of bytes.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let text = format!("it would grow more than {MAX_RATIO} times when unpacked: that is no model");
            io::Error::new(io::ErrorKind::FileTooLarge, text)
        })?;
        Ok(count)
    }
}

/// Reads the index and the texts.
pub(crate) fn index(file: File) -> Result<Entries, String> {
    let mut tar = open(file).map_err(damaged)?;
    let mut entries = Entries::default();
    // Raw, or the library would take as much memory as a header asks for.
    for entry in tar.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let Some(name) = name(&mut entry)? else { continue };
        entries.add(&name, entry.size())?;
        entries.read_text(&name, entry)?;
    }
    // The checksum of what was packed is compared where its end is read.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(entries)
}

/// Calls `read` with the content of one entry.
pub(crate) fn read<T>(file: File, wanted: &str, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
    let mut tar = open(file)?;
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        let found = name(&mut entry).map_err(io::Error::other)?;
        if found.as_deref() == Some(wanted) {
            return Ok(read(&mut entry));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn open(file: File) -> io::Result<Tar> {
    let left = max_unpacked(file.metadata()?.len());
    Ok(tar::Archive::new(Bounded { reader: MultiGzDecoder::new(BufReader::new(file)), left }))
}

/// The name of a regular file; `None` for what is passed over.
fn name(entry: &mut Entry<'_, impl Read>) -> Result<Option<String>, String> {
    let path = entry.header().path_bytes();
    let path =
        std::str::from_utf8(&path).map_err(|_| "the name of an entry is not UTF-8".to_owned())?.to_owned();
    match entry.header().entry_type() {
        EntryType::Directory | EntryType::XGlobalHeader => Ok(None),
        EntryType::Regular | EntryType::Continuous => {
            entry_name::checked(&path).map(|name| Some(name.to_owned()))
        }
        EntryType::XHeader => {
            let mut records = Vec::new();
            let read = entry.take(MAX_RECORDS).read_to_end(&mut records);
            read.map_err(damaged)?;
            // Times and owners, which Python writes for every file, say nothing about an archive.
            let renames = |key: &str| memmem(&records, key.as_bytes());
            if renames(" path=") || renames(" size=") || records.len() as u64 == MAX_RECORDS {
                return Err(
                    "an entry has a name or a size that the old tar format cannot hold; make a .mar instead"
                        .to_owned(),
                );
            }
            Ok(None)
        }
        EntryType::GNULongName => {
            Err("the name of an entry is longer than 100 bytes; make a .mar instead".to_owned())
        }
        _ => Err(format!("entry '{}' is no regular file; links are not followed", path.escape_debug())),
    }
}

fn memmem(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

#[allow(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
fn damaged(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return error.to_string();
    }
    format!("it is a damaged tar file: {error}")
}
