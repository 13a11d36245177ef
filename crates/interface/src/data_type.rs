//! Data types of the schema and of tensors, one to the other.

use hippocamp_proto::inference::DataType as ConfigType;
use hippocamp_tensor::DataType;

/// The tensor type of a config value; `None` for `TYPE_INVALID` and for numbers that the schema does not have.
pub fn data_type(config_value: i32) -> Option<DataType> {
    Some(match ConfigType::try_from(config_value).ok()? {
        ConfigType::TypeInvalid => return None,
        ConfigType::TypeBool => DataType::Bool,
        ConfigType::TypeUint8 => DataType::Uint8,
        ConfigType::TypeUint16 => DataType::Uint16,
        ConfigType::TypeUint32 => DataType::Uint32,
        ConfigType::TypeUint64 => DataType::Uint64,
        ConfigType::TypeInt8 => DataType::Int8,
        ConfigType::TypeInt16 => DataType::Int16,
        ConfigType::TypeInt32 => DataType::Int32,
        ConfigType::TypeInt64 => DataType::Int64,
        ConfigType::TypeFp16 => DataType::Fp16,
        ConfigType::TypeBf16 => DataType::Bf16,
        ConfigType::TypeFp32 => DataType::Fp32,
        ConfigType::TypeFp64 => DataType::Fp64,
        ConfigType::TypeString => DataType::Bytes,
    })
}

/// The config value of a tensor type.
pub fn config_value(data_type: DataType) -> i32 {
    let value = match data_type {
        DataType::Bool => ConfigType::TypeBool,
        DataType::Uint8 => ConfigType::TypeUint8,
        DataType::Uint16 => ConfigType::TypeUint16,
        DataType::Uint32 => ConfigType::TypeUint32,
        DataType::Uint64 => ConfigType::TypeUint64,
        DataType::Int8 => ConfigType::TypeInt8,
        DataType::Int16 => ConfigType::TypeInt16,
        DataType::Int32 => ConfigType::TypeInt32,
        DataType::Int64 => ConfigType::TypeInt64,
        DataType::Fp16 => ConfigType::TypeFp16,
        DataType::Bf16 => ConfigType::TypeBf16,
        DataType::Fp32 => ConfigType::TypeFp32,
        DataType::Fp64 => ConfigType::TypeFp64,
        DataType::Bytes => ConfigType::TypeString,
    };
    value.into()
}

/// The name of a config value as it is written in a config, for messages.
pub fn config_name(config_value: i32) -> &'static str {
    data_type(config_value).map_or("TYPE_INVALID", DataType::config_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_every_type() {
        for each in DataType::ALL {
            let value = config_value(each);
            assert_eq!(data_type(value), Some(each));
            let schema = ConfigType::try_from(value).unwrap();
            assert_eq!(schema.as_str_name(), each.config_name());
        }
        assert_eq!(data_type(0), None);
        assert_eq!(data_type(-1), None);
        assert_eq!(data_type(99), None);
    }
}
