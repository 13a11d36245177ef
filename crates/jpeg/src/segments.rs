//! The segments of a file.

/// Reads segments; bytes that stand between them are passed over, as other decoders do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// Those behind the marker that begins a file.
    pub(crate) fn new(file: &'a [u8]) -> Segments<'a> {
        Segments { file, at: 2 }
    }

    /// The offset that was reached.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on at that offset.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The next marker and its content, which some have not.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let rest = self.file.get(self.at..)?;
            self.at += memchr::memchr(0xff, rest)? + 1;
            match *self.file.get(self.at)? {
                0 => self.at += 1,
                0xff => {}
                marker @ (0x01 | 0xd0..=0xd9) => {
                    self.at += 1;
                    return Some((marker, &[]));
                }
                marker => {
                    let [high, low] = *self.file.get(self.at + 1..)?.first_chunk()?;
                    let end = self.at + 1 + usize::from(u16::from_be_bytes([high, low]));
                    let segment = self.file.get(self.at + 3..end)?;
                    self.at = end;
                    return Some((marker, segment));
                }
            }
        }
    }
}
