//! Converts element types between this crate and ONNX Runtime.

use hippocamp_tensor::DataType;
use ort::sys::ONNXTensorElementDataType as Raw;
use ort::value::TensorElementType;

/// The data type of a model's tensor; `None` for types that no client can send, such as complex numbers.
pub(crate) fn data_type(element: TensorElementType) -> Option<DataType> {
    Some(match element {
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::Uint8 => DataType::Uint8,
        TensorElementType::Uint16 => DataType::Uint16,
        TensorElementType::Uint32 => DataType::Uint32,
        TensorElementType::Uint64 => DataType::Uint64,
        TensorElementType::Int8 => DataType::Int8,
        TensorElementType::Int16 => DataType::Int16,
        TensorElementType::Int32 => DataType::Int32,
        TensorElementType::Int64 => DataType::Int64,
        TensorElementType::Float16 => DataType::Fp16,
        TensorElementType::Bfloat16 => DataType::Bf16,
        TensorElementType::Float32 => DataType::Fp32,
        TensorElementType::Float64 => DataType::Fp64,
        TensorElementType::String => DataType::Bytes,
        _ => return None,
    })
}

/// The type's number in the C interface.
pub(crate) fn raw(data_type: DataType) -> Raw {
    match data_type {
        DataType::Bool => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        DataType::Uint8 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DataType::Uint16 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DataType::Uint32 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DataType::Uint64 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DataType::Int8 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DataType::Int16 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DataType::Int32 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DataType::Int64 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DataType::Fp16 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DataType::Bf16 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        DataType::Fp32 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DataType::Fp64 => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DataType::Bytes => Raw::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_goes_both_ways() {
        for each in DataType::ALL {
            assert_eq!(data_type(TensorElementType::from(raw(each))), Some(each));
        }
        assert_eq!(data_type(TensorElementType::Complex64), None);
        assert_eq!(data_type(TensorElementType::Float8E4M3FN), None);
    }
}
