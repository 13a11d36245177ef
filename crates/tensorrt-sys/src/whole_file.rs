//! Whether a shared library is a whole file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Why a file is no shared library that can be opened, as the end of a sentence.
///
/// The loader accesses pages that a truncated file does not have, which kills the process: the file has to be as long
/// as its headers say. These libraries are hundreds of megabytes, and an interrupted copy is what happens to them.
pub(crate) fn check(path: &Path) -> Result<(), String> {
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
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (start, size, count) = (u64_at(&header, 32), u16_at(54), u16_at(56));
    let truncated = || format!("it is truncated: its {} bytes are less than its headers say", metadata.len());
    let end = start.checked_add(size * count).filter(|end| *end <= metadata.len()).ok_or_else(truncated)?;
    let mut segments = vec![0; (end - start) as usize];
    file.read_exact_at(&mut segments, start).map_err(text)?;
    for segment in segments.chunks_exact((size as usize).max(40)) {
        let end = u64_at(segment, 8).checked_add(u64_at(segment, 32));
        if end.is_none_or(|end| end > metadata.len()) {
            return Err(truncated());
        }
    }
    Ok(())
}

/// The number at an offset, which has to be within `bytes`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
