//! Single values, and asking them to be of a kind.

use std::borrow::Cow;
use std::fmt;

use hippocamp_backend::Error;

use super::cursor::Cursor;
use super::fault::Fault;
use super::number::Number;

/// A value that was asked for. Of objects and arrays only that they are one: they were read over.
#[derive(Debug)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Number),
    /// Any bytes: usually UTF-8, but nothing says so.
    String(Cow<'a, [u8]>),
    Composite,
}

/// What a value was asked for as and is not. The texts are Triton's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFault {
    String,
    Bool,
    Unsigned,
    Signed,
    Number,
    Array,
}

impl fmt::Display for AccessFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccessFault::String => "attempt to access JSON non-string as string",
            AccessFault::Bool => "attempt to access JSON non-boolean as boolean",
            AccessFault::Unsigned => "attempt to access JSON non-unsigned-integer as unsigned-integer",
            AccessFault::Signed => "attempt to access JSON non-signed-integer as signed-integer",
            AccessFault::Number => "attempt to access JSON non-number as double",
            AccessFault::Array => "attempt to access JSON non-array as array",
        })
    }
}

impl From<AccessFault> for Error {
    fn from(fault: AccessFault) -> Error {
        Error::invalid_arg(fault.to_string())
    }
}

impl<'a> Scalar<'a> {
    pub fn as_bool(&self) -> Result<bool, AccessFault> {
        match self {
            Scalar::Bool(value) => Ok(*value),
            _ => Err(AccessFault::Bool),
        }
    }

    pub fn as_u64(&self) -> Result<u64, AccessFault> {
        match self {
            Scalar::Number(number) => number.as_u64().ok_or(AccessFault::Unsigned),
            _ => Err(AccessFault::Unsigned),
        }
    }

    pub fn into_bytes(self) -> Result<Cow<'a, [u8]>, AccessFault> {
        match self {
            Scalar::String(value) => Ok(value),
            _ => Err(AccessFault::String),
        }
    }
}

impl<'a> Cursor<'a> {
    /// Reads the value that begins here.
    pub fn scalar(&mut self) -> Result<Scalar<'a>, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Scalar::String),
            Some(b't') => self.literal(b"true").map(|()| Scalar::Bool(true)),
            Some(b'f') => self.literal(b"false").map(|()| Scalar::Bool(false)),
            Some(b'n') => self.literal(b"null").map(|()| Scalar::Null),
            Some(b'{' | b'[') => self.skip_value().map(|()| Scalar::Composite),
            _ => self.number().map(Scalar::Number),
        }
    }
}

/// The string as text. Names, ids and parameters are; what is not UTF-8 could not be shown to anybody.
pub fn utf8<'a>(field: &str, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, str>, Error> {
    let wrong = || Error::invalid_arg(format!("Unable to parse '{field}': the string is not valid UTF-8"));
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| wrong()),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| wrong()),
    }
}
