//! The engine's own file format (`.ort`), in which strings are stored verbatim after their lengths.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::guard::OPERATORS;

/// Bytes that are searched at once.
const PIECE: usize = 1 << 20;

/// Whether the content of a file is in this format, whatever its name.
pub(crate) fn is_ort_format(path: &Path) -> bool {
    hippocamp_files::head(path, 8).is_ok_and(|head| head.get(4..) == Some(b"ORTM"))
}

/// The guarded operators in a file of this format; `None` for other files.
///
/// Searches for strings anywhere in the file, so that a model is guarded without need if it uses an operator's name for
/// something else.
pub(super) fn operators(path: &Path) -> Option<BTreeSet<String>> {
    let (file, _) = hippocamp_files::open(path).ok().filter(|_| is_ort_format(path))?;
    let mut found = BTreeSet::new();
    // A file that cannot be read is an error of the engine, too.
    drop(search(file, &mut found));
    Some(found)
}

fn search(mut file: File, found: &mut BTreeSet<String>) -> io::Result<()> {
    let longest = OPERATORS.iter().map(|guarded| guarded.operator.len()).max().unwrap_or(0);
    let mut bytes = Vec::new();
    loop {
        if file.by_ref().take(PIECE as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(());
        }
        // A string follows its length, which is aligned to four bytes.
        for (at, length) in bytes.chunks_exact(4).enumerate() {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            if (1..=longest).contains(&length) {
                let text = bytes.get(at * 4 + 4..at * 4 + 4 + length).unwrap_or_default();
                let guarded = OPERATORS.iter().find(|guarded| guarded.operator.as_bytes() == text);
                found.extend(guarded.map(|guarded| guarded.operator.to_owned()));
            }
        }
        // The end is searched again, for a string that continues in the next piece.
        let keep = (longest + 4).next_multiple_of(4).min(bytes.len()) / 4 * 4;
        bytes.drain(..(bytes.len() / 4 * 4).saturating_sub(keep));
    }
}
