//! Parses tokens to a syntax tree. After a fault the parser recovers and continues.

use super::ast::{Field, Node, Value};
use super::lexer::{Lexer, Token, TokenKind};
use super::literal;
use hippocamp_interface::{Faults, Position};

/// How deep messages may be nested; a real config needs seven levels.
const MAX_DEPTH: usize = 100;

/// The tree of a text.
pub(super) struct Tree<'a> {
    /// The fields of the outermost message, without those that could not be read.
    pub(super) fields: Vec<Field<'a>>,
    /// The outermost bracket that nothing closes: what is behind it may belong to a message around it.
    pub(super) unclosed: Option<Position>,
}

/// Reads a whole text. Every part that could not be read has a fault.
pub(super) fn parse<'a>(text: &'a str, faults: &mut Faults) -> Tree<'a> {
    let mut lexer = Lexer::new(text);
    let token = lexer.next(faults);
    let mut parser = Parser { lexer, token, end: 0, faults, unclosed: None };
    let fields = parser.message(None, 0);
    Tree { fields, unclosed: parser.unclosed }
}

struct Parser<'a, 'f> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// Where the token before it ends, in bytes.
    end: usize,
    faults: &'f mut Faults,
    unclosed: Option<Position>,
}

/// The bracket that opened a message: where, and what closes it.
struct Opened {
    position: Position,
    close: char,
    /// The message is an element of a list in square brackets.
    in_list: bool,
}

impl Opened {
    fn expected(&self, found: &str) -> String {
        let Position { line, column } = self.position;
        format!("Expected \"{}\" for the bracket opened at {line}:{column}, found {found}.", self.close)
    }
}

impl<'a> Parser<'a, '_> {
    /// The fields up to the closing bracket, which is taken too, or up to the end of the text.
    fn message(&mut self, opened: Option<&Opened>, depth: usize) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        loop {
            match (self.token.kind, opened) {
                (TokenKind::End, None) => return fields,
                (TokenKind::End, Some(opened)) => {
                    // Only the innermost unclosed bracket reports the end of the text.
                    if self.unclosed.is_none() {
                        self.fault(opened.expected("the end of the text"));
                    }
                    self.unclosed = Some(opened.position);
                    return fields;
                }
                (TokenKind::Symbol(']'), Some(opened)) if opened.in_list => {
                    // The list ends, and so does its element.
                    self.fault(opened.expected("\"]\""));
                    return fields;
                }
                (TokenKind::Symbol(found @ ('}' | '>')), Some(opened)) => {
                    if found != opened.close {
                        self.expected(opened.close);
                    }
                    self.advance();
                    return fields;
                }
                (TokenKind::Identifier, _) => {
                    if let Some(field) = self.field(depth) {
                        fields.push(field);
                    } else {
                        self.recover();
                    }
                }
                (TokenKind::Invalid, _) => {
                    self.advance();
                    self.recover();
                }
                _ => {
                    self.fault(format!("Expected identifier, got: {}", shown(self.token.text)));
                    self.advance();
                    self.recover();
                }
            }
            if self.faults.is_full() {
                return fields;
            }
        }
    }

    /// A name with its value and one optional separator. `None` behind a fault.
    fn field(&mut self, depth: usize) -> Option<Field<'a>> {
        let Token { text: name, position, offset, .. } = self.token;
        self.advance();
        let colon = self.eat(':');
        let value = match self.token.kind {
            TokenKind::Symbol('[') => self.list(depth)?,
            TokenKind::Symbol('{' | '<') => self.nested(depth, false),
            _ if !colon => {
                self.expected(':');
                return None;
            }
            _ if self.at_next_field() => {
                let found = self.token.text;
                self.fault(format!("Expected a value for field \"{name}\", found the field \"{found}\"."));
                return None;
            }
            _ => self.scalar()?,
        };
        let span = offset..self.end;
        if !self.eat(';') {
            self.eat(',');
        }
        Some(Field { name, position, colon, value, span, end: self.end })
    }

    fn nested(&mut self, depth: usize, in_list: bool) -> Node<'a> {
        let Token { text, position, kind, offset, .. } = self.token;
        let close = if kind == TokenKind::Symbol('<') { '>' } else { '}' };
        self.advance();
        let value = if depth >= MAX_DEPTH {
            self.faults.push(
                Some(position),
                "",
                format!(
                    "Message is too deep, the parser exceeded the configured recursion limit of {MAX_DEPTH}."
                ),
            );
            self.skip_block();
            Value::Invalid
        } else {
            Value::Message(self.message(Some(&Opened { position, close, in_list }), depth + 1))
        };
        Node { position, negative: false, text, value, span: offset..self.end }
    }

    fn list(&mut self, depth: usize) -> Option<Node<'a>> {
        let Token { text, position, offset, .. } = self.token;
        self.advance();
        let mut elements = Vec::new();
        if !self.eat(']') {
            loop {
                elements.push(match self.token.kind {
                    TokenKind::Symbol('{' | '<') => self.nested(depth, true),
                    _ => self.scalar()?,
                });
                if self.unclosed.is_some() {
                    break;
                }
                if self.eat(']') {
                    break;
                }
                if !self.eat(',') {
                    self.expected(',');
                    // A forgotten comma: the next element is as good as announced.
                    if !matches!(self.token.kind, TokenKind::Symbol('{' | '<' | '-') | TokenKind::Integer) {
                        return None;
                    }
                }
                if self.faults.is_full() {
                    return None;
                }
            }
        }
        let span = offset..self.end;
        Some(Node { position, negative: false, text, value: Value::List(elements), span })
    }

    fn scalar(&mut self) -> Option<Node<'a>> {
        let Token { position, offset, .. } = self.token;
        let negative = self.eat('-');
        let text = self.token.text;
        let value = match self.token.kind {
            TokenKind::Integer => Value::Integer,
            TokenKind::Float => Value::Float,
            TokenKind::Identifier => Value::Identifier,
            TokenKind::Invalid => Value::Invalid,
            TokenKind::String if !negative => return Some(self.string(position, offset)),
            TokenKind::End => {
                self.fault("Expected a value, found the end of the text.");
                return None;
            }
            _ => {
                self.fault(format!("Expected a value, got: {}", shown(text)));
                return None;
            }
        };
        self.advance();
        Some(Node { position, negative, text, value, span: offset..self.end })
    }

    /// One or more strings that stand side by side.
    fn string(&mut self, position: Position, offset: usize) -> Node<'a> {
        let text = self.token.text;
        let mut bytes = Vec::new();
        let mut valid = true;
        while self.token.kind == TokenKind::String {
            if let Err((column, message)) = literal::unescape(self.token.text, &mut bytes) {
                let Position { line, column: start } = self.token.position;
                self.faults.push(Some(Position { line, column: start + column }), "", message);
                valid = false;
            }
            self.advance();
        }
        let value = if valid { Value::String(bytes) } else { Value::Invalid };
        Node { position, negative: false, text, value, span: offset..self.end }
    }

    /// Whether a new line starts with a name that is followed by what only follows a field's name.
    fn at_next_field(&self) -> bool {
        if self.token.kind != TokenKind::Identifier || !self.token.first_on_line {
            return false;
        }
        let behind = self.lexer.clone().next(&mut Faults::new(""));
        matches!(behind.kind, TokenKind::Symbol(':' | '{' | '<' | '['))
    }

    /// Skips to the next line that starts with a field, or to the end of this message, and continues there.
    fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.token.kind {
                TokenKind::End => return,
                TokenKind::Symbol('}' | '>') if depth == 0 => return,
                TokenKind::Identifier if depth == 0 && self.at_next_field() => return,
                TokenKind::Symbol('{' | '<' | '[') => depth += 1,
                TokenKind::Symbol('}' | '>' | ']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }

    /// Skips to behind the bracket that closes the message whose opening one was just taken.
    fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 && self.token.kind != TokenKind::End {
            match self.token.kind {
                TokenKind::Symbol('{' | '<') => depth += 1,
                TokenKind::Symbol('}' | '>') => depth -= 1,
                _ => {}
            }
            self.advance();
        }
    }

    fn eat(&mut self, symbol: char) -> bool {
        let found = self.token.kind == TokenKind::Symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn advance(&mut self) {
        self.end = self.token.offset + self.token.text.len();
        self.token = self.lexer.next(self.faults);
    }

    fn expected(&mut self, symbol: char) {
        self.fault(format!("Expected \"{symbol}\", found \"{}\".", shown(self.token.text)));
    }

    /// A fault at the current token. One that the lexer has reported already needs no second.
    fn fault(&mut self, message: impl Into<String>) {
        if self.token.kind != TokenKind::Invalid {
            self.faults.push(Some(self.token.position), "", message);
        }
    }
}

/// A token as it is repeated in a message: not the whole of a very long one.
pub(crate) fn shown(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
