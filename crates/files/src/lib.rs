//! Reads files that somebody else wrote: regular ones of a bounded size.
//!
//! A model repository holds whatever people put there. A FIFO would hold up its reader for ever, a device may never end, and
//! a file may be larger than the memory. Each of them is an error here, at once, that says what was found.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

mod absence;
mod entered_folders;
mod stamp;

pub use absence::{is_absence, is_gone};
pub use entered_folders::EnteredFolders;
pub use stamp::Stamp;

/// A list of names or a config; a larger one is something else.
pub const TEXT_LIMIT: u64 = 64 << 20;

/// Opens a regular file and tells its size in bytes. Links are followed. Never waits for a writer, as to open a FIFO would.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: to open a device may do something.
    regular(&fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    // Once more, as another one may have been put there meanwhile.
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata.len()))
}

/// The content of a regular file that has at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open(path)?;
    let too_large = |size: &dyn std::fmt::Display| {
        io::Error::new(ErrorKind::FileTooLarge, format!("it has {size} bytes, expected at most {limit}"))
    };
    if size > limit {
        return Err(too_large(&size));
    }
    let mut content = Vec::new();
    let reserved = usize::try_from(size).map(|size| content.try_reserve_exact(size));
    if !matches!(reserved, Ok(Ok(()))) {
        let message = format!("there is no memory for its {size} bytes");
        return Err(io::Error::new(ErrorKind::OutOfMemory, message));
    }
    // No further than it was long: it may grow while it is read. Some files of the system have a content and no size.
    let most = if size == 0 { limit.saturating_add(1) } else { size };
    file.take(most).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(too_large(&"more"));
    }
    Ok(content)
}

/// The same of a file that is UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(ErrorKind::InvalidData, format!("it is not UTF-8 at byte {at}"))
    })
}

/// The first bytes of a regular file, at most `count`.
pub fn head(path: &Path, count: usize) -> io::Result<Vec<u8>> {
    let (file, _) = open(path)?;
    let mut head = Vec::new();
    file.take(count as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The path of a file that a config names from a folder. `..` takes the last name off the path, as whoever checked the text
/// reads it. To the kernel it would mean the folder above the target of a link, which may be anywhere.
pub fn named_from(folder: &Path, file: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for component in Path::new(file).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            component => path.push(component),
        }
    }
    path
}

/// What lies at `path`, in words that follow "it is", such as "a FIFO". Links are followed; a link that cannot be followed is
/// described itself. The file is not opened.
pub fn describe(path: &Path) -> io::Result<String> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(kind(metadata.file_type()).to_owned()),
        Err(error) => match fs::read_link(path) {
            Err(_) => Err(error),
            Ok(target) if error.kind() == ErrorKind::NotFound => {
                Ok(format!("a link to '{}', which is not there", target.display()))
            }
            Ok(target) => Ok(format!("a link to '{}', which cannot be followed: {error}", target.display())),
        },
    }
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!("it is {}, expected a regular file", kind(metadata.file_type()));
    Err(io::Error::new(ErrorKind::InvalidInput, message))
}

fn kind(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        "a folder"
    } else if file_type.is_file() {
        "a file"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests;
