//! The syntax tree of a text: names and values with their places, not yet compared with the schema.

use std::ops::Range;

use hippocamp_interface::Position;

/// `name: value`.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) position: Position,
    /// Whether there was a `:`, which only messages may do without.
    pub(super) colon: bool,
    pub(super) value: Node<'a>,
    /// Its bytes, from the name to the end of the value.
    pub(super) span: Range<usize>,
    /// Where the separator behind it ends; where the value does if there is none.
    pub(super) end: usize,
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) position: Position,
    /// A `-` stands in front.
    pub(super) negative: bool,
    /// The token itself: digits, a name, the first string with its quotes, or the opening bracket.
    pub(super) text: &'a str,
    pub(super) value: Value<'a>,
    /// Its bytes, brackets and quotes included.
    pub(super) span: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Decimal, octal or hexadecimal.
    Integer,
    Float,
    Identifier,
    /// Unescaped, neighbouring strings joined. Not necessarily UTF-8.
    String(Vec<u8>),
    Message(Vec<Field<'a>>),
    List(Vec<Node<'a>>),
    /// A fault was reported for it already.
    Invalid,
}
