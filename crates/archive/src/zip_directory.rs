//! How large the directory of a zip file may be.
//!
//! The library that reads zip files keeps the whole directory, and takes the memory for as many entries as the file says that it
//! has. Both are the word of whoever made the file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::ZipArchive;

/// The most entries of a directory. More than an archive may have, so that the limit of archives is the one that is named.
const MAX_ENTRIES: u64 = 20_000;

/// The most bytes that are read to know the directory: 1,600 for each of the most entries, whose names have a hundred.
const MAX_READ: u64 = 32 << 20;

/// The last record of a file: its signature, its size, and that of the comment that may follow it.
const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const MAX_COMMENT: usize = 1 << 16;

/// The records of a large file, directly before the last: the larger numbers, and where these are.
const LARGE_END: &[u8] = b"PK\x06\x06";
const LARGE_END_LENGTH: usize = 56;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;

/// A zip file whose directory was read.
pub(crate) type Zip = ZipArchive<BufReader<Metered>>;

/// Reads the directory of a zip file. The error says what is wrong with it.
pub(crate) fn open(mut file: File) -> Result<Zip, String> {
    check_count(&mut file)?;
    let left = Rc::new(Cell::new(MAX_READ));
    let metered = BufReader::new(Metered { file, left: Rc::clone(&left) });
    let zip = ZipArchive::new(metered).map_err(|error| {
        if left.get() == 0 {
            format!("its directory has more than {MAX_READ} bytes")
        } else {
            format!("it is no zip file: {error}")
        }
    })?;
    let entries = zip.len() as u64;
    if entries > MAX_ENTRIES {
        return Err(too_many(entries));
    }
    left.set(u64::MAX);
    Ok(zip)
}

fn too_many(entries: u64) -> String {
    format!("it has {entries} entries, more than {MAX_ENTRIES}")
}

/// Checks the number of entries wherever the library may find it. Only records of large files have room for a large one.
fn check_count(file: &mut File) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let longest = END_LENGTH + MAX_COMMENT + LOCATOR_LENGTH + LARGE_END_LENGTH;
    let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    let begin = length.saturating_sub(longest as u64);
    file.seek(SeekFrom::Start(begin)).map_err(unreadable)?;
    let mut tail = Vec::new();
    file.by_ref().take(longest as u64).read_to_end(&mut tail).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    for end in (0..tail.len()).filter(|&at| tail[at..].starts_with(END)) {
        let Some((rest, locator)) = tail[..end].split_last_chunk::<LOCATOR_LENGTH>() else { continue };
        if !locator.starts_with(LOCATOR) {
            continue;
        }
        let record =
            rest.split_last_chunk::<LARGE_END_LENGTH>().filter(|(_, record)| record.starts_with(LARGE_END));
        let place = number(&locator[8..]);
        match record {
            Some((before, record)) if place == begin + before.len() as u64 => {
                let entries = number(&record[32..]);
                if entries > MAX_ENTRIES {
                    return Err(too_many(entries));
                }
            }
            _ => {
                return Err(
                    "its record of a large file (ZIP64) is not directly before those of its end".to_owned()
                );
            }
        }
    }
    Ok(())
}

/// The number at the beginning, of eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A file of which only so many bytes more can be read.
pub(crate) struct Metered {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !target.is_empty() {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too large"));
        }
        let most = usize::try_from(left).map_or(target.len(), |left| left.min(target.len()));
        let count = self.file.read(&mut target[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn written(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// A file with one entry whose last records say that it has `entries`.
    fn large(entries: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut zip = ZipWriter::new(io::Cursor::new(&mut bytes));
        zip.start_file("entry", SimpleFileOptions::default()).unwrap();
        zip.write_all(b"content").unwrap();
        zip.finish().unwrap();
        let end = bytes.len() - END_LENGTH;
        let mut last = bytes.split_off(end);
        let (size, start) = (last[12..16].to_vec(), last[16..20].to_vec());
        last[8..12].fill(0xff);
        let wide = |narrow: &[u8]| [narrow, &[0; 4]].concat();
        let count = entries.to_le_bytes();
        let record = [
            LARGE_END,
            &44u64.to_le_bytes(),
            &[45, 0, 45, 0],
            &[0; 8],
            &count,
            &count,
            &wide(&size),
            &wide(&start),
        ];
        bytes.extend(record.concat());
        let locator = [LOCATOR, &[0; 4], &(end as u64).to_le_bytes(), &1u32.to_le_bytes()];
        bytes.extend(locator.concat());
        bytes.extend(last);
        bytes
    }

    #[test]
    fn a_number_of_entries_is_not_taken_at_its_word() {
        let zip = open(written(&large(1))).unwrap();
        assert_eq!(zip.file_names().map(|name| name.unwrap().into_owned()).collect::<Vec<_>>(), ["entry"]);
        assert_eq!(
            open(written(&large(1 << 40))).err().unwrap(),
            "it has 1099511627776 entries, more than 20000"
        );
        let mut moved = large(1);
        let place = moved.len() - END_LENGTH - LOCATOR_LENGTH + 8;
        moved[place] -= 1;
        assert!(open(written(&moved)).err().unwrap().contains("(ZIP64) is not directly before"));
    }

    #[test]
    fn a_directory_is_read_up_to_a_limit() {
        let mut zip = ZipWriter::new(tempfile::tempfile().unwrap());
        let name = "n".repeat(60_000);
        for number in 0..600 {
            zip.start_file(format!("{number}{name}"), SimpleFileOptions::default()).unwrap();
        }
        assert_eq!(open(zip.finish().unwrap()).err().unwrap(), "its directory has more than 33554432 bytes");
    }
}
