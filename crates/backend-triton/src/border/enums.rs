//! The numbers of Triton's enumerations.

use hippocamp_backend::{Code, Result};
use hippocamp_tensor::DataType;

use super::misuse;

/// The data types by their numbers; 0 is none.
const DATA_TYPES: [DataType; 14] = [
    DataType::Bool,
    DataType::Uint8,
    DataType::Uint16,
    DataType::Uint32,
    DataType::Uint64,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::Fp16,
    DataType::Fp32,
    DataType::Fp64,
    DataType::Bytes,
    DataType::Bf16,
];

pub(crate) fn data_type_number(data_type: DataType) -> u32 {
    let index = DATA_TYPES.iter().position(|known| *known == data_type);
    index.map_or(0, |index| index as u32 + 1)
}

pub(crate) fn data_type_from_number(number: u32) -> Option<DataType> {
    DATA_TYPES.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

const CODES: [Code; 8] = [
    Code::Unknown,
    Code::Internal,
    Code::NotFound,
    Code::InvalidArg,
    Code::Unavailable,
    Code::Unsupported,
    Code::AlreadyExists,
    Code::Cancelled,
];

pub(crate) fn code_number(code: Code) -> u32 {
    CODES.iter().position(|known| *known == code).unwrap_or(0) as u32
}

pub(crate) fn code_from_number(number: u32) -> Code {
    CODES.get(number as usize).copied().unwrap_or(Code::Unknown)
}

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident: $($value:ident = $number:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum $name {
            $($value = $number),+
        }

        impl $name {
            /// The value of that number.
            #[allow(dead_code, reason = "some are only written")]
            pub(crate) fn from_number(number: u32, name: &str) -> Result<$name> {
                match number {
                    $($number => Ok($name::$value),)+
                    _ => Err(misuse(format!("'{name}' is {number}, which is no {}", stringify!($name)))),
                }
            }

            #[allow(dead_code, reason = "some are only read")]
            pub(crate) fn number(self) -> u32 {
                self as u32
            }
        }
    };
}

enumeration! {
    /// Where memory is.
    MemoryType: Cpu = 0, CpuPinned = 1, Gpu = 2
}

enumeration! {
    /// What the value of a parameter is.
    ParameterType: String = 0, Int = 1, Bool = 2, Double = 3, Bytes = 4
}

enumeration! {
    /// Where an instance runs. In configs these have other numbers.
    InstanceKind: Auto = 0, Cpu = 1, Gpu = 2, Model = 3
}

enumeration! {
    /// How important a message is.
    LogLevel: Info = 0, Warn = 1, Error = 2, Verbose = 3
}

enumeration! {
    /// What a metric counts.
    MetricKind: Counter = 0, Gauge = 1, Histogram = 2
}

/// Bits that requests, releases, responses and models have.
#[derive(Debug)]
pub(crate) struct Flag;

impl Flag {
    pub(crate) const SEQUENCE_START: u32 = 1;
    pub(crate) const SEQUENCE_END: u32 = 2;
    pub(crate) const RELEASE_ALL: u32 = 1;
    pub(crate) const RELEASE_RESCHEDULE: u32 = 2;
    pub(crate) const RESPONSE_FINAL: u32 = 1;
    pub(crate) const BATCH_UNKNOWN: u32 = 1;
    pub(crate) const BATCH_FIRST_DIM: u32 = 2;
    pub(crate) const ONE_TO_ONE: u32 = 1;
    pub(crate) const DECOUPLED: u32 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_tritons() {
        for data_type in DataType::ALL {
            assert_eq!(data_type_from_number(data_type_number(data_type)), Some(data_type));
        }
        assert_eq!((data_type_number(DataType::Bool), data_type_number(DataType::Bf16)), (1, 14));
        assert_eq!((data_type_number(DataType::Fp32), data_type_number(DataType::Bytes)), (11, 13));
        assert_eq!((data_type_from_number(0), data_type_from_number(15)), (None, None));
        for (number, code) in CODES.into_iter().enumerate() {
            assert_eq!(code_number(code), number as u32);
            assert_eq!(code_from_number(number as u32), code);
        }
        assert_eq!(code_from_number(99), Code::Unknown);
        let wrong = MemoryType::from_number(3, "memory_type").unwrap_err();
        assert_eq!(wrong.message(), "'memory_type' is 3, which is no MemoryType");
        assert_eq!(InstanceKind::Gpu.number(), 2);
    }
}
