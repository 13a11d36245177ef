//! A tensor's content as a JSON array.

use hippocamp_backend::Error;
use hippocamp_tensor::{BytesElements, DataType};

use super::write::{JsonWriter, WIDEST_DOUBLE};

/// Writes the elements of an output as a flat array, but a single one as it is. Otherwise like [`write_tensor`].
pub fn write_flat(
    writer: &mut JsonWriter,
    output: &str,
    data_type: DataType,
    count: usize,
    data: &[u8],
) -> Result<(), Error> {
    if count != 1 {
        return write_tensor(writer, output, data_type, count, data);
    }
    check(output, data_type, count, data)?;
    elements(writer, output, data_type, count, data)
}

/// Writes the elements of an output as a flat array. There have to be `count` of them; FP16 and BF16 cannot be written.
pub fn write_tensor(
    writer: &mut JsonWriter,
    output: &str,
    data_type: DataType,
    count: usize,
    data: &[u8],
) -> Result<(), Error> {
    check(output, data_type, count, data)?;
    writer.reserve(room(data_type, count, data.len()));
    writer.open_array();
    elements(writer, output, data_type, count, data)?;
    writer.close_array();
    Ok(())
}

/// The most that the elements can take, so that the text is never moved; of strings, what they take without escapes.
fn room(data_type: DataType, count: usize, size: usize) -> usize {
    // With a comma before each.
    let widest = match data_type {
        DataType::Uint8 => 4,
        DataType::Int8 => 5,
        DataType::Bool | DataType::Uint16 => 6,
        DataType::Int16 => 7,
        DataType::Uint32 => 11,
        DataType::Int32 => 12,
        DataType::Uint64 | DataType::Int64 => 21,
        DataType::Fp32 | DataType::Fp64 => WIDEST_DOUBLE,
        DataType::Bytes | DataType::Fp16 | DataType::Bf16 => return size,
    };
    count.saturating_mul(widest)
}

/// Whether there can be a text for it.
fn check(output: &str, data_type: DataType, count: usize, data: &[u8]) -> Result<(), Error> {
    if matches!(data_type, DataType::Fp16 | DataType::Bf16) {
        return Err(Error::invalid_arg(format!(
            "sending {data_type} data via JSON is not supported. Please use the binary data format for output"
        )));
    }
    if data_type.byte_size().is_some_and(|size| count.checked_mul(size) != Some(data.len())) {
        return Err(wrong_size(output));
    }
    Ok(())
}

fn elements(
    writer: &mut JsonWriter,
    output: &str,
    data_type: DataType,
    count: usize,
    data: &[u8],
) -> Result<(), Error> {
    match data_type {
        DataType::Bool => each(data, |[byte]: [u8; 1]| writer.boolean(byte != 0)),
        DataType::Uint8 => each(data, |bytes| writer.integer(u8::from_le_bytes(bytes))),
        DataType::Uint16 => each(data, |bytes| writer.integer(u16::from_le_bytes(bytes))),
        DataType::Uint32 => each(data, |bytes| writer.integer(u32::from_le_bytes(bytes))),
        DataType::Uint64 => each(data, |bytes| writer.integer(u64::from_le_bytes(bytes))),
        DataType::Int8 => each(data, |bytes| writer.integer(i8::from_le_bytes(bytes))),
        DataType::Int16 => each(data, |bytes| writer.integer(i16::from_le_bytes(bytes))),
        DataType::Int32 => each(data, |bytes| writer.integer(i32::from_le_bytes(bytes))),
        DataType::Int64 => each(data, |bytes| writer.integer(i64::from_le_bytes(bytes))),
        DataType::Fp32 => writer.doubles(as_elements(data).map(|bytes| f64::from(f32::from_le_bytes(bytes)))),
        DataType::Fp64 => writer.doubles(as_elements(data).map(f64::from_le_bytes)),
        DataType::Bytes => strings(writer, output, count, data)?,
        DataType::Fp16 | DataType::Bf16 => {}
    }
    Ok(())
}

fn each<const N: usize>(data: &[u8], write: impl FnMut([u8; N])) {
    as_elements(data).for_each(write);
}

fn as_elements<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

fn strings(writer: &mut JsonWriter, output: &str, count: usize, data: &[u8]) -> Result<(), Error> {
    let mut elements = BytesElements::new(data);
    for _ in 0..count {
        let element = elements.next().and_then(Result::ok).ok_or_else(|| wrong_size(output))?;
        let text = std::str::from_utf8(element).map_err(|_| not_text(output))?;
        writer.string(text.as_bytes());
    }
    Ok(())
}

#[cold]
fn not_text(output: &str) -> Error {
    Error::invalid_arg(format!(
        "output '{output}' has an element that is not valid UTF-8, which JSON can not hold. Please infer with the binary data \
         format: \"binary_data\": true in the parameters of the output, or \"binary_data_output\": true in those of the \
         request"
    ))
}

#[cold]
fn wrong_size(output: &str) -> Error {
    Error::internal(format!("output tensor shape does not match size of output for '{output}'"))
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::Code;
    use hippocamp_tensor::push_element;

    use super::*;

    fn written(data_type: DataType, count: usize, data: &[u8]) -> Result<String, Error> {
        let mut writer = JsonWriter::default();
        write_tensor(&mut writer, "OUT", data_type, count, data)?;
        Ok(String::from_utf8(writer.into_bytes()).unwrap())
    }

    #[test]
    fn writes_every_type() {
        let floats = [1.0f32, -0.5, f32::INFINITY].map(f32::to_le_bytes).concat();
        let integers = [-9_223_372_036_854_775_808i64, 7].map(i64::to_le_bytes).concat();
        let unsigned = u64::MAX.to_le_bytes();
        let mut strings = Vec::new();
        push_element(&mut strings, b"a\"b");
        push_element(&mut strings, b"");
        let cases: [(DataType, usize, &[u8], &str); 7] = [
            (DataType::Fp32, 3, &floats, "[1.0,-0.5,Infinity]"),
            (DataType::Int64, 2, &integers, "[-9223372036854775808,7]"),
            (DataType::Uint64, 1, &unsigned, "[18446744073709551615]"),
            (DataType::Int8, 2, &[0xFF, 0], "[-1,0]"),
            (DataType::Bool, 2, &[2, 0], "[true,false]"),
            (DataType::Bytes, 2, &strings, r#"["a\"b",""]"#),
            (DataType::Fp64, 0, &[], "[]"),
        ];
        for (data_type, count, data, text) in cases {
            assert_eq!(written(data_type, count, data).unwrap(), text);
        }
    }

    #[test]
    fn refuses_what_has_another_size_than_its_shape() {
        for (data_type, count, data) in [
            (DataType::Fp32, 2, &[0u8; 4][..]),
            (DataType::Bytes, 1, &[9, 0, 0, 0]),
            (DataType::Bytes, 1, &[]),
        ] {
            let error = written(data_type, count, data).unwrap_err();
            assert_eq!(error.message(), "output tensor shape does not match size of output for 'OUT'");
            assert_eq!(error.code(), Code::Internal);
        }
    }

    #[test]
    fn refuses_strings_that_are_no_text() {
        let mut strings = Vec::new();
        push_element(&mut strings, "ü".as_bytes());
        assert_eq!(written(DataType::Bytes, 1, &strings).unwrap(), "[\"ü\"]");
        for bytes in [&b"\xFF\xFE"[..], &"ü".as_bytes()[..1], b"\xED\xA0\x80"] {
            let mut strings = strings.clone();
            push_element(&mut strings, bytes);
            let error = written(DataType::Bytes, 2, &strings).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArg);
            assert!(
                error.message().starts_with("output 'OUT' has an element that is not valid UTF-8"),
                "{error}"
            );
        }
    }

    #[test]
    fn refuses_half_floats() {
        let error = written(DataType::Bf16, 1, &[0; 2]).unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (
                Code::InvalidArg,
                "sending BF16 data via JSON is not supported. Please use the binary data format for output"
            )
        );
    }
}
