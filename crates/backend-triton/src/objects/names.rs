//! The names of data types, memory and kinds of instances.

use std::ffi::{CStr, c_char};

use hippocamp_tensor::DataType;

use crate::border::{
    InstanceKind, MemoryType, ParameterType, Text, address, call_for, data_type_from_number, data_type_number,
};

const INVALID: &CStr = c"<invalid>";

fn name(data_type: DataType) -> &'static CStr {
    match data_type {
        DataType::Bool => c"BOOL",
        DataType::Uint8 => c"UINT8",
        DataType::Uint16 => c"UINT16",
        DataType::Uint32 => c"UINT32",
        DataType::Uint64 => c"UINT64",
        DataType::Int8 => c"INT8",
        DataType::Int16 => c"INT16",
        DataType::Int32 => c"INT32",
        DataType::Int64 => c"INT64",
        DataType::Fp16 => c"FP16",
        DataType::Bf16 => c"BF16",
        DataType::Fp32 => c"FP32",
        DataType::Fp64 => c"FP64",
        DataType::Bytes => c"BYTES",
    }
}

pub(crate) extern "C" fn data_type_string(number: u32) -> *const c_char {
    address(data_type_from_number(number).map_or(INVALID, name))
}

pub(crate) extern "C" fn string_to_data_type(text: Text) -> u32 {
    call_for("TRITONSERVER_StringToDataType", 0, || {
        let text = text.read_lossy();
        let known = DataType::ALL.into_iter().find(|known| known.protocol_name() == text);
        Ok(known.map_or(0, data_type_number))
    })
}

pub(crate) extern "C" fn data_type_byte_size(number: u32) -> u32 {
    data_type_from_number(number).and_then(DataType::byte_size).unwrap_or(0) as u32
}

pub(crate) extern "C" fn memory_type_string(number: u32) -> *const c_char {
    address(match MemoryType::from_number(number, "memory_type") {
        Ok(MemoryType::Cpu) => c"CPU",
        Ok(MemoryType::CpuPinned) => c"CPU_PINNED",
        Ok(MemoryType::Gpu) => c"GPU",
        Err(_) => INVALID,
    })
}

pub(crate) extern "C" fn parameter_type_string(number: u32) -> *const c_char {
    address(match ParameterType::from_number(number, "paramtype") {
        Ok(ParameterType::String) => c"STRING",
        Ok(ParameterType::Int) => c"INT",
        Ok(ParameterType::Bool) => c"BOOL",
        Ok(ParameterType::Double) => c"DOUBLE",
        Ok(ParameterType::Bytes) => c"BYTES",
        Err(_) => INVALID,
    })
}

pub(crate) extern "C" fn instance_group_kind_string(number: u32) -> *const c_char {
    address(match InstanceKind::from_number(number, "kind") {
        Ok(InstanceKind::Auto) => c"AUTO",
        Ok(InstanceKind::Cpu) => c"CPU",
        Ok(InstanceKind::Gpu) => c"GPU",
        Ok(InstanceKind::Model) => c"MODEL",
        Err(_) => INVALID,
    })
}

pub(crate) extern "C" fn trace_level_string(number: u32) -> *const c_char {
    address(match number {
        0 => c"DISABLED",
        1 => c"MIN",
        2 => c"MAX",
        4 => c"TIMESTAMPS",
        8 => c"TENSORS",
        _ => c"<unknown>",
    })
}

pub(crate) extern "C" fn trace_activity_string(number: u32) -> *const c_char {
    const NAMES: [&CStr; 11] = [
        c"REQUEST_START",
        c"QUEUE_START",
        c"COMPUTE_START",
        c"COMPUTE_INPUT_END",
        c"COMPUTE_OUTPUT_START",
        c"COMPUTE_END",
        c"REQUEST_END",
        c"TENSOR_QUEUE_INPUT",
        c"TENSOR_BACKEND_INPUT",
        c"TENSOR_BACKEND_OUTPUT",
        c"CUSTOM_ACTIVITY",
    ];
    address(NAMES.get(number as usize).copied().unwrap_or(c"<unknown>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_protocol() {
        for data_type in DataType::ALL {
            assert_eq!(name(data_type).to_str().unwrap(), data_type.protocol_name());
        }
        assert_eq!(data_type_byte_size(data_type_number(DataType::Fp64)), 8);
        assert_eq!((data_type_byte_size(data_type_number(DataType::Bytes)), data_type_byte_size(0)), (0, 0));
    }
}
