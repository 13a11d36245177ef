//! Element types.

use hippocamp_tensor::DataType;
use hippocamp_tensorrt_sys as sys;

/// The type that requests bring for a tensor of the engine; `None` if there is none.
pub(crate) fn data_type(of_engine: sys::DataType) -> Option<DataType> {
    Some(match of_engine {
        sys::DataType::Float => DataType::Fp32,
        sys::DataType::Half => DataType::Fp16,
        sys::DataType::BFloat16 => DataType::Bf16,
        sys::DataType::Int8 => DataType::Int8,
        sys::DataType::Int32 => DataType::Int32,
        sys::DataType::Int64 => DataType::Int64,
        sys::DataType::UInt8 => DataType::Uint8,
        sys::DataType::Bool => DataType::Bool,
        sys::DataType::Fp8 | sys::DataType::Int4 | sys::DataType::Fp4 | sys::DataType::E8M0 => return None,
    })
}
