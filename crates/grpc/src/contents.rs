//! Tensors that came as typed fields instead of raw bytes.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_proto::inference::InferTensorContents;
use hippocamp_tensor::{DataType, push_element};

/// The bytes of a tensor of that type, from the one field that holds such elements. `input` and `model` are for errors.
pub(crate) fn to_bytes(
    contents: &InferTensorContents,
    data_type: DataType,
    input: &str,
    model: &str,
) -> Result<Bytes> {
    if let Some(found) = unexpected_field(contents, data_type) {
        return Err(Error::invalid_arg(format!(
            "unexpected explicit tensor data for input tensor '{input}' for model '{model}' of type '{found}', expected \
             datatype '{data_type}'"
        )));
    }
    let narrow = |what: &dyn std::fmt::Display| {
        Error::invalid_arg(format!(
            "a value of input tensor '{input}' for model '{model}' does not fit its datatype '{data_type}', got {what}"
        ))
    };
    let signed = |&value: &i32| (value, value);
    let bytes = match data_type {
        DataType::Bool => contents.bool_contents.iter().map(|&b| u8::from(b)).collect(),
        DataType::Int8 => {
            let values = contents.int_contents.iter().map(signed);
            joined(values.map(|(v, raw)| i8::try_from(v).map(i8::to_le_bytes).map_err(|_| narrow(&raw))))?
        }
        DataType::Int16 => {
            let values = contents.int_contents.iter().map(signed);
            joined(values.map(|(v, raw)| i16::try_from(v).map(i16::to_le_bytes).map_err(|_| narrow(&raw))))?
        }
        DataType::Uint8 => {
            let values = contents.uint_contents.iter();
            joined(values.map(|v| u8::try_from(*v).map(u8::to_le_bytes).map_err(|_| narrow(v))))?
        }
        DataType::Uint16 => {
            let values = contents.uint_contents.iter();
            joined(values.map(|v| u16::try_from(*v).map(u16::to_le_bytes).map_err(|_| narrow(v))))?
        }
        DataType::Int32 => plain(contents.int_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Uint32 => plain(contents.uint_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Int64 => plain(contents.int64_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Uint64 => plain(contents.uint64_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Fp32 => plain(contents.fp32_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Fp64 => plain(contents.fp64_contents.iter().map(|v| v.to_le_bytes())),
        DataType::Bytes => {
            let mut bytes = Vec::new();
            for element in &contents.bytes_contents {
                push_element(&mut bytes, element);
            }
            bytes
        }
        // No field holds these; whatever was set was refused above.
        DataType::Fp16 | DataType::Bf16 => Vec::new(),
    };
    Ok(bytes.into())
}

/// The type of a field that is set though it holds no elements of `data_type`.
fn unexpected_field(contents: &InferTensorContents, data_type: DataType) -> Option<DataType> {
    use DataType as T;
    let fields = [
        (contents.bool_contents.is_empty(), T::Bool, matches!(data_type, T::Bool)),
        (contents.int_contents.is_empty(), T::Int32, matches!(data_type, T::Int8 | T::Int16 | T::Int32)),
        (contents.int64_contents.is_empty(), T::Int64, matches!(data_type, T::Int64)),
        (contents.uint_contents.is_empty(), T::Uint32, matches!(data_type, T::Uint8 | T::Uint16 | T::Uint32)),
        (contents.uint64_contents.is_empty(), T::Uint64, matches!(data_type, T::Uint64)),
        (contents.fp32_contents.is_empty(), T::Fp32, matches!(data_type, T::Fp32)),
        (contents.fp64_contents.is_empty(), T::Fp64, matches!(data_type, T::Fp64)),
        (contents.bytes_contents.is_empty(), T::Bytes, matches!(data_type, T::Bytes)),
    ];
    fields.into_iter().find(|(empty, _, fits)| !empty && !fits).map(|(_, field, _)| field)
}

fn plain<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    values.flatten().collect()
}

fn joined<const N: usize>(values: impl Iterator<Item = Result<[u8; N]>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(&value?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_integers_must_fit() {
        let contents = InferTensorContents { int_contents: vec![-128, 127], ..Default::default() };
        assert_eq!(&to_bytes(&contents, DataType::Int8, "i", "m").unwrap()[..], [0x80, 0x7F]);
        let contents = InferTensorContents { int_contents: vec![300], ..Default::default() };
        let error = to_bytes(&contents, DataType::Int8, "i", "m").unwrap_err();
        assert_eq!(
            error.message(),
            "a value of input tensor 'i' for model 'm' does not fit its datatype 'INT8', got 300"
        );
    }

    #[test]
    fn elements_of_bytes_get_their_length() {
        let contents =
            InferTensorContents { bytes_contents: vec![Bytes::from_static(b"ab")], ..Default::default() };
        assert_eq!(&to_bytes(&contents, DataType::Bytes, "i", "m").unwrap()[..], b"\x02\0\0\0ab");
    }

    #[test]
    fn a_field_of_another_type_is_refused() {
        let contents = InferTensorContents { fp32_contents: vec![1.0], ..Default::default() };
        let error = to_bytes(&contents, DataType::Fp16, "INPUT0", "m").unwrap_err();
        assert_eq!(
            error.message(),
            "unexpected explicit tensor data for input tensor 'INPUT0' for model 'm' of type 'FP32', expected datatype \
             'FP16'"
        );
    }
}
