//! Skips a value whose content is not wanted, or not yet.

use super::cursor::Cursor;
use super::fault::{Fault, syntax};

/// What is open around the cursor inside the skipped value: a bit each, 1 for an object. Depth is limited to 100.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: u32,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl Cursor<'_> {
    /// Moves past the value that begins here, and checks its syntax. Allocates nothing, does not recurse.
    pub fn skip_value(&mut self) -> Result<(), Fault> {
        let mut nesting = Nesting::default();
        loop {
            if self.skip_scalar_or_open(&mut nesting)? {
                continue;
            }
            // A value has ended: so may have what is around it.
            loop {
                if nesting.depth == 0 {
                    return Ok(());
                }
                self.whitespace();
                let object = nesting.in_object();
                match self.peek() {
                    Some(b',') => {
                        self.advance(1);
                        self.whitespace();
                        if object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.close(),
                    Some(b']') if !object => self.close(),
                    _ if object => return Err(self.syntax(syntax::OBJECT_COMMA)),
                    _ => return Err(self.syntax(syntax::ARRAY_COMMA)),
                }
                nesting.pop();
            }
        }
    }

    /// True if an object or array was opened and the cursor is at its first value.
    fn skip_scalar_or_open(&mut self, nesting: &mut Nesting) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'{') => {
                self.open()?;
                self.whitespace();
                if self.peek() == Some(b'}') {
                    self.close();
                    return Ok(false);
                }
                nesting.push(true);
                self.skip_name()?;
                Ok(true)
            }
            Some(b'[') => {
                self.open()?;
                self.whitespace();
                if self.peek() == Some(b']') {
                    self.close();
                    return Ok(false);
                }
                nesting.push(false);
                Ok(true)
            }
            Some(b'"') => self.skip_string().map(|()| false),
            Some(b't') => self.literal(b"true").map(|()| false),
            Some(b'f') => self.literal(b"false").map(|()| false),
            Some(b'n') => self.literal(b"null").map(|()| false),
            _ => self.number().map(|_| false),
        }
    }

    fn skip_name(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax(syntax::NAME));
        }
        self.skip_string()?;
        self.colon()
    }

    /// Moves past a word. Fails at the first letter that is another.
    pub fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        for &letter in word {
            if !self.eat(letter) {
                return Err(self.syntax(syntax::VALUE));
            }
        }
        Ok(())
    }
}
