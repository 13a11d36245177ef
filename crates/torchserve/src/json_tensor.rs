//! Tensors out of JSON, and JSON out of tensors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_core::InferInput;
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{DataType, Shape};
use serde_json::{Map, Number, Value};

/// How deep lists may be nested.
const MAX_RANK: usize = 32;

/// A tensor out of nested lists, and whether they have a batch dimension.
pub(crate) fn of_value<'a>(
    model: &str,
    spec: &'a TensorSpec,
    batched: bool,
    value: &Value,
) -> Result<(InferInput<'a>, bool)> {
    let mut shape = shape_of(value);
    let rank = spec.dims.len();
    let has_batch = batched && shape.len() == rank + 1;
    if shape.is_empty() && rank > 0 && spec.dims.iter().all(|&dim| dim == 1 || dim == -1) {
        shape = vec![1; rank];
    }
    if batched && !has_batch {
        shape.insert(0, 1);
    }
    let mut data = Vec::new();
    fill(model, spec, value, &shape_of(value), &mut data)?;
    Ok((tensor(spec, shape, data), has_batch))
}

/// The inputs of a batch, from one JSON value for each row: the value itself for a model with one input, an object with the
/// names of the inputs otherwise.
pub(crate) fn of_rows<'a>(
    model: &str,
    specs: &'a [TensorSpec],
    batched: bool,
    rows: &[Value],
) -> Result<Vec<InferInput<'a>>> {
    if !batched && rows.len() != 1 {
        return Err(Error::invalid_arg(format!(
            "model '{model}' takes one instance a request, as it does not batch, got {}",
            rows.len()
        )));
    }
    let one = |spec: &'a TensorSpec| {
        let mut data = Vec::new();
        let mut shape: Option<Vec<i64>> = None;
        for row in rows {
            let value = match row {
                Value::Object(members) if specs.len() > 1 || spec.data_type == DataType::Bytes => {
                    members.get(&*spec.name).or_else(|| members.get("data")).unwrap_or(row)
                }
                row => row,
            };
            // `{"b64": ...}`, as clients of TensorFlow Serving and of KServe mark what is no text.
            let (value, is_base64) = match value {
                Value::Object(members) if spec.data_type == DataType::Bytes => {
                    members.get("b64").map_or((value, false), |value| (value, true))
                }
                value => (value, false),
            };
            let given = shape_of(value);
            let own = if given.is_empty() { vec![1; spec.dims.len()] } else { given.clone() };
            if shape.get_or_insert_with(|| own.clone()) != &own {
                return Err(Error::invalid_arg(format!(
                    "the instances for model '{model}' differ in their shapes"
                )));
            }
            let decoded = match (spec.data_type, value, row) {
                (DataType::Bytes, Value::String(text), _) if is_base64 => {
                    Some(STANDARD.decode(text).map_err(|error| {
                        let name = &spec.name;
                        Error::invalid_arg(format!("input '{name}' of model '{model}' is no base64: {error}"))
                    })?)
                }
                // Pictures come in base64 within an object, as TorchServe's handlers take them; texts as they are, whatever they
                // would be in base64.
                (DataType::Bytes, Value::String(text), Value::Object(_)) => {
                    STANDARD.decode(text).ok().filter(|bytes| is_picture(bytes))
                }
                _ => None,
            };
            match decoded {
                Some(bytes) => element(&bytes, &mut data)?,
                None => fill(model, spec, value, &given, &mut data)?,
            }
        }
        let mut shape = shape.unwrap_or_default();
        if batched {
            shape.insert(0, rows.len() as i64);
        }
        Ok(tensor(spec, shape, data))
    };
    specs.iter().map(one).collect()
}

fn tensor(spec: &TensorSpec, shape: Vec<i64>, data: Vec<u8>) -> InferInput<'_> {
    let shape: Shape = shape.into_iter().collect();
    InferInput { name: &spec.name, data_type: Some(spec.data_type), shape, data: Bytes::from(data).into() }
}

/// Whether bytes begin as a JPEG, PNG, GIF, BMP, TIFF or WebP file does.
fn is_picture(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] = [b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*"];
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"))
}

/// The shape of nested lists, by their first elements. [`fill`] sees whether the others agree.
fn shape_of(value: &Value) -> Vec<i64> {
    let (mut shape, mut value) = (Vec::new(), value);
    while let Value::Array(list) = value
        && shape.len() < MAX_RANK
    {
        shape.push(list.len() as i64);
        match list.first() {
            Some(first) => value = first,
            None => break,
        }
    }
    shape
}

/// Appends the elements of lists that are nested as the shape says.
fn fill(model: &str, spec: &TensorSpec, value: &Value, shape: &[i64], data: &mut Vec<u8>) -> Result<()> {
    let wrong = |expected: &str| {
        let end = value.to_string();
        let end = &end[..end.floor_char_boundary(40)];
        Error::invalid_arg(format!(
            "input '{}' of model '{model}' was expected to be {expected} of {}, got {end}",
            spec.name, spec.data_type
        ))
    };
    match value {
        Value::Array(list) => match shape {
            [count, inner @ ..] if list.len() as i64 == *count => {
                list.iter().try_for_each(|value| fill(model, spec, value, inner, data))
            }
            _ => Err(wrong("lists of equal lengths")),
        },
        _ if !shape.is_empty() => Err(wrong("lists of equal lengths")),
        Value::String(text) if spec.data_type == DataType::Bytes => element(text.as_bytes(), data),
        Value::Bool(truth) if spec.data_type == DataType::Bool => {
            data.push(u8::from(*truth));
            Ok(())
        }
        Value::Number(number) => push(spec.data_type, number, data).ok_or_else(|| wrong("numbers")),
        _ => Err(wrong(if spec.data_type == DataType::Bytes { "texts" } else { "numbers" })),
    }
}

fn element(bytes: &[u8], data: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| Error::invalid_arg("an element of a BYTES tensor is shorter than 4 GiB"))?;
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(bytes);
    Ok(())
}

/// Appends a number; `None` if the type has no such number.
fn push(data_type: DataType, number: &Number, data: &mut Vec<u8>) -> Option<()> {
    macro_rules! whole {
        ($type:ty) => {{
            let wide = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            // 3.0 is a whole number as well.
            let wide = wide.or_else(|| {
                number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15).map(|n| n as i128)
            });
            data.extend_from_slice(&<$type>::try_from(wide?).ok()?.to_le_bytes())
        }};
    }
    match data_type {
        DataType::Fp32 => data.extend_from_slice(&(number.as_f64()? as f32).to_le_bytes()),
        DataType::Fp64 => data.extend_from_slice(&number.as_f64()?.to_le_bytes()),
        DataType::Int8 => whole!(i8),
        DataType::Int16 => whole!(i16),
        DataType::Int32 => whole!(i32),
        DataType::Int64 => whole!(i64),
        DataType::Uint8 => whole!(u8),
        DataType::Uint16 => whole!(u16),
        DataType::Uint32 => whole!(u32),
        DataType::Uint64 => whole!(u64),
        DataType::Bool => data.push(u8::from(number.as_f64()? != 0.0)),
        _ => return None,
    }
    Some(())
}

/// A tensor as nested lists of JSON; a scalar for an empty shape.
pub(crate) fn to_value(data_type: DataType, shape: &[i64], data: &[u8]) -> Result<Value> {
    let values = elements(data_type, data)?;
    Ok(nested(shape, &mut values.into_iter()))
}

fn nested(shape: &[i64], values: &mut impl Iterator<Item = Value>) -> Value {
    match shape {
        [] => values.next().unwrap_or(Value::Null),
        [count, rest @ ..] => Value::Array((0..*count).map(|_| nested(rest, values)).collect()),
    }
}

fn elements(data_type: DataType, data: &[u8]) -> Result<Vec<Value>> {
    macro_rules! numbers {
        ($type:ty, $wide:ty) => {
            data.as_chunks::<{ size_of::<$type>() }>()
                .0
                .iter()
                .map(|&bytes| number(<$wide>::from(<$type>::from_le_bytes(bytes))))
                .collect()
        };
    }
    Ok(match data_type {
        DataType::Bool => data.iter().map(|&byte| Value::Bool(byte != 0)).collect(),
        DataType::Int8 => numbers!(i8, i64),
        DataType::Int16 => numbers!(i16, i64),
        DataType::Int32 => numbers!(i32, i64),
        DataType::Int64 => numbers!(i64, i64),
        DataType::Uint8 => numbers!(u8, u64),
        DataType::Uint16 => numbers!(u16, u64),
        DataType::Uint32 => numbers!(u32, u64),
        DataType::Uint64 => numbers!(u64, u64),
        // As Python writes what PyTorch holds: the double that the float is.
        DataType::Fp32 => numbers!(f32, f64),
        DataType::Fp64 => numbers!(f64, f64),
        DataType::Bytes => texts(data)?
            .into_iter()
            .map(|text| Value::String(String::from_utf8_lossy(text).into_owned()))
            .collect(),
        other => return Err(Error::unsupported(format!("an output of {other} has no form in JSON"))),
    })
}

fn number(number: impl IntoNumber) -> Value {
    number.into_number().map_or(Value::Null, Value::Number)
}

/// A number of JSON; `None` for what JSON has no number for.
trait IntoNumber {
    fn into_number(self) -> Option<Number>;
}

impl IntoNumber for i64 {
    fn into_number(self) -> Option<Number> {
        Some(self.into())
    }
}

impl IntoNumber for u64 {
    fn into_number(self) -> Option<Number> {
        Some(self.into())
    }
}

impl IntoNumber for f64 {
    fn into_number(self) -> Option<Number> {
        Number::from_f64(self)
    }
}

/// The elements of a BYTES tensor.
pub(crate) fn texts(mut data: &[u8]) -> Result<Vec<&[u8]>> {
    let mut texts = Vec::new();
    while !data.is_empty() {
        let broken = || Error::internal("an output of BYTES ends within an element");
        let (length, rest) = data.split_first_chunk::<4>().ok_or_else(broken)?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(broken)?;
        texts.push(text);
        data = rest;
    }
    Ok(texts)
}

/// Members of an object, in their order.
pub(crate) fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

/// An input of that type and shape, for tests.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn spec(data_type: DataType, dims: &[i64]) -> TensorSpec {
    TensorSpec {
        name: "x".into(),
        data_type,
        dims: Shape::from(dims),
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &TensorSpec, value: &Value) -> Result<(Shape, Vec<u8>)> {
        let (input, _) = of_value("m", spec, false, value)?;
        Ok((input.shape, input.data.to_host().unwrap().to_vec()))
    }

    #[test]
    fn lists_that_differ_in_length_are_no_tensor() {
        let spec = spec(DataType::Uint8, &[-1, -1]);
        assert_eq!(of(&spec, &json!([[1, 2], [3, 4]])).unwrap(), (Shape::from([2, 2]), vec![1, 2, 3, 4]));
        assert!(of(&spec, &json!([[], []])).unwrap().1.is_empty());
        for ragged in [
            json!([[1, 2], [3], [4, 5, 6]]),
            json!([[1, 2], 3, 4]),
            json!([1, [2]]),
            json!([[[1], [2]], [3, 4]]),
        ] {
            let error = of(&spec, &ragged).unwrap_err();
            assert!(error.message().contains("lists of equal lengths of UINT8"), "{ragged}: {error}");
        }
    }

    fn texts_of(row: Value) -> Result<Vec<u8>> {
        let specs = [spec(DataType::Bytes, &[1])];
        let inputs = of_rows("m", &specs, true, &[row])?;
        let data = inputs[0].data.to_host().unwrap();
        Ok(data[4..].to_vec())
    }

    #[test]
    fn texts_stay_what_they_are_and_pictures_are_decoded() {
        let jpeg = b"\xff\xd8\xff\xe0 and so on".to_vec();
        let packed = STANDARD.encode(&jpeg);
        for text in ["Good", "Paris", "abcdefgh", ""] {
            assert_eq!(texts_of(json!(text)).unwrap(), text.as_bytes());
            assert_eq!(texts_of(json!({"data": text})).unwrap(), text.as_bytes(), "it may be base64 as well");
            assert_eq!(texts_of(json!({"x": text})).unwrap(), text.as_bytes());
        }
        assert_eq!(texts_of(json!({"data": packed})).unwrap(), jpeg);
        assert_eq!(texts_of(json!({"b64": packed})).unwrap(), jpeg);
        assert_eq!(texts_of(json!({"x": {"b64": "R29vZA=="}})).unwrap(), b"Good");
        let error = texts_of(json!({"b64": "no base64"})).unwrap_err();
        assert!(error.message().contains("input 'x' of model 'm' is no base64"), "{error}");
    }
}
