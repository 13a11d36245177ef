//! Strings: bytes between quotation marks, with escapes.
//!
//! The bytes need not be UTF-8: elements of BYTES tensors are whatever the client put there.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::fault::{Fault, syntax};
use super::plain::plain_length;

impl<'a> Cursor<'a> {
    /// Reads the string that begins here. Copies only if it has escapes.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        self.advance(1);
        let plain = self.plain_bytes();
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut value = plain.to_vec();
        self.string_rest(|bytes| value.extend_from_slice(bytes))?;
        Ok(Cow::Owned(value))
    }

    /// Moves past the string that begins here.
    pub fn skip_string(&mut self) -> Result<(), Fault> {
        self.advance(1);
        self.string_rest(|_| {})
    }

    /// Moves to the next byte that means something in a string, and returns those before it.
    fn plain_bytes(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = plain_length(rest);
        self.advance(length);
        &rest[..length]
    }

    /// Reads to the end of the string and hands on what it says, in pieces.
    fn string_rest(&mut self, mut piece: impl FnMut(&[u8])) -> Result<(), Fault> {
        loop {
            piece(self.plain_bytes());
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(());
                }
                Some(b'\\') => self.escape(&mut piece)?,
                None | Some(0) => return Err(self.syntax(syntax::QUOTE)),
                Some(_) => return Err(self.syntax(syntax::ENCODING)),
            }
        }
    }

    fn escape(&mut self, piece: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        let start = self.at();
        self.advance(1);
        let plain: &[u8] = match self.peek() {
            Some(b'"') => b"\"",
            Some(b'\\') => b"\\",
            Some(b'/') => b"/",
            Some(b'b') => b"\x08",
            Some(b'f') => b"\x0C",
            Some(b'n') => b"\n",
            Some(b'r') => b"\r",
            Some(b't') => b"\t",
            Some(b'u') => {
                self.advance(1);
                let code_point = self.code_point(start)?;
                piece(code_point.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(Fault::Syntax { text: syntax::ESCAPE, at: start }),
        };
        self.advance(1);
        piece(plain);
        Ok(())
    }

    /// What follows `\u`: one code unit, or two that belong together.
    fn code_point(&mut self, start: usize) -> Result<char, Fault> {
        let invalid = || Fault::Syntax { text: syntax::SURROGATE, at: start };
        let mut code = self.hex(start)?;
        if (0xD800..0xDC00).contains(&code) {
            if !(self.eat(b'\\') && self.eat(b'u')) {
                return Err(invalid());
            }
            let low = self.hex(start)?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(invalid());
            }
            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        char::from_u32(code).ok_or_else(invalid)
    }

    fn hex(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.rest().get(..4).unwrap_or_default();
        let digit = |value: u32, &byte: &u8| Some(value << 4 | char::from(byte).to_digit(16)?);
        let value = digits.iter().try_fold(0, digit);
        match value {
            Some(value) if digits.len() == 4 => {
                self.advance(4);
                Ok(value)
            }
            _ => Err(Fault::Syntax { text: syntax::HEX, at: start }),
        }
    }
}
