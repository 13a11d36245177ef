//! Walks through an ONNX file: reads the wanted fields and skips the rest, above all weights.

use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// The messages of an ONNX file that may contain wanted fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    /// The version of an operator set.
    Opset,
    /// A graph or a function, whose nodes are in different fields.
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    /// A named tensor of a graph, and a tensor within an attribute.
    Initializer,
    Tensor,
    /// A (key, value) entry.
    Entry,
    /// An input and an output of a graph.
    Input,
    Output,
    Type,
    TensorType,
    Shape,
    Dimension,
}

/// The kind of the message in a field; `None` if it contains no wanted fields.
fn kind(within: Kind, field: u64) -> Option<Kind> {
    Some(match (within, field) {
        (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Kind::Graph,
        (Kind::Model, 8) => Kind::Opset,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
        (Kind::Graph, 5) => Kind::Initializer,
        (Kind::Graph, 11) => Kind::Input,
        (Kind::Graph, 12) => Kind::Output,
        (Kind::Output, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Dimension,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::SparseTensor,
        (Kind::Attribute, 5 | 10) | (Kind::SparseTensor, 1 | 2) => Kind::Tensor,
        (Kind::Initializer | Kind::Tensor, 13) => Kind::Entry,
        _ => return None,
    })
}

/// Receives the fields of a walk. Calls for nested messages are nested as in the file.
pub(crate) trait Reader {
    /// Whether a text or number is wanted. Others are skipped.
    fn wants(&self, within: Kind, field: u64) -> bool;

    /// Receives a text or bytes. An error ends the walk.
    fn text(&mut self, within: Kind, field: u64, text: Vec<u8>) -> io::Result<()>;

    fn number(&mut self, _within: Kind, _field: u64, _number: u64) {}

    fn begin(&mut self, _kind: Kind) {}

    fn end(&mut self, _kind: Kind) {}
}

/// Walks through a file. An error is the first fault; the reader has received everything before it.
pub(crate) fn walk_file(path: &Path, reader: &mut impl Reader) -> io::Result<()> {
    let (file, end) = hippocamp_files::open(path)?;
    walk(file, end, reader)
}

/// Walks through a file of length `end`.
pub(crate) fn walk(file: impl Read + Seek, end: u64, reader: &mut impl Reader) -> io::Result<()> {
    Walk { file: BufReader::new(file), at: 0, reader }.message(Kind::Model, end, 0)
}

/// The deepest nesting of messages: more than any model has, but safe for the stack.
const DEEPEST: usize = 200;

/// The longest text: as long as a path can be.
const LONGEST: u64 = 4096;

struct Walk<'a, F, R> {
    file: BufReader<F>,
    at: u64,
    reader: &'a mut R,
}

impl<F: Read + Seek, R: Reader> Walk<'_, F, R> {
    /// Reads a message that ends at `end`.
    fn message(&mut self, within: Kind, end: u64, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.reader.begin(within);
        while self.at < end {
            let tag = self.tag()?;
            let field = tag >> 3;
            let length = match tag & 7 {
                0 => {
                    let number = self.number()?;
                    if self.reader.wants(within, field) {
                        self.reader.number(within, field, number);
                    }
                    continue;
                }
                1 => 8,
                2 => self.number()?,
                3 => {
                    self.group(field, end, depth + 1)?;
                    continue;
                }
                5 => 4,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            let next = self.at.checked_add(length).filter(|next| *next <= end);
            let next = next.ok_or(io::ErrorKind::InvalidData)?;
            let has_content = tag & 7 == 2;
            match kind(within, field).filter(|_| has_content) {
                Some(kind) => self.message(kind, next, depth + 1)?,
                None if has_content && length <= LONGEST && self.reader.wants(within, field) => {
                    let text = self.text(length)?;
                    self.reader.text(within, field, text)?;
                }
                None => self.skip(length)?,
            }
        }
        self.reader.end(within);
        Ok(())
    }

    /// Skips a group, an obsolete form of nested message. ONNX has none, but the engine skips them, too, and wanted
    /// fields may follow.
    fn group(&mut self, field: u64, end: u64, depth: usize) -> io::Result<()> {
        while depth <= DEEPEST && self.at < end {
            let tag = self.tag()?;
            let length = match tag & 7 {
                0 => self.number().map(|_| 0)?,
                1 => 8,
                2 => self.number()?,
                3 => self.group(tag >> 3, end, depth + 1).map(|()| 0)?,
                4 if tag >> 3 == field => return Ok(()),
                5 => 4,
                _ => break,
            };
            let within = self.at.checked_add(length).is_some_and(|next| next <= end);
            if !within {
                break;
            }
            self.skip(length)?;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Reads a field's number and wire type. Field 0 is an error, so that a file of zeros (an interrupted download)
    /// ends here.
    fn tag(&mut self) -> io::Result<u64> {
        let tag = self.number()?;
        if tag >> 3 == 0 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(tag) }
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn text(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        self.at += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        self.file.seek_relative(i64::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?)?;
        self.at += length;
        Ok(())
    }
}
