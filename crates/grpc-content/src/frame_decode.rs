//! An encoded message in the frames that it came in, with its tensors left where they are.
//!
//! prost wants a message in one piece, which costs a copy of every tensor. Here only the rest is joined, which is small,
//! and prost reads that. Whatever is unusual is not decided here: the caller has tonic read the message, so that it is
//! refused, or accepted, as any other.

use bytes::Bytes;
use hippocamp_tensor::{HostSegments, TensorData};
use prost::Message;

use crate::HEADER;

/// A kind of message with a list of raw tensors.
pub trait RawTensors {
    /// The message.
    type Message: Message + Default;

    /// The number of the repeated field of bytes that the tensors are in.
    const FIELD: u64;

    /// The number of a map, if the message has one. Whatever wire type a map is written with, prost reads it as
    /// length-delimited.
    const MAP: Option<u64>;

    /// Takes the tensors out of a message.
    fn take(message: &mut Self::Message) -> Vec<Bytes>;
}

/// How a field's value is written: the low three bits of its key.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// The message behind the header that `frames` begin with, and its raw tensors, which the message itself lacks: views of
/// the frames, never copies. `None` if it is not a message as prost reads them.
pub fn decode<R: RawTensors>(frames: &[Bytes]) -> Option<(R::Message, Vec<TensorData>)> {
    if let [frame] = frames {
        let mut message = R::Message::decode(frame.get(HEADER..).map(|_| frame.slice(HEADER..))?).ok()?;
        let raw = R::take(&mut message);
        return Some((message, raw.into_iter().map(TensorData::from).collect()));
    }
    let mut cursor = Cursor { frames, at: 0 };
    cursor.take(HEADER)?;
    let (mut rest, mut raw) = (Vec::new(), Vec::new());
    while !cursor.is_at_end() {
        let key = cursor.varint()?;
        let (number, wire_type) = (key >> 3, key & 7);
        if (number, wire_type) == (R::FIELD, LENGTH_DELIMITED) {
            let size = cursor.varint()?;
            raw.push(cursor.take(usize::try_from(size).ok()?)?);
            continue;
        }
        if R::MAP == Some(number) && wire_type != LENGTH_DELIMITED {
            return None;
        }
        push_varint(&mut rest, key);
        let size = match wire_type {
            VARINT => {
                push_varint(&mut rest, cursor.varint()?);
                0
            }
            EIGHT_BYTES => 8,
            FOUR_BYTES => 4,
            LENGTH_DELIMITED => {
                let size = cursor.varint()?;
                push_varint(&mut rest, size);
                usize::try_from(size).ok()?
            }
            _ => return None,
        };
        for piece in cursor.take(size)?.as_segments()? {
            rest.extend_from_slice(piece);
        }
    }
    Some((R::Message::decode(Bytes::from(rest)).ok()?, raw))
}

/// The bytes of the message that are no raw tensors: those that [`decode`] looks at one by one. 0 if that cannot be told.
pub(crate) fn joined_bytes<R: RawTensors>(frames: &[Bytes]) -> usize {
    let count = |mut cursor: Cursor<'_>| {
        cursor.take(HEADER)?;
        let mut joined = 0;
        while !cursor.is_at_end() {
            let key = cursor.varint()?;
            let size = match key & 7 {
                VARINT => cursor.varint().map(|_| 0)?,
                EIGHT_BYTES => 8,
                FOUR_BYTES => 4,
                LENGTH_DELIMITED => usize::try_from(cursor.varint()?).ok()?,
                _ => return None,
            };
            cursor.take(size)?;
            joined += if key >> 3 == R::FIELD { 0 } else { size };
        }
        Some(joined)
    };
    count(Cursor { frames, at: 0 }).unwrap_or(0)
}

/// The place up to which frames were read.
struct Cursor<'a> {
    /// The first one is where the cursor is.
    frames: &'a [Bytes],
    at: usize,
}

impl Cursor<'_> {
    /// Moves over frames of which nothing is left.
    fn is_at_end(&mut self) -> bool {
        while let [first, rest @ ..] = self.frames {
            if self.at < first.len() {
                return false;
            }
            (self.frames, self.at) = (rest, 0);
        }
        true
    }

    fn byte(&mut self) -> Option<u8> {
        if self.is_at_end() {
            return None;
        }
        let byte = *self.frames.first()?.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number of at most 64 bits; `None` if there is none.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            value |= bits << shift;
            if byte < 0x80 {
                // Of the tenth byte only one bit fits.
                return (shift < 63 || bits <= 1).then_some(value);
            }
        }
        None
    }

    /// The next `size` bytes, without a copy; `None` if there are fewer.
    fn take(&mut self, mut size: usize) -> Option<TensorData> {
        let mut taken = HostSegments::default();
        while size > 0 {
            if self.is_at_end() {
                return None;
            }
            let frame = self.frames.first()?;
            let end = frame.len().min(self.at.saturating_add(size));
            taken.push(frame.slice(self.at..end));
            size -= end - self.at;
            self.at = end;
        }
        Some(taken.into())
    }
}

/// Appends a number in the form that keys and lengths have.
pub(crate) fn push_varint(target: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        target.push(value as u8 | 0x80);
        value >>= 7;
    }
    target.push(value as u8);
}

#[cfg(test)]
mod tests;
