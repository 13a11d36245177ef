//! The data of tensors as JSON, for servers that take no binary tensors.

use bytes::Bytes;
use hippocamp_tensor::{DataType, push_element};
use serde_json::Value;

use crate::answer::{Tensor, TensorInfo};
use crate::elements::values;
use crate::failure::{Failure, Result, fail};
use crate::input::numbers;

/// The `data` of an input.
///
/// # Errors
/// If JSON cannot say it: numbers that are none, bytes that are no text.
pub fn data(tensor: &Tensor) -> Result<Vec<Value>> {
    let data = values(tensor);
    if data.iter().any(|value| value.is_null() || value.is_object()) {
        let what = if tensor.data_type == DataType::Bytes { "no text" } else { "no number" };
        fail!(
            "input '{}' holds what is {what}, and the server takes JSON alone; gRPC may take it",
            tensor.name
        );
    }
    Ok(data)
}

/// The bytes of an output with that `data`, which may be nested as deep as the shape.
pub(crate) fn bytes(info: &TensorInfo, data: &Value) -> Result<Bytes> {
    let mut bytes = Vec::new();
    push(&mut bytes, info, data)?;
    Ok(bytes.into())
}

fn push(bytes: &mut Vec<u8>, info: &TensorInfo, data: &Value) -> Result<()> {
    match data {
        Value::Array(values) => return values.iter().try_for_each(|value| push(bytes, info, value)),
        Value::String(text) if info.data_type == DataType::Bytes => push_element(bytes, text.as_bytes()),
        value if info.data_type == DataType::Bytes => push_element(bytes, value.to_string().as_bytes()),
        value => {
            // What JSON has no number for is null in the answers of some servers, as in ours.
            let word = if value.is_null() { "NaN".to_owned() } else { value.to_string() };
            numbers::push(bytes, info.data_type, &word).ok_or_else(|| {
                Failure::new(format!(
                    "the server's answer has {value} in output '{}' of type {}",
                    info.name, info.data_type
                ))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(data_type: DataType) -> TensorInfo {
        TensorInfo { name: "y".to_owned(), data_type, shape: Vec::new() }
    }

    fn tensor(data_type: DataType, data: &'static [u8]) -> Tensor {
        Tensor { name: "x".to_owned(), data_type, shape: Vec::new(), data: data.into() }
    }

    #[test]
    fn numbers_and_texts_come_back_from_json() {
        let there_and_back = [
            tensor(DataType::Fp32, &[0, 0, 0x80, 0x3f, 0xcd, 0xcc, 0xcc, 0x3d]),
            tensor(DataType::Uint64, &[0xff; 8]),
            tensor(DataType::Bool, &[0, 1]),
            tensor(DataType::Bytes, "\u{2}\0\0\0hi\0\0\0\0\u{2}\0\0\0ü".as_bytes()),
        ];
        for tensor in there_and_back {
            let data = Value::Array(data(&tensor).unwrap());
            assert_eq!(bytes(&info(tensor.data_type), &data).unwrap(), tensor.data, "{data}");
        }
        assert_eq!(bytes(&info(DataType::Uint8), &json!([[1, 2], [3, 4]])).unwrap()[..], [1, 2, 3, 4]);
        let nan = bytes(&info(DataType::Fp32), &json!([null])).unwrap();
        assert!(f32::from_le_bytes(nan[..].try_into().unwrap()).is_nan());
    }

    #[test]
    fn what_json_cannot_say_is_reported() {
        let refused = |tensor| data(&tensor).unwrap_err().to_string();
        assert!(
            refused(tensor(DataType::Bytes, b"\x02\0\0\0\xff\xfe"))
                .starts_with("input 'x' holds what is no text")
        );
        assert!(
            refused(tensor(DataType::Fp32, &[0, 0, 0xc0, 0x7f]))
                .starts_with("input 'x' holds what is no number")
        );
        let wrong = bytes(&info(DataType::Int32), &json!(["a"])).unwrap_err().to_string();
        assert_eq!(wrong, r#"the server's answer has "a" in output 'y' of type INT32"#);
    }
}
