//! The values that a run is given, which borrow the inputs of a batch.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

use hippocamp_tensor::Shape;

use crate::ffi::api::{self, kind};

/// The value of an argument, or an entry of a dictionary. It borrows what it was made of for `'a`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Value<'a> {
    raw: api::Value,
    _borrowed: PhantomData<&'a [u8]>,
}

/// An element of a list of strings.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Text<'a> {
    raw: api::Text,
    _borrowed: PhantomData<&'a [u8]>,
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(text: &'a [u8]) -> Text<'a> {
        Text { raw: api::Text { start: text.as_ptr(), size: text.len() }, _borrowed: PhantomData }
    }
}

impl<'a> Value<'a> {
    fn of_kind(kind: i32) -> Value<'a> {
        let raw = api::Value {
            kind,
            element: 0,
            shape: null(),
            rank: 0,
            data: null_mut(),
            size: 0,
            strings: null(),
            string_count: 0,
            key: null(),
            is_copied: 0,
        };
        Value { raw, _borrowed: PhantomData }
    }

    /// The model's own value for an argument.
    pub(crate) fn default() -> Value<'a> {
        Value::of_kind(kind::DEFAULT)
    }

    /// Nothing, for an argument that may be nothing.
    pub(crate) fn none() -> Value<'a> {
        Value::of_kind(kind::NONE)
    }

    /// A tensor of the library's element type of that number. `copied` ones are copied by the library in any case.
    pub(crate) fn tensor(element: i32, shape: &'a Shape, data: &'a [u8], copied: bool) -> Value<'a> {
        let mut value = Value::of_kind(kind::TENSOR);
        value.raw.element = element;
        (value.raw.shape, value.raw.rank) = (shape.as_ptr(), shape.len());
        (value.raw.data, value.raw.size) = (data.as_ptr().cast(), data.len());
        value.raw.is_copied = copied.into();
        value
    }

    /// The entry of a dictionary under that key.
    pub(crate) fn with_key(mut self, key: &'a CStr) -> Value<'a> {
        self.raw.key = key.as_ptr();
        self
    }

    pub(crate) fn strings(texts: &'a [Text<'a>]) -> Value<'a> {
        let mut value = Value::of_kind(kind::STRINGS);
        (value.raw.strings, value.raw.string_count) = (texts.as_ptr().cast(), texts.len());
        value
    }

    /// A number or a boolean of the kind that the argument is.
    pub(crate) fn scalar(scalar: &'a Scalar) -> Value<'a> {
        let (kind, data) = match scalar {
            Scalar::Int(value) => (kind::INT, std::ptr::from_ref(value).cast()),
            Scalar::Float(value) => (kind::FLOAT, std::ptr::from_ref(value).cast()),
            Scalar::Bool(value) => (kind::BOOL, std::ptr::from_ref(value).cast()),
        };
        let mut value = Value::of_kind(kind);
        value.raw.data = data;
        value
    }
}

/// The value of an argument that is no tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Int(i64),
    Float(f64),
    Bool(u8),
}
