//! Reads the text format: fields, scalars and messages, wherever people put blanks, separators and comments.

use std::fmt;

/// Why a text is not a message in the text format. It shows the place, in bytes from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.expected)
    }
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Parser<'a> {
        Parser { text, at: 0 }
    }

    #[cold]
    pub(super) fn fault<T>(&self, expected: impl Into<String>) -> Result<T> {
        Err(Fault { at: self.at, expected: expected.into() })
    }

    /// The next byte that is neither blank nor within a comment.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'#' => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                }
                byte => return Some(*byte),
            }
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The bytes from here on that are of a word or a number.
    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let rest = &self.text[self.at..];
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
        let end = rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Calls `field` with the name of each field up to the end of the text. It has to read the value.
    pub(super) fn fields(&mut self, mut field: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        while self.peek().is_some() {
            self.field(&mut field)?;
        }
        Ok(())
    }

    fn field(&mut self, field: &mut impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        let start = self.at;
        let name = self.word();
        if !name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
            self.at = start;
            return self.fault("expected the name of a field");
        }
        field(self, name)?;
        if !self.skip(b',') {
            self.skip(b';');
        }
        Ok(())
    }

    /// Reads the value of a field that is a message, in either kind of brackets.
    pub(super) fn message(&mut self, mut field: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        self.skip(b':');
        let end = if self.skip(b'{') {
            b'}'
        } else if self.skip(b'<') {
            b'>'
        } else {
            return self.fault("expected '{'");
        };
        while !self.skip(end) {
            if self.peek().is_none() {
                return self.fault(format!("expected '{}'", char::from(end)));
            }
            self.field(&mut field)?;
        }
        Ok(())
    }

    /// Reads the value of a repeated field that has scalars: one, or a list of them.
    pub(super) fn scalars<T>(
        &mut self,
        values: &mut Vec<T>,
        read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<()> {
        self.colon()?;
        self.one_or_list(values, read)
    }

    /// Reads the value of a repeated field that has messages: one, or a list of them.
    pub(super) fn messages<T>(
        &mut self,
        values: &mut Vec<T>,
        read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<()> {
        self.skip(b':');
        self.one_or_list(values, read)
    }

    fn one_or_list<T>(
        &mut self,
        values: &mut Vec<T>,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<()> {
        let is_list = self.skip(b'[');
        if is_list && self.skip(b']') {
            return Ok(());
        }
        loop {
            values.push(read(self)?);
            if !is_list || self.skip(b']') {
                return Ok(());
            }
            if !self.skip(b',') {
                return self.fault("expected ',' or ']'");
            }
        }
    }

    pub(super) fn colon(&mut self) -> Result<()> {
        if self.skip(b':') { Ok(()) } else { self.fault("expected ':'") }
    }

    /// An integer, in decimal, octal or hexadecimal, which may be negative.
    pub(super) fn integer(&mut self) -> Result<i128> {
        let minus = self.skip(b'-');
        let start = self.at;
        let word = self.word();
        let (digits, radix) = match word {
            [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
            [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
            digits => (digits, 10),
        };
        let mut value: Option<i128> = (!digits.is_empty()).then_some(0);
        for &byte in digits {
            let digit = char::from(byte).to_digit(radix).map(i128::from);
            value = value
                .zip(digit)
                .and_then(|(value, digit)| value.checked_mul(i128::from(radix))?.checked_add(digit));
        }
        let Some(value) = value else {
            self.at = start;
            return self.fault("expected an integer");
        };
        Ok(if minus { -value } else { value })
    }

    /// A text: one or several quoted ones, which are joined.
    pub(super) fn string(&mut self) -> Result<String> {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut count = 0;
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.at += 1;
            self.quoted(quote, &mut bytes)?;
            count += 1;
        }
        if count == 0 {
            return self.fault("expected a text in quotes");
        }
        String::from_utf8(bytes)
            .map_err(|_| Fault { at: start, expected: "expected a text in UTF-8".to_owned() })
    }

    fn quoted(&mut self, quote: u8, bytes: &mut Vec<u8>) -> Result<()> {
        loop {
            let rest = &self.text[self.at..];
            let end = rest.iter().position(|&byte| byte == quote || byte == b'\\' || byte == b'\n');
            let Some(end) = end else { return self.fault("expected the end of a text in quotes") };
            bytes.extend_from_slice(&rest[..end]);
            self.at += end + 1;
            match rest[end] {
                b'\\' => self.escaped(bytes)?,
                b'\n' => return self.fault("expected a text in quotes to end on its line"),
                _ => return Ok(()),
            }
        }
    }

    /// Reads what stands behind a backslash.
    fn escaped(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let Some(&byte) = self.text.get(self.at) else { return self.fault("expected an escape") };
        self.at += 1;
        let plain = match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => byte,
            b'0'..=b'7' => {
                self.at -= 1;
                // Three digits may be more than a byte, of which the low bits count.
                self.digits(8, 3)? as u8
            }
            b'x' | b'X' => self.digits(16, 2)? as u8,
            b'u' | b'U' => {
                let count = if byte == b'u' { 4 } else { 8 };
                let start = self.at;
                let code = self.digits(16, count)?;
                let Some(found) = char::from_u32(code).filter(|_| self.at - start == count) else {
                    return self.fault("expected the number of a character");
                };
                bytes.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.fault("expected an escape"),
        };
        bytes.push(plain);
        Ok(())
    }

    /// The number that up to `most` digits make; there has to be one.
    fn digits(&mut self, radix: u32, most: usize) -> Result<u32> {
        let mut value = 0;
        let mut count = 0;
        while count < most
            && let Some(digit) = self.text.get(self.at).and_then(|&byte| char::from(byte).to_digit(radix))
        {
            value = value * radix + digit;
            (self.at, count) = (self.at + 1, count + 1);
        }
        if count == 0 { self.fault("expected a digit") } else { Ok(value) }
    }
}
