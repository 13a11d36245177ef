//! Converts element types between this crate and TensorFlow.

use hippocamp_tensor::DataType;

/// The types and their numbers in TensorFlow.
const NUMBERS: [(DataType, i32); 14] = [
    (DataType::Fp32, 1),
    (DataType::Fp64, 2),
    (DataType::Int32, 3),
    (DataType::Uint8, 4),
    (DataType::Int16, 5),
    (DataType::Int8, 6),
    (DataType::Bytes, 7),
    (DataType::Int64, 9),
    (DataType::Bool, 10),
    (DataType::Bf16, 14),
    (DataType::Uint16, 17),
    (DataType::Fp16, 19),
    (DataType::Uint32, 22),
    (DataType::Uint64, 23),
];

/// From this number on a type is a reference to a variable with elements of the type below.
const REFERENCES: i32 = 100;

/// The data type of a tensor; `None` for types that no client can send, such as complex numbers and resources.
pub(crate) fn data_type(number: i32) -> Option<DataType> {
    let number = if number > REFERENCES { number - REFERENCES } else { number };
    NUMBERS.iter().find(|(_, each)| *each == number).map(|(data_type, _)| *data_type)
}

/// The type's number in TensorFlow.
pub(crate) fn number(data_type: DataType) -> i32 {
    NUMBERS.iter().find(|(each, _)| *each == data_type).map_or(0, |(_, number)| *number)
}

/// What TensorFlow calls a type that cannot be served.
pub(crate) fn other_name(number: i32) -> String {
    let name = match number % REFERENCES {
        8 => "complex64",
        18 => "complex128",
        11 => "qint8",
        12 => "quint8",
        13 => "qint32",
        15 => "qint16",
        16 => "quint16",
        20 => "resource",
        21 => "variant",
        24 => "float8_e5m2",
        25 => "float8_e4m3fn",
        29 => "int4",
        30 => "uint4",
        _ => return format!("number {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_goes_both_ways() {
        for each in DataType::ALL {
            assert_eq!(data_type(number(each)), Some(each));
        }
        assert_eq!(data_type(101), Some(DataType::Fp32), "a reference to a variable");
        assert_eq!(data_type(8), None);
        assert_eq!(other_name(8), "complex64");
    }
}
