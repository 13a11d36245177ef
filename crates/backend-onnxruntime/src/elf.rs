//! Reads which shared libraries a shared library needs, without opening it.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most bytes that are read of one table.
const LARGEST: u64 = 1 << 20;

/// Kinds of segments.
const LOADED: u32 = 1;
const DYNAMIC: u32 = 2;

/// Tags of dynamic entries.
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const STRINGS_SIZE: u64 = 10;

/// A segment of the file.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// The names of the libraries that the file lists as needed, in its order.
///
/// # Errors
/// If the file cannot be read, or is no 64-bit little-endian ELF file.
pub(crate) fn needed(path: &Path) -> Result<Vec<String>> {
    let file = File::open(path)?;
    let header = read(&file, 0, 64)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Err(damaged());
    }
    let (start, size, count) = (u64_at(&header, 32)?, u16_at(&header, 54)?, u16_at(&header, 56)?);
    let table = read(&file, start, u64::from(size) * u64::from(count))?;
    let segments =
        table.chunks_exact(usize::from(size.max(56))).map(Segment::of).collect::<Result<Vec<_>>>()?;
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else {
        return Ok(Vec::new());
    };
    let table = read(&file, dynamic.offset, dynamic.size)?;
    let entries = table.chunks_exact(16).map(|entry| Ok((u64_at(entry, 0)?, u64_at(entry, 8)?)));
    let entries = entries.collect::<Result<Vec<(u64, u64)>>>()?;
    let value = |tag| entries.iter().find(|entry| entry.0 == tag).map(|entry| entry.1).ok_or_else(damaged);
    let (address, size) = (value(STRINGS)?, value(STRINGS_SIZE)?);
    let within = |segment: &&Segment| {
        segment.kind == LOADED
            && (segment.address..segment.address.saturating_add(segment.size)).contains(&address)
    };
    let segment = segments.iter().find(within).ok_or_else(damaged)?;
    let strings = read(&file, segment.offset.saturating_add(address - segment.address), size)?;
    let name = |start: u64| {
        let start = strings.get(usize::try_from(start).ok()?..)?;
        let name = start.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let names =
        entries.iter().filter(|entry| entry.0 == NEEDED).map(|entry| name(entry.1).ok_or_else(damaged));
    names.collect()
}

impl Segment {
    fn of(entry: &[u8]) -> Result<Segment> {
        let kind = entry.first_chunk::<4>().ok_or_else(damaged)?;
        Ok(Segment {
            kind: u32::from_le_bytes(*kind),
            offset: u64_at(entry, 8)?,
            address: u64_at(entry, 16)?,
            size: u64_at(entry, 32)?,
        })
    }
}

fn read(file: &File, start: u64, size: u64) -> Result<Vec<u8>> {
    if size > LARGEST {
        return Err(damaged());
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| damaged())?];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(damaged)?;
    Ok(u64::from_le_bytes(*bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(damaged)?;
    Ok(u16::from_le_bytes(*bytes))
}

fn damaged() -> Error {
    Error::new(ErrorKind::InvalidData, "it is no shared library, or a damaged one")
}
