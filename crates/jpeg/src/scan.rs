//! The coded data of a file.

use crate::{Result, Unsupported};

/// Zeros after the data, so that reading ahead stays within.
const PADDING: usize = 32;

/// The coded data without what was stuffed into it: every byte 255 is followed by a 0 in the file.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    data: Vec<u8>,
    /// The ends of its intervals, between which the file has restart markers. Each begins with a byte of its own.
    ends: Vec<usize>,
}

impl Scan {
    /// Reads up to the marker that ends the picture.
    pub(crate) fn read(&mut self, mut rest: &[u8]) -> Result<()> {
        const STUFFED: u8 = 0;
        const FIRST_RESTART: u8 = 0xd0;
        const END: u8 = 0xd9;
        self.ends.clear();
        self.data.clear();
        self.data.try_reserve(rest.len() + PADDING).map_err(|_| Unsupported)?;
        loop {
            let at = memchr::memchr(0xff, rest).ok_or(Unsupported)?;
            let (before, marker) = (&rest[..at], *rest.get(at + 1).ok_or(Unsupported)?);
            match marker {
                STUFFED => self.data.extend_from_slice(&rest[..=at]),
                _ => self.data.extend_from_slice(before),
            }
            match marker {
                STUFFED => {}
                END => break,
                // They are numbered from 0 to 7, again and again.
                _ if usize::from(marker) == usize::from(FIRST_RESTART) + self.ends.len() % 8 => {
                    self.ends.push(self.data.len());
                }
                _ => return Err(Unsupported),
            }
            rest = &rest[at + 2..];
        }
        self.ends.push(self.data.len());
        self.data.extend_from_slice(&[0; PADDING]);
        Ok(())
    }

    /// The data, and zeros.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes where an interval begins and ends.
    pub(crate) fn interval(&self, index: usize) -> Option<(usize, usize)> {
        let begin = index.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        Some((*begin?, *self.ends.get(index)?))
    }

    pub(crate) fn intervals(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.data.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}
