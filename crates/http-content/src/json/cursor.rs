//! A cursor over a JSON text: how far it was read, and the steps that move on.

use std::borrow::Cow;

use hippocamp_backend::Error;

use super::fault::{Fault, syntax};

/// How many objects and arrays may be nested in each other.
const MAX_DEPTH: u32 = 100;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads a text from front to back. Every step either moves on or fails; none moves beyond the end.
#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Objects and arrays that are open here.
    depth: u32,
}

/// A place to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: usize,
    depth: u32,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0, depth: 0 }
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The bytes from here on.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The bytes between an earlier place and this one.
    #[inline]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Moves on by `count` bytes that were looked at.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.bytes.len());
    }

    /// Moves past a byte if it is the next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    pub fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth }
    }

    #[inline]
    pub fn reset(&mut self, mark: Mark) {
        (self.at, self.depth) = (mark.at, mark.depth);
    }

    /// A syntax error at this place.
    #[cold]
    pub fn syntax(&self, text: &'static str) -> Fault {
        Fault::Syntax { text, at: self.at }
    }

    /// Moves past the byte that opens an object or array.
    pub fn open(&mut self) -> Result<(), Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(self.syntax(syntax::DEPTH));
        }
        self.depth += 1;
        self.advance(1);
        Ok(())
    }

    /// Moves past the byte that closes one.
    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.advance(1);
    }

    /// Moves to the first value of the text. A byte order mark in front is none of it: editors and shells of Windows write one
    /// into files that are sent as they are, and Triton's parser reads past it.
    pub fn begin(&mut self) -> Result<(), Fault> {
        if self.rest().starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
        }
        self.whitespace();
        match self.peek() {
            None | Some(0) => Err(self.syntax(syntax::EMPTY)),
            Some(_) => Ok(()),
        }
    }

    /// Sees to it that the text ends here. A NUL byte ends it, too: what follows is not looked at. Triton reads it so,
    /// and tensors that were appended without an `Inference-Header-Content-Length` usually begin with one.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.whitespace();
        match self.peek() {
            None | Some(0) => Ok(()),
            Some(_) => Err(self.syntax(syntax::ROOT_FOLLOWED)),
        }
    }

    #[inline]
    pub fn is_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    #[inline]
    pub fn is_array(&self) -> bool {
        self.peek() == Some(b'[')
    }

    /// Reads an object. `member` gets each name, and has to read the value that the cursor is at.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, [u8]>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open()?;
        self.whitespace();
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(());
        }
        loop {
            let name = self.name()?;
            member(self, name)?;
            self.whitespace();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b'}') => {
                    self.close();
                    return Ok(());
                }
                _ => return Err(self.syntax(syntax::OBJECT_COMMA)),
            }
            self.whitespace();
        }
    }

    /// Reads an array. `element` has to read the value that the cursor is at.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open()?;
        self.whitespace();
        if self.peek() == Some(b']') {
            self.close();
            return Ok(());
        }
        loop {
            element(self)?;
            self.whitespace();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b']') => {
                    self.close();
                    return Ok(());
                }
                _ => return Err(self.syntax(syntax::ARRAY_COMMA)),
            }
            self.whitespace();
        }
    }

    /// Reads a member's name and moves to its value.
    pub fn name(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax(syntax::NAME));
        }
        let name = self.string()?;
        self.colon()?;
        Ok(name)
    }

    /// Moves from the end of a name to the value.
    pub fn colon(&mut self) -> Result<(), Fault> {
        self.whitespace();
        if !self.eat(b':') {
            return Err(self.syntax(syntax::COLON));
        }
        self.whitespace();
        Ok(())
    }

    /// Reads a value. If its meaning is wrong, reads over it and keeps the error: a syntax error anywhere in the text
    /// comes first, and so does the meaning of other members.
    pub fn section<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Result<T, Error>, Fault> {
        let start = self.mark();
        match read(self) {
            Ok(value) => Ok(Ok(value)),
            Err(Fault::Meaning(error)) => {
                self.reset(start);
                self.skip_value()?;
                Ok(Err(error))
            }
            Err(syntax) => Err(syntax),
        }
    }
}
