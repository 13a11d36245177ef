//! The JSON of a trace, as Triton writes it: objects of one id together, each activity one.

use std::fmt::Write;

use half::{bf16, f16};
use hippocamp_events::TensorPlace;
use hippocamp_tensor::{BytesElements, DataType};

use crate::finished::monotonic_nanoseconds;
use crate::{FinishedTrace, Tensor, What};

/// Adds the objects of a trace, with commas between them and, if there are others already, before them.
pub(super) fn write(text: &mut String, trace: &FinishedTrace) {
    let mut ids: Vec<u64> = Vec::new();
    for record in &trace.records {
        if !ids.contains(&record.id) {
            ids.push(record.id);
        }
    }
    for id in ids {
        for record in trace.records.iter().filter(|record| record.id == id) {
            let before = text.len();
            if before > 0 {
                text.push(',');
            }
            let begin = text.len();
            // Writing to a string does not fail.
            let _ = object(text, id, &record.what);
            if text.len() == begin {
                text.truncate(before);
            }
        }
    }
}

fn object(text: &mut String, id: u64, what: &What) -> std::fmt::Result {
    match what {
        What::Request { model, request_id, parent_id, .. } => {
            write!(text, "{{\"id\":{id},\"model_name\":")?;
            string(text, &model.name)?;
            write!(text, ",\"model_version\":{}", model.version)?;
            if !request_id.is_empty() {
                text.push_str(",\"request_id\":");
                string(text, request_id)?;
            }
            if let Some(parent) = parent_id {
                write!(text, ",\"parent_id\":{parent}")?;
            }
            text.push('}');
        }
        What::Time { activity, at } => {
            let (name, ns) = (activity.name(), monotonic_nanoseconds(*at));
            write!(text, "{{\"id\":{id},\"timestamps\":[{{\"name\":\"{name}\",\"ns\":{ns}}}]}}")?;
        }
        What::Named { name, at } => {
            write!(text, "{{\"id\":{id},\"timestamps\":[{{\"name\":")?;
            string(text, name)?;
            write!(text, ",\"ns\":{}}}]}}", monotonic_nanoseconds(*at))?;
        }
        What::Tensor(tensor) => {
            let activity = match tensor.place {
                TensorPlace::QueuedInput => "TENSOR_QUEUE_INPUT",
                TensorPlace::Output => "TENSOR_BACKEND_OUTPUT",
            };
            write!(text, "{{\"id\":{id},\"activity\":\"{activity}\",\"tensor\":{{\"name\":")?;
            string(text, &tensor.name)?;
            text.push_str(",\"data\":\"");
            data(text, tensor)?;
            text.push_str("\",\"shape\":\"");
            list(text, tensor.shape.iter(), |text, size| write!(text, "{size}"))?;
            write!(text, "\",\"dtype\":\"{}\"}}}}", tensor.data_type.protocol_name())?;
        }
        // Triton's file does not tell it.
        What::Failed { .. } => {}
    }
    Ok(())
}

/// A JSON string. Bytes that are no text were replaced before.
fn string(text: &mut String, content: &str) -> std::fmt::Result {
    text.push('"');
    escaped(text, content)?;
    text.push('"');
    Ok(())
}

fn escaped(text: &mut String, content: &str) -> std::fmt::Result {
    for c in content.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => write!(text, "\\u{:04x}", u32::from(c))?,
            c => text.push(c),
        }
    }
    Ok(())
}

fn list<T>(
    text: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> std::fmt::Result,
) -> std::fmt::Result {
    for (place, item) in items.enumerate() {
        if place > 0 {
            text.push(',');
        }
        write(text, item)?;
    }
    Ok(())
}

/// The elements with commas between them. Unlike Triton's, the text has the numbers of (U)INT8, FP16 and BF16, too.
fn data(text: &mut String, tensor: &Tensor) -> std::fmt::Result {
    let bytes = &*tensor.data;
    macro_rules! numbers {
        ($type:ty, $write:expr) => {{
            let items = bytes.as_chunks::<{ size_of::<$type>() }>().0.iter();
            list(text, items.map(|bytes| <$type>::from_le_bytes(*bytes)), $write)
        }};
    }
    match tensor.data_type {
        DataType::Bool => list(text, bytes.iter(), |text, byte| write!(text, "{}", u8::from(*byte != 0))),
        DataType::Uint8 => numbers!(u8, |text, n| write!(text, "{n}")),
        DataType::Int8 => numbers!(i8, |text, n| write!(text, "{n}")),
        DataType::Uint16 => numbers!(u16, |text, n| write!(text, "{n}")),
        DataType::Int16 => numbers!(i16, |text, n| write!(text, "{n}")),
        DataType::Uint32 => numbers!(u32, |text, n| write!(text, "{n}")),
        DataType::Int32 => numbers!(i32, |text, n| write!(text, "{n}")),
        DataType::Uint64 => numbers!(u64, |text, n| write!(text, "{n}")),
        DataType::Int64 => numbers!(i64, |text, n| write!(text, "{n}")),
        DataType::Fp16 => numbers!(f16, |text, n| six_digits(text, n.to_f64())),
        DataType::Bf16 => numbers!(bf16, |text, n| six_digits(text, n.to_f64())),
        DataType::Fp32 => numbers!(f32, |text, n| six_digits(text, f64::from(n))),
        DataType::Fp64 => numbers!(f64, six_digits),
        DataType::Bytes => list(text, BytesElements::new(bytes).flatten(), |text, element| {
            text.push_str("\\\"");
            // The element is a string within a string.
            let mut inner = String::new();
            escaped(&mut inner, &String::from_utf8_lossy(element))?;
            escaped(text, &inner)?;
            text.push_str("\\\"");
            Ok(())
        }),
    }
}

/// A number in six significant digits, as C++ streams and `%g` write it.
fn six_digits(text: &mut String, number: f64) -> std::fmt::Result {
    const DIGITS: i32 = 6;
    if !number.is_finite() {
        let name = if number.is_nan() {
            "nan"
        } else if number > 0.0 {
            "inf"
        } else {
            "-inf"
        };
        text.push_str(name);
        return Ok(());
    }
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let shorten = |digits: &str| -> String {
        if digits.contains('.') {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            digits.to_owned()
        }
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent) as usize;
        text.push_str(&shorten(&format!("{number:.decimals$}")));
        return Ok(());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(text, "{}e{sign}{:02}", shorten(mantissa), exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn numbers_are_written_as_by_c_streams() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.5, "1e+06"),
            (0.0001, "0.0001"),
            (0.000_012_345_678, "1.23457e-05"),
            (-2.5, "-2.5"),
            (1e100, "1e+100"),
            (100_000.0, "100000"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, expected) in cases {
            let mut text = String::new();
            six_digits(&mut text, number).unwrap();
            assert_eq!(text, expected, "{number}");
        }
    }

    fn written(data_type: DataType, data: &'static [u8]) -> String {
        let (name, shape, place) = ("n\"".into(), [1, 2].into(), TensorPlace::Output);
        let data = Bytes::from_static(data);
        let mut text = String::new();
        object(&mut text, 3, &What::Tensor(Tensor { place, name, data_type, shape, data })).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["id"], &json["activity"]), (&3.into(), &"TENSOR_BACKEND_OUTPUT".into()));
        assert_eq!((&json["tensor"]["name"], &json["tensor"]["shape"]), (&"n\"".into(), &"1,2".into()));
        assert_eq!(json["tensor"]["dtype"], data_type.protocol_name());
        json["tensor"]["data"].as_str().unwrap().to_owned()
    }

    #[test]
    fn tensors_of_every_type_are_text() {
        assert_eq!(written(DataType::Bool, &[0, 1, 7]), "0,1,1");
        assert_eq!(written(DataType::Int8, &[255, 1]), "-1,1");
        assert_eq!(written(DataType::Int16, &[255, 255, 1, 0]), "-1,1");
        assert_eq!(written(DataType::Fp16, &[0, 0x3c, 0, 0xc0]), "1,-2");
        assert_eq!(written(DataType::Fp32, &[0, 0, 0x80, 0x3f]), "1");
        assert_eq!(written(DataType::Bytes, b"\x01\0\0\0a\x02\0\0\0\"\n"), "\"a\",\"\\\"\\u000a\"");
        assert_eq!(written(DataType::Fp64, &[]), "");
    }
}
