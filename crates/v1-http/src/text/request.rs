//! The header of a request, read without reflection: one comes with every request.

use hippocamp_proto::v1::infer_request_header::output::Class;
use hippocamp_proto::v1::infer_request_header::{Input, Output};
use hippocamp_proto::v1::{InferRequestHeader, InferSharedMemory};

use super::parser::{Fault, Parser, Result};

/// Reads the header of a request in the text format. A field that does not exist, or comes twice, is a fault.
pub(crate) fn parse_request(text: &[u8]) -> std::result::Result<InferRequestHeader, Fault> {
    let mut header = InferRequestHeader::default();
    let mut seen = Seen::default();
    Parser::new(text).fields(|parser, name| match name {
        b"batch_size" => seen.once(parser, 1, &mut header.batch_size, number),
        b"input" => parser.messages(&mut header.input, input),
        b"output" => parser.messages(&mut header.output, output),
        b"correlation_id" => seen.once(parser, 4, &mut header.correlation_id, number),
        b"id" => seen.once(parser, 5, &mut header.id, number),
        b"flags" => seen.once(parser, 6, &mut header.flags, number),
        b"priority" => seen.once(parser, 7, &mut header.priority, number),
        b"timeout_microseconds" => seen.once(parser, 8, &mut header.timeout_microseconds, number),
        other => unknown(parser, "InferRequestHeader", other),
    })?;
    Ok(header)
}

fn input(parser: &mut Parser<'_>) -> Result<Input> {
    let mut input = Input::default();
    let mut seen = Seen::default();
    parser.message(|parser, name| match name {
        b"name" => seen.once(parser, 1, &mut input.name, text),
        b"dims" => parser.scalars(&mut input.dims, integer),
        b"batch_byte_size" => seen.once(parser, 3, &mut input.batch_byte_size, number),
        b"shared_memory" => {
            seen.once(parser, 4, &mut input.shared_memory, |parser| shared_memory(parser).map(Some))
        }
        other => unknown(parser, "Input", other),
    })?;
    Ok(input)
}

fn output(parser: &mut Parser<'_>) -> Result<Output> {
    let mut output = Output::default();
    let mut seen = Seen::default();
    parser.message(|parser, name| match name {
        b"name" => seen.once(parser, 1, &mut output.name, text),
        b"cls" => seen.once(parser, 3, &mut output.cls, |parser| class(parser).map(Some)),
        b"shared_memory" => {
            seen.once(parser, 4, &mut output.shared_memory, |parser| shared_memory(parser).map(Some))
        }
        other => unknown(parser, "Output", other),
    })?;
    Ok(output)
}

fn class(parser: &mut Parser<'_>) -> Result<Class> {
    let mut class = Class::default();
    let mut seen = Seen::default();
    parser.message(|parser, name| match name {
        b"count" => seen.once(parser, 1, &mut class.count, number),
        other => unknown(parser, "Class", other),
    })?;
    Ok(class)
}

fn shared_memory(parser: &mut Parser<'_>) -> Result<InferSharedMemory> {
    let mut part = InferSharedMemory::default();
    let mut seen = Seen::default();
    parser.message(|parser, name| match name {
        b"name" => seen.once(parser, 1, &mut part.name, text),
        b"offset" => seen.once(parser, 2, &mut part.offset, number),
        b"byte_size" => seen.once(parser, 3, &mut part.byte_size, number),
        other => unknown(parser, "InferSharedMemory", other),
    })?;
    Ok(part)
}

/// The fields of a message that were read, as bits by their numbers.
#[derive(Debug, Default)]
struct Seen(u32);

impl Seen {
    /// Reads a field that is not repeated.
    fn once<'a, T>(
        &mut self,
        parser: &mut Parser<'a>,
        number: u32,
        place: &mut T,
        read: impl FnOnce(&mut Parser<'a>) -> Result<T>,
    ) -> Result<()> {
        let bit = 1 << number;
        if self.0 & bit != 0 {
            return parser.fault("expected this field once");
        }
        self.0 |= bit;
        *place = read(parser)?;
        Ok(())
    }
}

#[cold]
fn unknown(parser: &Parser<'_>, message: &str, field: &[u8]) -> Result<()> {
    let field = String::from_utf8_lossy(&field[..field.len().min(64)]).into_owned();
    parser.fault(format!("message type {message} has no field named \"{field}\""))
}

fn text(parser: &mut Parser<'_>) -> Result<String> {
    parser.colon()?;
    parser.string()
}

/// An integer of a type, behind its colon.
fn number<T: TryFrom<i128>>(parser: &mut Parser<'_>) -> Result<T> {
    parser.colon()?;
    integer(parser)
}

fn integer<T: TryFrom<i128>>(parser: &mut Parser<'_>) -> Result<T> {
    let value = parser.integer()?;
    T::try_from(value).or_else(|_| parser.fault(format!("integer out of range ({value})")))
}

#[cfg(test)]
mod tests;
