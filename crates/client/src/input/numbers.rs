//! Parses numbers.

use bytes::Bytes;
use half::{bf16, f16};
use hippocamp_tensor::DataType;

/// Encodes numbers separated by commas, spaces, semicolons or brackets as elements of that type.
pub(crate) fn parse(data_type: DataType, text: &str) -> Result<Bytes, String> {
    let apart = |c: char| c.is_whitespace() || ",;[](){}".contains(c);
    let mut data = Vec::new();
    for word in text.split(apart).filter(|word| !word.is_empty()) {
        push(&mut data, data_type, word).ok_or_else(|| format!("'{word}' is not of type {data_type}"))?;
    }
    Ok(data.into())
}

/// Appends a number; `None` if the word is none of that type.
pub(crate) fn push(data: &mut Vec<u8>, data_type: DataType, word: &str) -> Option<()> {
    macro_rules! number {
        ($type:ty) => {
            data.extend_from_slice(&word.parse::<$type>().ok()?.to_le_bytes())
        };
    }
    match data_type {
        DataType::Bool => data.push(match word.to_ascii_lowercase().as_str() {
            "true" | "1" => 1,
            "false" | "0" => 0,
            _ => return None,
        }),
        DataType::Uint8 => number!(u8),
        DataType::Uint16 => number!(u16),
        DataType::Uint32 => number!(u32),
        DataType::Uint64 => number!(u64),
        DataType::Int8 => number!(i8),
        DataType::Int16 => number!(i16),
        DataType::Int32 => number!(i32),
        DataType::Int64 => number!(i64),
        DataType::Fp16 => data.extend_from_slice(&f16::from_f32(word.parse().ok()?).to_le_bytes()),
        DataType::Bf16 => data.extend_from_slice(&bf16::from_f32(word.parse().ok()?).to_le_bytes()),
        DataType::Fp32 => number!(f32),
        DataType::Fp64 => number!(f64),
        DataType::Bytes => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type() {
        let cases: [(DataType, &str, &[u8]); 8] = [
            (DataType::Bool, "true,0 TRUE", &[1, 0, 1]),
            (DataType::Uint8, "[1, 255]", &[1, 255]),
            (DataType::Int16, "-2;3", &[0xfe, 0xff, 3, 0]),
            (DataType::Uint64, "18446744073709551615", &[255; 8]),
            (DataType::Fp16, "1", &[0, 0x3c]),
            (DataType::Bf16, "1", &[0x80, 0x3f]),
            (DataType::Fp32, "1e0\n-0.5", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]),
            (DataType::Int32, "", &[]),
        ];
        for (data_type, text, want) in cases {
            assert_eq!(parse(data_type, text).unwrap(), want, "{data_type} {text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_reported() {
        assert_eq!(parse(DataType::Uint8, "1,256").unwrap_err(), "'256' is not of type UINT8");
        assert_eq!(parse(DataType::Int32, "1.5").unwrap_err(), "'1.5' is not of type INT32");
        assert_eq!(parse(DataType::Fp32, "x").unwrap_err(), "'x' is not of type FP32");
    }
}
