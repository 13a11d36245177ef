//! Converts element types between this crate and PyTorch.

use hippocamp_tensor::DataType;

/// The types, their numbers in PyTorch, and its names for them.
const NUMBERS: [(DataType, i32); 13] = [
    (DataType::Uint8, 0),
    (DataType::Int8, 1),
    (DataType::Int16, 2),
    (DataType::Int32, 3),
    (DataType::Int64, 4),
    (DataType::Fp16, 5),
    (DataType::Fp32, 6),
    (DataType::Fp64, 7),
    (DataType::Bool, 11),
    (DataType::Bf16, 15),
    (DataType::Uint16, 27),
    (DataType::Uint32, 28),
    (DataType::Uint64, 29),
];

/// The data type of a tensor; `None` for types that no client can send, such as complex and quantized numbers.
pub(crate) fn data_type(number: i32) -> Option<DataType> {
    NUMBERS.iter().find(|(_, each)| *each == number).map(|(data_type, _)| *data_type)
}

/// The type's number in PyTorch; `None` for strings, of which it has no tensors.
pub(crate) fn number(data_type: DataType) -> Option<i32> {
    NUMBERS.iter().find(|(each, _)| *each == data_type).map(|(_, number)| *number)
}

/// What the model gave, for the message that another type was expected.
pub(crate) fn name(number: i32) -> String {
    match data_type(number) {
        Some(data_type) => data_type.config_name().to_owned(),
        None => match number {
            8..=10 => "complex numbers".to_owned(),
            12..=14 | 16 | 17 => "quantized numbers".to_owned(),
            _ => format!("a type that cannot be served (number {number} of PyTorch)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_but_strings_goes_both_ways() {
        for each in DataType::ALL {
            assert_eq!(number(each).and_then(data_type), (each != DataType::Bytes).then_some(each));
        }
        assert_eq!(name(6), "TYPE_FP32");
        assert_eq!(name(9), "complex numbers");
    }
}
