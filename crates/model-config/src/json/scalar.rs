//! JSON scalars to values of a field's type.

use prost_reflect::{EnumDescriptor, Kind, Value};
use serde_json::{Number, Value as Json};

use crate::text;

/// The value of `json` for a field of this type, or what is wrong with it.
pub(super) fn scalar(kind: &Kind, field: &str, json: &Json) -> Result<Value, String> {
    let out_of_range = || format!("Integer out of range ({})", shown(json));
    Ok(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(i32::try_from(integer(json)?).map_err(|_| out_of_range())?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(i64::try_from(integer(json)?).map_err(|_| out_of_range())?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            Value::U32(u32::try_from(integer(json)?).map_err(|_| out_of_range())?)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            Value::U64(u64::try_from(integer(json)?).map_err(|_| out_of_range())?)
        }
        Kind::Float => Value::F32(float(json)? as f32),
        Kind::Double => Value::F64(float(json)?),
        Kind::Bool => Value::Bool(json.as_bool().ok_or_else(|| {
            format!("Invalid value for boolean field \"{field}\". Value: {}.", shown(json))
        })?),
        Kind::String => match json {
            Json::String(text) => Value::String(text.clone()),
            _ => return Err(format!("Expected string, got: {}", shown(json))),
        },
        Kind::Enum(names) => {
            Value::EnumNumber(enumeration(names, json).ok_or_else(|| {
                format!("Unknown enumeration value of {} for field \"{field}\".", shown(json))
            })?)
        }
        Kind::Bytes | Kind::Message(_) => return Err(format!("Unexpected value {}", shown(json))),
    })
}

/// Numbers, also with a point if nothing but zeros is behind it, and strings of digits.
fn integer(json: &Json) -> Result<i128, String> {
    let value = match json {
        Json::Number(number) => whole(number),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    value.ok_or_else(|| format!("Expected integer, got: {}", shown(json)))
}

fn whole(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    // Above this a float no longer holds every integer, so the digits that were meant are gone.
    let exact = 9_007_199_254_740_992.0;
    number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() <= exact).map(|value| value as i128)
}

fn float(json: &Json) -> Result<f64, String> {
    let value = match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            digits => digits.parse().ok().filter(|value: &f64| value.is_finite()),
        },
        _ => None,
    };
    value.ok_or_else(|| format!("Expected double, got: {}", shown(json)))
}

/// By name, upper or lower case as in Triton, or by number.
fn enumeration(names: &EnumDescriptor, json: &Json) -> Option<i32> {
    match json {
        Json::String(name) => {
            names.values().find(|value| value.name().eq_ignore_ascii_case(name)).map(|value| value.number())
        }
        Json::Number(number) => {
            let number = i32::try_from(whole(number)?).ok()?;
            names.get_value(number).map(|value| value.number())
        }
        _ => None,
    }
}

/// A value as it is repeated in a message: not the whole of a large one.
pub(super) fn shown(json: &Json) -> String {
    match json {
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
        Json::String(text) => Json::from(text::shown(text)).to_string(),
        other => other.to_string(),
    }
}
