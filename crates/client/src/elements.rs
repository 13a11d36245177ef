//! Decodes the elements of a tensor for display.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use half::{bf16, f16};
use hippocamp_tensor::{BytesElements, DataType};
use serde_json::{Value, json};

use crate::answer::Tensor;

/// The elements of a floating-point or 32-bit integer tensor as FP32; `None` for other types.
pub(crate) fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let words = || tensor.data.as_chunks::<4>().0.iter();
    match tensor.data_type {
        DataType::Fp32 => Some(words().map(|word| f32::from_le_bytes(*word)).collect()),
        DataType::Int32 => Some(words().map(|word| i32::from_le_bytes(*word) as f32).collect()),
        DataType::Fp16 => {
            Some(tensor.data.as_chunks().0.iter().map(|word| f16::from_le_bytes(*word).to_f32()).collect())
        }
        DataType::Int64 => {
            Some(tensor.data.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word) as f32).collect())
        }
        _ => None,
    }
}

/// Every element as text: floats with as many digits as they need, BYTES as text if they are UTF-8.
pub(crate) fn texts(tensor: &Tensor) -> Vec<String> {
    macro_rules! numbers {
        ($type:ty) => {
            tensor.data.as_chunks().0.iter().map(|word| <$type>::from_le_bytes(*word).to_string()).collect()
        };
    }
    match tensor.data_type {
        DataType::Bool => tensor.data.iter().map(|byte| (*byte != 0).to_string()).collect(),
        DataType::Uint8 => numbers!(u8),
        DataType::Uint16 => numbers!(u16),
        DataType::Uint32 => numbers!(u32),
        DataType::Uint64 => numbers!(u64),
        DataType::Int8 => numbers!(i8),
        DataType::Int16 => numbers!(i16),
        DataType::Int32 => numbers!(i32),
        DataType::Int64 => numbers!(i64),
        DataType::Fp16 => numbers!(f16),
        DataType::Bf16 => numbers!(bf16),
        DataType::Fp32 => numbers!(f32),
        DataType::Fp64 => numbers!(f64),
        DataType::Bytes => bytes(tensor).map(readable).collect(),
    }
}

/// The elements of a BYTES tensor; a truncated one is left out.
pub(crate) fn bytes(tensor: &Tensor) -> impl Iterator<Item = &[u8]> {
    BytesElements::new(&tensor.data).map_while(Result::ok)
}

fn readable(element: &[u8]) -> String {
    match std::str::from_utf8(element) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => text.to_owned(),
        _ => format!("({} bytes)", element.len()),
    }
}

/// Every element as JSON: numbers, and BYTES as text or, if they are no UTF-8, in Base64.
pub(crate) fn values(tensor: &Tensor) -> Vec<Value> {
    match tensor.data_type {
        DataType::Bool => tensor.data.iter().map(|byte| json!(*byte != 0)).collect(),
        DataType::Bytes => bytes(tensor)
            .map(|element| match std::str::from_utf8(element) {
                Ok(text) => json!(text),
                Err(_) => json!({"b64": STANDARD.encode(element)}),
            })
            .collect(),
        // JSON has no NaN and no infinities, so they become null.
        _ => texts(tensor).iter().map(|text| serde_json::from_str(text).unwrap_or(Value::Null)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: DataType, data: &'static [u8]) -> Tensor {
        Tensor { name: "x".to_owned(), data_type, shape: Vec::new(), data: data.into() }
    }

    #[test]
    fn numbers_are_written_as_short_as_they_read_back() {
        assert_eq!(
            texts(&tensor(DataType::Fp32, &[0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0xc0, 0x7f])),
            ["0.1", "NaN"]
        );
        assert_eq!(texts(&tensor(DataType::Int16, &[0xfe, 0xff])), ["-2"]);
        assert_eq!(texts(&tensor(DataType::Fp16, &[0, 0x3c])), ["1"]);
        assert_eq!(texts(&tensor(DataType::Bool, &[0, 1])), ["false", "true"]);
        assert_eq!(
            values(&tensor(DataType::Fp32, &[0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0xc0, 0x7f])),
            [json!(0.1), Value::Null]
        );
        assert_eq!(values(&tensor(DataType::Uint64, &[0xff; 8])), [json!(u64::MAX)]);
        assert_eq!(floats(&tensor(DataType::Int32, &[7, 0, 0, 0])), Some(vec![7.0]));
        assert_eq!(floats(&tensor(DataType::Bool, &[1])), None);
    }

    #[test]
    fn bytes_are_text_where_they_can_be() {
        let both = tensor(DataType::Bytes, b"\x02\0\0\0hi\x02\0\0\0\xff\x00\x09\0\0\0cut");
        assert_eq!(texts(&both), ["hi", "(2 bytes)"]);
        assert_eq!(values(&both), [json!("hi"), json!({"b64": "/wA="})]);
    }
}
