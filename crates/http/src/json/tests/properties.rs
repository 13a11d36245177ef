//! What holds for any input.

use hippocamp_tensor::DataType;
use proptest::prelude::*;

use super::super::{Content, parse_infer};
use hippocamp_http_content::json::{JsonWriter, write_tensor};

/// Any bytes, biased towards what JSON is made of.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\u00"),
        Just("\"inputs\":"),
        Just("\"outputs\":"),
        Just("\"parameters\":"),
        Just("\"data\":"),
        Just("\"shape\":[2]"),
        Just("\"datatype\":\"FP32\""),
        Just("\"datatype\":\"BYTES\""),
        Just("\"name\":\"I\""),
        Just("\"id\":"),
        Just("\"binary_data_size\":"),
        Just("\"sequence_id\":"),
        Just("true"),
        Just("null"),
        Just("NaN"),
        Just("-Infinity"),
        Just("1e"),
        Just("-0.5e-7"),
        Just("18446744073709551616"),
        Just("[["),
        Just("]]"),
        Just("\0"),
        Just(" "),
        Just("\u{1F600}"),
    ];
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The same request, written by us.
fn written(data_type: DataType, count: usize, data: &[u8]) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("inputs");
    writer.open_array();
    writer.open_object();
    writer.name("name");
    writer.string(b"I");
    writer.name("datatype");
    writer.string(data_type.protocol_name().as_bytes());
    writer.name("shape");
    writer.shape(&[count as i64]);
    writer.name("data");
    write_tensor(&mut writer, "I", data_type, count, data).unwrap();
    writer.close_object();
    writer.close_array();
    writer.close_object();
    writer.into_bytes()
}

fn comes_back(data_type: DataType, count: usize, data: &[u8]) -> Result<(), TestCaseError> {
    let json = written(data_type, count, data);
    let mut request = parse_infer(&json, usize::MAX).unwrap();
    let input = request.inputs.remove(0);
    prop_assert_eq!(input.data_type, Some(data_type));
    match input.content {
        Content::Json(back) => prop_assert_eq!(back, data),
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(json: Vec<u8>) {
        drop(parse_infer(&json, 1 << 20));
    }

    #[test]
    fn anything_like_json_is_read_or_refused(json in almost_json()) {
        drop(parse_infer(&json, 1 << 20));
    }

    #[test]
    fn what_is_valid_json_is_never_a_syntax_error(json in almost_json()) {
        let valid = serde_json::from_slice::<serde_json::Value>(&json).is_ok();
        if let Err(error) = parse_infer(&json, 1 << 20) && valid {
            prop_assert!(!error.message().starts_with("failed to parse"), "{}", error);
        }
    }

    #[test]
    fn integers_come_back(values in prop::collection::vec(any::<i64>(), 1..50)) {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        comes_back(DataType::Int64, values.len(), &data)?;
        comes_back(DataType::Uint64, values.len(), &data)?;
        comes_back(DataType::Int16, values.len() * 4, &data)?;
        comes_back(DataType::Uint8, values.len() * 8, &data)?;
    }

    #[test]
    fn floats_come_back(
        doubles in prop::collection::vec(any::<f64>(), 1..50),
        floats in prop::collection::vec(any::<f32>(), 1..50),
    ) {
        let data: Vec<u8> = doubles.iter().flat_map(|v| v.to_le_bytes()).collect();
        comes_back(DataType::Fp64, doubles.len(), &data)?;
        let data: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
        comes_back(DataType::Fp32, floats.len(), &data)?;
    }

    #[test]
    fn strings_come_back(elements in prop::collection::vec(any::<String>(), 1..20)) {
        let mut data = Vec::new();
        for element in &elements {
            hippocamp_tensor::push_element(&mut data, element.as_bytes());
        }
        comes_back(DataType::Bytes, elements.len(), &data)?;
    }
}
