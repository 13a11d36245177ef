//! Checks that a file is a whole shared library.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why a file cannot be opened as a shared library, as the end of a sentence.
pub fn fault(path: &Path) -> Option<String> {
    whole_file(path).err()
}

/// Checks that the file is as long as its headers say. Opening a truncated library kills the process, because the
/// loader accesses missing pages. Anything but a 64-bit little-endian ELF file is left to the loader, which refuses it.
fn whole_file(path: &Path) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    let mut file = File::open(path).map_err(text)?;
    let metadata = file.metadata().map_err(text)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || header[..6] != *b"\x7fELF\x02\x01" {
        return Err("it is not a shared library".to_owned());
    }
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (start, size, count) = (u64_at(&header, 32), u64::from(u16_at(54)), u64::from(u16_at(56)));
    let truncated =
        || format!("it is truncated: {} bytes are less than its headers announce", metadata.len());
    let end = start.checked_add(size * count).filter(|end| *end <= metadata.len()).ok_or_else(truncated)?;
    let mut programs = vec![0; (end - start) as usize];
    file.read_exact_at(&mut programs, start).map_err(text)?;
    for program in programs.chunks_exact(usize::from(u16_at(54)).max(40)) {
        let segment_end = u64_at(program, 8).checked_add(u64_at(program, 32));
        if segment_end.is_none_or(|end| end > metadata.len()) {
            return Err(truncated());
        }
    }
    Ok(())
}

/// The number at an offset, which has to be within `bytes`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
