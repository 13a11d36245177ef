//! Reads which libraries and symbols a shared library wants, by its dynamic section. The file may be anything: all that it
//! says of places and numbers is checked.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What the dynamic section of a library wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// The names of needed libraries.
    pub(crate) needed: Vec<String>,
    /// The names of undefined symbols that are not weak, as far as they begin as asked.
    pub(crate) undefined: Vec<String>,
}

/// Where the bytes are read.
pub(crate) trait Source {
    /// The bytes from `start` on; `None` if there are not so many.
    fn read(&self, start: u64, size: u64) -> Option<Vec<u8>>;
}

/// A file.
#[derive(Debug)]
pub(crate) struct FileSource {
    file: File,
    size: u64,
}

/// Bytes in memory.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Debug)]
pub(crate) struct MemorySource<'a>(pub(crate) &'a [u8]);

impl FileSource {
    pub(crate) fn new(file: File, size: u64) -> FileSource {
        FileSource { file, size }
    }
}

impl Source for FileSource {
    fn read(&self, start: u64, size: u64) -> Option<Vec<u8>> {
        if start.checked_add(size)? > self.size {
            return None;
        }
        let size = usize::try_from(size).ok()?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).ok()?;
        bytes.resize(size, 0);
        self.file.read_exact_at(&mut bytes, start).ok()?;
        Some(bytes)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Source for MemorySource<'_> {
    fn read(&self, start: u64, size: u64) -> Option<Vec<u8>> {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.0.get(start..end).map(<[u8]>::to_vec)
    }
}

/// The longest name that is read. Longer ones are none of what is looked for.
const MAX_NAME: usize = 512;
/// The most names that are kept.
const MAX_NAMES: usize = 10_000;
/// The largest table of each kind in bytes: far more than any library has.
const MAX_TABLE: u64 = 256 << 20;
const PROGRAM_HEADER: usize = 56;
const SYMBOL: usize = 24;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const STB_GLOBAL: u8 = 1;

/// Reads a library. Of undefined symbols those are returned whose names begin with `prefix`.
///
/// # Errors
/// The reason, as the end of a sentence.
pub(crate) fn read(source: &dyn Source, prefix: &str) -> Result<Dynamic, String> {
    let header = source.read(0, 64).ok_or("it is too short for a library")?;
    if header[..6] != [0x7f, b'E', b'L', b'F', 2, 1] {
        return Err("it is no 64-bit ELF library".to_owned());
    }
    read_library(source, &header, prefix)
        .ok_or_else(|| "it is damaged: its dynamic section points outside of it".to_owned())
}

/// A part of the file that is loaded: its address, its place in the file, and its size there.
struct Segment {
    address: u64,
    place: u64,
    size: u64,
}

fn read_library(source: &dyn Source, header: &[u8], prefix: &str) -> Option<Dynamic> {
    let (place, count) = (u64_at(header, 32)?, u64::from(u16_at(header, 56)?));
    if usize::from(u16_at(header, 54)?) != PROGRAM_HEADER {
        return None;
    }
    let headers = source.read(place, count * PROGRAM_HEADER as u64)?;
    let mut segments = Vec::new();
    let mut dynamic = None;
    for header in headers.chunks_exact(PROGRAM_HEADER) {
        let (kind, place, address, size) =
            (u32_at(header, 0)?, u64_at(header, 8)?, u64_at(header, 16)?, u64_at(header, 32)?);
        match kind {
            PT_LOAD => segments.push(Segment { address, place, size }),
            PT_DYNAMIC => dynamic = Some((place, size)),
            _ => {}
        }
    }
    // A library without a dynamic section wants nothing.
    let Some((place, size)) = dynamic else { return Some(Dynamic::default()) };
    let entries = source.read(place, size.min(MAX_TABLE))?;
    let entries: Vec<(u64, u64)> =
        entries.chunks_exact(16).filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?))).collect();
    let entries = &entries[..entries.iter().position(|(tag, _)| *tag == 0).unwrap_or(entries.len())];
    let value = |wanted: u64| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let strings = match (value(DT_STRTAB), value(DT_STRSZ)) {
        (Some(address), Some(size)) if size <= MAX_TABLE => {
            source.read(in_file(&segments, address)?, size)?
        }
        (None, _) => Vec::new(),
        _ => return None,
    };
    let needed = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
    let needed = needed.take(MAX_NAMES).map(|(_, place)| string(&strings, *place));
    let needed = needed.collect::<Option<Vec<_>>>()?;
    let mut undefined = Vec::new();
    if let Some(address) = value(DT_SYMTAB) {
        let place = in_file(&segments, address)?;
        let count = match (value(DT_HASH), value(DT_GNU_HASH)) {
            (Some(address), _) => u64::from(u32_at(&source.read(in_file(&segments, address)?, 8)?, 4)?),
            (None, Some(address)) => count_by_gnu_hash(source, in_file(&segments, address)?)?,
            // The table of symbols usually lies right before that of strings.
            (None, None) => in_file(&segments, value(DT_STRTAB)?)?.checked_sub(place)? / SYMBOL as u64,
        };
        let size = count.checked_mul(SYMBOL as u64).filter(|size| *size <= MAX_TABLE)?;
        for symbol in source.read(place, size)?.chunks_exact(SYMBOL).skip(1) {
            let (name, info, section) = (u32_at(symbol, 0)?, symbol[4], u16_at(symbol, 6)?);
            if section == 0 && info >> 4 == STB_GLOBAL {
                let Some(name) = string(&strings, u64::from(name)) else { continue };
                if name.starts_with(prefix) && undefined.len() < MAX_NAMES {
                    undefined.push(name);
                }
            }
        }
    }
    Some(Dynamic { needed, undefined })
}

/// The number of symbols by the newer kind of hash table: one more than the last in the chains. Where no symbol is
/// hashed, the table says how many there are before the first that would be.
fn count_by_gnu_hash(source: &dyn Source, place: u64) -> Option<u64> {
    let header = source.read(place, 16)?;
    let (buckets, first, bloom) = (u32_at(&header, 0)?, u32_at(&header, 4)?, u32_at(&header, 8)?);
    let buckets_place = place.checked_add(16 + 8 * u64::from(bloom))?;
    let size = 4 * u64::from(buckets);
    let table = source.read(buckets_place, Some(size).filter(|size| *size <= MAX_TABLE)?)?;
    let last = table.chunks_exact(4).filter_map(|bucket| u32_at(bucket, 0)).max().unwrap_or(0);
    if last < first {
        return Some(u64::from(first));
    }
    let chains = buckets_place.checked_add(size)?;
    let mut index = last;
    // The end of a chain has its lowest bit set.
    while u64::from(index - first) * 4 <= MAX_TABLE {
        let place = chains.checked_add(4 * u64::from(index - first))?;
        let word = u32_at(&source.read(place, 4)?, 0)?;
        index = index.checked_add(1)?;
        if word & 1 == 1 {
            return Some(u64::from(index));
        }
    }
    None
}

/// The place in the file of an address.
fn in_file(segments: &[Segment], address: u64) -> Option<u64> {
    let segment = segments
        .iter()
        .find(|segment| address.checked_sub(segment.address).is_some_and(|offset| offset < segment.size))?;
    segment.place.checked_add(address - segment.address)
}

fn string(strings: &[u8], place: u64) -> Option<String> {
    let rest = strings.get(usize::try_from(place).ok()?..)?;
    let rest = &rest[..rest.len().min(MAX_NAME)];
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    bytes.get(place..place + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..place + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    bytes.get(place..place + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_said() {
        assert_eq!(read(&MemorySource(b"x"), "").unwrap_err(), "it is too short for a library");
        assert_eq!(read(&MemorySource(&[1; 64]), "").unwrap_err(), "it is no 64-bit ELF library");
    }

    #[test]
    fn a_library_of_the_system_is_read() {
        // This very program: it needs the C library and takes functions from it.
        let path = std::env::current_exe().unwrap();
        let (file, size) = hippocamp_files::open(&path).unwrap();
        let dynamic = read(&FileSource::new(file, size), "sys").unwrap();
        assert!(dynamic.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", dynamic.needed);
        assert!(
            dynamic.undefined.iter().any(|name| name == "sysconf"),
            "{} symbols",
            dynamic.undefined.len()
        );
    }

    #[test]
    fn damage_anywhere_is_survived() {
        let path = std::env::current_exe().unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        bytes.truncate(1 << 20);
        for place in 0..256 {
            for value in [0, 1, 0x7f, 0xff] {
                let before = std::mem::replace(&mut bytes[place], value);
                drop(read(&MemorySource(&bytes), ""));
                bytes[place] = before;
            }
        }
    }
}
