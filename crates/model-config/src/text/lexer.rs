//! Splits the text into tokens, each with its line and column.

use hippocamp_interface::{Faults, Position};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Identifier,
    Integer,
    Float,
    /// With its quotes; escapes are not yet looked at.
    String,
    Symbol(char),
    /// A fault was reported for it already.
    Invalid,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    /// Where it begins, in bytes, behind a byte order mark.
    pub(super) offset: usize,
    pub(super) position: Position,
    /// Nothing but space stands in front of it.
    pub(super) first_on_line: bool,
}

/// Cheap to clone, which is how the parser looks ahead.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    position: Position,
    first_on_line: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // Editors on some systems put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Lexer { text, offset: 0, position: Position { line: 1, column: 1 }, first_on_line: true }
    }

    /// The next token; `End` again and again once the text is over.
    pub(super) fn next(&mut self, faults: &mut Faults) -> Token<'a> {
        self.skip_space();
        let start = self.offset;
        let position = self.position;
        let first_on_line = std::mem::replace(&mut self.first_on_line, false);
        let kind = match self.peek() {
            None => TokenKind::End,
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                self.skip_while(is_word);
                TokenKind::Identifier
            }
            Some(b'0'..=b'9') => self.number(position, faults),
            Some(b'.') if self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.number(position, faults)
            }
            Some(quote @ (b'"' | b'\'')) => self.string(quote, position, faults),
            Some(byte) if byte.is_ascii_graphic() => {
                self.bump();
                TokenKind::Symbol(char::from(byte))
            }
            Some(_) => self.foreign(position, faults),
        };
        Token { kind, text: &self.text[start..self.offset], offset: start, position, first_on_line }
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => self.skip_while(|byte| byte != b'\n'),
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.bump(),
                _ => break,
            }
        }
    }

    fn number(&mut self, position: Position, faults: &mut Faults) -> TokenKind {
        let mut float = false;
        let mut fault = None;
        let zero = self.peek() == Some(b'0');
        if zero && matches!(self.peek_at(1), Some(b'x' | b'X')) {
            self.bump();
            self.bump();
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                fault = Some("\"0x\" must be followed by hex digits.");
            }
            self.skip_while(|byte| byte.is_ascii_hexdigit());
        } else if zero && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| matches!(byte, b'0'..=b'7'));
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                fault = Some("Numbers starting with leading zero must be in octal.");
            }
        } else {
            float = self.decimal(&mut fault);
        }
        if self.peek().is_some_and(|byte| is_word(byte) || byte == b'.') {
            fault = fault.or(Some(match (self.peek(), float) {
                (Some(b'.'), true) => "Already saw decimal point or exponent; can't have another one.",
                (Some(b'.'), false) => "Hex and octal numbers must be integers.",
                _ => "Need space between number and identifier.",
            }));
            self.skip_while(|byte| is_word(byte) || byte == b'.');
        }
        if let Some(message) = fault {
            faults.push(Some(position), "", message);
            return TokenKind::Invalid;
        }
        if float { TokenKind::Float } else { TokenKind::Integer }
    }

    /// Digits with an optional point, exponent and `f`. Returns whether any of the three was there.
    fn decimal(&mut self, fault: &mut Option<&'static str>) -> bool {
        let mut float = false;
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.peek() == Some(b'.') {
            float = true;
            self.bump();
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            float = true;
            self.bump();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.bump();
            }
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                *fault = Some("\"e\" must be followed by exponent.");
            }
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(), Some(b'f' | b'F')) {
            float = true;
            self.bump();
        }
        float
    }

    fn string(&mut self, quote: u8, position: Position, faults: &mut Faults) -> TokenKind {
        self.bump();
        loop {
            match self.peek() {
                None => {
                    faults.push(Some(position), "", "Unexpected end of string.");
                    return TokenKind::Invalid;
                }
                Some(b'\n') => {
                    let message = "Multiline strings are not allowed. Did you miss a \"?.";
                    faults.push(Some(position), "", message);
                    return TokenKind::Invalid;
                }
                Some(byte) if byte == quote => {
                    self.bump();
                    return TokenKind::String;
                }
                Some(b'\\') => {
                    self.bump();
                    if self.peek().is_some_and(|byte| byte != b'\n') {
                        self.bump();
                    }
                }
                Some(_) => self.bump(),
            }
        }
    }

    /// A word with characters that have no place outside of strings and comments; one fault for all of it.
    fn foreign(&mut self, position: Position, faults: &mut Faults) -> TokenKind {
        if self.peek().is_some_and(|byte| byte.is_ascii()) {
            faults.push(Some(position), "", "Invalid control characters encountered in text.");
        } else {
            let first = self.text[self.offset..].chars().next().unwrap_or_default();
            faults.push(Some(position), "", format!("unexpected character '{first}' outside of a string"));
        }
        self.skip_while(|byte| !byte.is_ascii_whitespace() && (is_word(byte) || !byte.is_ascii_graphic()));
        TokenKind::Invalid
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.offset + ahead).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
    }

    /// Steps over one byte. Callers stop only where a character ends.
    fn bump(&mut self) {
        match self.peek() {
            None => return,
            Some(b'\n') => {
                self.position = Position { line: self.position.line + 1, column: 1 };
                self.first_on_line = true;
            }
            // The second and later bytes of a character take no column of their own.
            Some(byte) if byte & 0xc0 == 0x80 => {}
            Some(_) => self.position.column += 1,
        }
        self.offset += 1;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
