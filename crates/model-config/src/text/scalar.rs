//! Scalars of the text to values of a field's type, with the checks and the messages of protobuf's own parser.

use prost_reflect::{Kind, Value as FieldValue};

use super::ast::{Node, Value};
use super::{literal, parser};

/// The value of `node` for a field of this type; what is wrong with it otherwise. Empty if that was reported already.
pub(super) fn scalar(kind: &Kind, field: &str, node: &Node<'_>) -> Result<FieldValue, String> {
    if matches!(node.value, Value::Invalid) {
        return Err(String::new());
    }
    Ok(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            FieldValue::I32(i32::try_from(signed(node)?).map_err(|_| out_of_range(node))?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            FieldValue::I64(i64::try_from(signed(node)?).map_err(|_| out_of_range(node))?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            FieldValue::U32(u32::try_from(unsigned(node)?).map_err(|_| out_of_range(node))?)
        }
        Kind::Uint64 | Kind::Fixed64 => FieldValue::U64(unsigned(node)?),
        Kind::Float => FieldValue::F32(float(node)? as f32),
        Kind::Double => FieldValue::F64(float(node)?),
        Kind::Bool => FieldValue::Bool(boolean(field, node)?),
        Kind::String => {
            let text = String::from_utf8(bytes(node)?);
            FieldValue::String(text.map_err(|_| format!("String field \"{field}\" is not valid UTF-8."))?)
        }
        Kind::Bytes => FieldValue::Bytes(bytes(node)?.into()),
        Kind::Enum(names) => {
            let number = match node.value {
                Value::Identifier if !node.negative => names.get_value_by_name(node.text),
                Value::Integer => {
                    let number = i32::try_from(signed(node)?).map_err(|_| out_of_range(node))?;
                    names.get_value(number)
                }
                _ => return Err(format!("Expected integer or identifier, got: {}", got(node))),
            };
            let unknown =
                || format!("Unknown enumeration value of \"{}\" for field \"{field}\".", written(node));
            FieldValue::EnumNumber(number.ok_or_else(unknown)?.number())
        }
        Kind::Message(_) => return Err(format!("Expected \"{{\", found \"{}\".", got(node))),
    })
}

fn signed(node: &Node<'_>) -> Result<i128, String> {
    let magnitude = i128::from(magnitude(node)?);
    Ok(if node.negative { -magnitude } else { magnitude })
}

fn unsigned(node: &Node<'_>) -> Result<u64, String> {
    let magnitude = magnitude(node)?;
    if node.negative { Err("Expected integer, got: -".to_owned()) } else { Ok(magnitude) }
}

fn magnitude(node: &Node<'_>) -> Result<u64, String> {
    match node.value {
        Value::Integer => literal::integer(node.text).ok_or_else(|| out_of_range(node)),
        _ => Err(format!("Expected integer, got: {}", got(node))),
    }
}

fn float(node: &Node<'_>) -> Result<f64, String> {
    let expected = || format!("Expected double, got: {}", got(node));
    let magnitude = match node.value {
        Value::Integer if node.text.len() > 1 && node.text.starts_with('0') => {
            return Err(format!("Expect a decimal number, got: {}", got(node)));
        }
        Value::Integer | Value::Float => literal::float(node.text).ok_or_else(expected)?,
        Value::Identifier => match node.text.to_ascii_lowercase().as_str() {
            "inf" | "infinity" => f64::INFINITY,
            "nan" => f64::NAN,
            _ => return Err(expected()),
        },
        _ => return Err(expected()),
    };
    Ok(if node.negative { -magnitude } else { magnitude })
}

fn boolean(field: &str, node: &Node<'_>) -> Result<bool, String> {
    match node.value {
        Value::Integer => match unsigned(node)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(out_of_range(node)),
        },
        Value::Identifier if !node.negative => match node.text {
            "true" | "True" | "t" => Ok(true),
            "false" | "False" | "f" => Ok(false),
            other => Err(format!(
                "Invalid value for boolean field \"{field}\". Value: \"{}\".",
                parser::shown(other)
            )),
        },
        _ => Err(format!("Expected identifier, got: {}", got(node))),
    }
}

fn bytes(node: &Node<'_>) -> Result<Vec<u8>, String> {
    match &node.value {
        Value::String(bytes) => Ok(bytes.clone()),
        _ => Err(format!("Expected string, got: {}", got(node))),
    }
}

fn out_of_range(node: &Node<'_>) -> String {
    format!("Integer out of range ({})", written(node))
}

/// The token that is not the wanted one.
fn got<'a>(node: &Node<'a>) -> &'a str {
    if node.negative { "-" } else { parser::shown(node.text) }
}

fn written(node: &Node<'_>) -> String {
    format!("{}{}", if node.negative { "-" } else { "" }, parser::shown(node.text))
}
