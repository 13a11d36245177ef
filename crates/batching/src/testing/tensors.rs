//! Inputs of requests.

use bytes::Bytes;
use hippocamp_backend::InputTensor;
use hippocamp_tensor::{Shape, push_element};

/// An input.
#[allow(clippy::unnecessary_wraps, reason = "stands in lists beside inputs that are not")]
pub fn input(shape: &[i64], data: impl Into<Bytes>) -> Option<InputTensor> {
    Some(InputTensor { shape: Shape::from(shape), data: data.into().into() })
}

/// Encodes strings in wire form.
pub fn strings<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Bytes {
    let mut wire = Vec::new();
    texts.into_iter().for_each(|text| push_element(&mut wire, text.as_ref()));
    wire.into()
}

/// Encodes numbers.
pub fn numbers<T: Number>(values: impl IntoIterator<Item = T>) -> Bytes {
    values.into_iter().flat_map(Number::bytes).collect::<Vec<u8>>().into()
}

/// A number of a tensor.
pub trait Number {
    fn bytes(self) -> Vec<u8>;
}

macro_rules! number {
    ($($kind:ty)+) => {
        $(impl Number for $kind {
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        })+
    };
}

number!(i32 i64 f32 f64);
