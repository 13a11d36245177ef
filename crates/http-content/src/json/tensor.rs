//! A tensor's `data`: nested or flat arrays of values, straight to little-endian bytes.

use hippocamp_backend::Error;
use hippocamp_tensor::{DataType, push_element};

use super::cursor::Cursor;
use super::fault::{Fault, syntax, unable_to_parse};
use super::number::Number;
use super::scalar::AccessFault;

/// Whether tensors of that type can be written as JSON at all.
pub fn is_readable(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Fp16 | DataType::Bf16)
}

/// Reads the array that begins here. Only the number of elements has to be `expected`, their nesting does not matter;
/// BYTES elements are not counted, as whoever checks their content counts them there. Allocates at most `max_size` bytes
/// for elements of fixed size, and never more than what came can hold. `name` is that of the input, for errors.
pub fn read(
    cursor: &mut Cursor<'_>,
    name: &str,
    data_type: DataType,
    expected: usize,
    max_size: usize,
) -> Result<Vec<u8>, Fault> {
    if !cursor.is_array() {
        return Err(unable_to_parse("data", AccessFault::Array).into());
    }
    read_any(cursor, name, data_type, expected, max_size)
}

/// The same for a value that may also stand alone, as the only element.
pub fn read_any(
    cursor: &mut Cursor<'_>,
    name: &str,
    data_type: DataType,
    expected: usize,
    max_size: usize,
) -> Result<Vec<u8>, Fault> {
    let limits = Limits { name, expected, max_size };
    match data_type {
        DataType::Bool => fixed::<bool>(cursor, limits),
        DataType::Uint8 => fixed::<u8>(cursor, limits),
        DataType::Uint16 => fixed::<u16>(cursor, limits),
        DataType::Uint32 => fixed::<u32>(cursor, limits),
        DataType::Uint64 => fixed::<u64>(cursor, limits),
        DataType::Int8 => fixed::<i8>(cursor, limits),
        DataType::Int16 => fixed::<i16>(cursor, limits),
        DataType::Int32 => fixed::<i32>(cursor, limits),
        DataType::Int64 => fixed::<i64>(cursor, limits),
        DataType::Fp32 => fixed::<f32>(cursor, limits),
        DataType::Fp64 => fixed::<f64>(cursor, limits),
        DataType::Bytes => strings(cursor),
        DataType::Fp16 | DataType::Bf16 => {
            Err(Error::invalid_arg(format!("receiving {data_type} data via JSON is not supported")).into())
        }
    }
}

#[derive(Clone, Copy)]
struct Limits<'a> {
    name: &'a str,
    expected: usize,
    max_size: usize,
}

/// An element of fixed size.
trait Element: Sized {
    const SIZE: usize = size_of::<Self>();

    /// Reads the value that begins here and appends its bytes.
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault>;
}

fn fixed<E: Element>(cursor: &mut Cursor<'_>, limits: Limits<'_>) -> Result<Vec<u8>, Fault> {
    // An element and what divides it from the next take two bytes of text at least.
    let possible = limits.expected.min(cursor.rest().len() / 2 + 1);
    if possible.saturating_mul(E::SIZE) > limits.max_size {
        let Limits { name, expected, max_size } = limits;
        let size = expected.saturating_mul(E::SIZE);
        return Err(Error::invalid_arg(format!(
            "JSON input '{name}' has a byte_size ({size} bytes) that exceeds the maximum allowed value of {max_size} \
             bytes. Use --http-max-input-size to increase the limit."
        ))
        .into());
    }
    let mut out = Vec::with_capacity(possible * E::SIZE);
    if !cursor.is_array() {
        E::read(cursor, &mut out)?;
        return if limits.expected == 1 { Ok(out) } else { Err(wrong_count()) };
    }
    let mut leaves = Leaves::default();
    let mut count = 0;
    while leaves.next(cursor)? {
        if count == limits.expected {
            return Err(wrong_count());
        }
        E::read(cursor, &mut out)?;
        count += 1;
    }
    if count == limits.expected { Ok(out) } else { Err(wrong_count()) }
}

fn strings(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    if !cursor.is_array() {
        string(cursor, &mut out)?;
        return Ok(out);
    }
    let mut leaves = Leaves::default();
    while leaves.next(cursor)? {
        string(cursor, &mut out)?;
    }
    Ok(out)
}

fn string(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if cursor.peek() != Some(b'"') {
        let text = format!("Unable to parse JSON bytes array: {}", AccessFault::String);
        return Err(Error::invalid_arg(text).into());
    }
    push_element(out, &cursor.string()?);
    Ok(())
}

#[cold]
fn wrong_count() -> Fault {
    unable_to_parse("data", "Shape does not match true shape of 'data' field").into()
}

/// Walks through nested arrays and stops at each value that is none.
#[derive(Default)]
struct Leaves {
    open: u32,
    /// A value ended here: a comma or a bracket has to follow.
    after_value: bool,
    /// An array opened here: it may close at once.
    may_close: bool,
}

impl Leaves {
    /// Moves to the next value. False behind the last bracket.
    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        loop {
            cursor.whitespace();
            match cursor.peek() {
                Some(b']') if self.after_value || self.may_close => {
                    cursor.close();
                    self.open -= 1;
                    (self.after_value, self.may_close) = (true, false);
                    if self.open == 0 {
                        return Ok(false);
                    }
                }
                Some(b',') if self.after_value => {
                    cursor.advance(1);
                    self.after_value = false;
                }
                _ if self.after_value => return Err(cursor.syntax(syntax::ARRAY_COMMA)),
                Some(b'[') => {
                    cursor.open()?;
                    self.open += 1;
                    self.may_close = true;
                }
                _ => {
                    (self.after_value, self.may_close) = (true, false);
                    return Ok(true);
                }
            }
        }
    }
}

impl Element for bool {
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let value = match cursor.peek() {
            Some(b't') => cursor.literal(b"true").map(|()| 1)?,
            Some(b'f') => cursor.literal(b"false").map(|()| 0)?,
            _ => return Err(unable_to_parse("data", AccessFault::Bool).into()),
        };
        out.push(value);
        Ok(())
    }
}

/// Reads a number; another value is not what was asked for.
fn number(cursor: &mut Cursor<'_>, fault: AccessFault) -> Result<Number, Fault> {
    match cursor.peek() {
        Some(b'"' | b'{' | b't' | b'f' | b'n') => Err(unable_to_parse("data", fault).into()),
        _ => cursor.number(),
    }
}

macro_rules! integers {
    ($read:ident, $fault:ident: $($name:ty => $data_type:literal),+) => {
        $(impl Element for $name {
            fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
                let fault = AccessFault::$fault;
                let number = number(cursor, fault)?.$read().ok_or_else(|| unable_to_parse("data", fault))?;
                let value = <$name>::try_from(number).map_err(|_| out_of_range(number, $data_type))?;
                out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
        })+
    };
}

integers!(as_u64, Unsigned: u8 => "UINT8", u16 => "UINT16", u32 => "UINT32", u64 => "UINT64");
integers!(as_i64, Signed: i8 => "INT8", i16 => "INT16", i32 => "INT32", i64 => "INT64");

/// Triton keeps the low bits of such a number without a word.
#[cold]
fn out_of_range(number: impl std::fmt::Display, data_type: &str) -> Fault {
    Error::invalid_arg(format!("Unable to parse 'data': {number} is out of the range of {data_type}")).into()
}

impl Element for f32 {
    /// Through a double, as Triton does: what is too large for 32 bits becomes infinite.
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let value = number(cursor, AccessFault::Number)?.as_f64() as f32;
        out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

impl Element for f64 {
    fn read(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let value = number(cursor, AccessFault::Number)?.as_f64();
        out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
}
