//! Protocol buffers read as a stream, in memory that does not grow with the message.

use std::io::{self, Read};

/// The rest of a message, or of a part of one.
pub(crate) struct Region<'r, R: Read + ?Sized> {
    reader: &'r mut R,
    left: u64,
}

/// A field of a message: its number, and its content if that has a length. Numbers are skipped.
pub(crate) enum Field<'r, R: Read + ?Sized> {
    Bytes(u32, Region<'r, R>),
    Number(u32, u64),
}

impl<'r, R: Read + ?Sized> Region<'r, R> {
    /// A message of at most so many bytes.
    pub(crate) fn new(reader: &'r mut R, left: u64) -> Region<'r, R> {
        Region { reader, left }
    }

    /// The next field; `None` at the end. What is not read of a field's content has to be skipped before.
    pub(crate) fn next(&mut self) -> io::Result<Option<Field<'_, R>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| broken("a field's number is too large"))?;
        match key & 7 {
            0 => {
                let value = self.varint()?;
                Ok(Some(Field::Number(number, value)))
            }
            1 => self.skip(8).map(|()| Some(Field::Number(number, 0))),
            5 => self.skip(4).map(|()| Some(Field::Number(number, 0))),
            2 => {
                let length = self.varint()?;
                self.left = self
                    .left
                    .checked_sub(length)
                    .ok_or_else(|| broken("a field is longer than its message"))?;
                Ok(Some(Field::Bytes(number, Region { reader: &mut *self.reader, left: length })))
            }
            kind => Err(broken(&format!("a field has the unknown kind {kind}"))),
        }
    }

    /// Passes over the rest.
    pub(crate) fn end(self) -> io::Result<()> {
        let Region { reader, mut left } = self;
        let mut buffer = [0; 8192];
        while left > 0 {
            let part = left.min(buffer.len() as u64) as usize;
            reader.read_exact(&mut buffer[..part])?;
            left -= part as u64;
        }
        Ok(())
    }

    /// Text of at most `limit` bytes.
    pub(crate) fn text(self, limit: u64) -> io::Result<String> {
        let Region { reader, left } = self;
        if left > limit {
            return Err(broken("a name is too long"));
        }
        let mut bytes = vec![0; left as usize];
        reader.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| broken("a name is not UTF-8"))
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.left =
            self.left.checked_sub(count).ok_or_else(|| broken("a field is longer than its message"))?;
        Region { reader: &mut *self.reader, left: count }.end()
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for place in 0..10 {
            self.left = self.left.checked_sub(1).ok_or_else(|| broken("it ends within a number"))?;
            let mut byte = [0];
            self.reader.read_exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << (7 * place);
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(broken("a number is too long"))
    }
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
