//! A configuration as Triton answers it: names as in the schema, fields with their defaults, 64-bit integers as numbers.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};

use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};

use crate::{ModelConfig, schema};

/// Scalars that are younger than the answers which clients and their tests know: printed only where they are used.
const LATER_FIELDS: [&str; 1] = ["inference.ModelEnsembling.max_inflight_requests"];

/// The JSON text, on one line. Scalars, lists and maps are printed even if they have their default value; messages and
/// members of a oneof only if they are set.
pub fn to_json(config: &ModelConfig) -> String {
    let mut out = String::new();
    write_message(&schema::from_typed(config), &mut out);
    out
}

fn write_message(message: &DynamicMessage, out: &mut String) {
    out.push('{');
    let mut first = true;
    for field in schema::fields_as_declared(&message.descriptor()) {
        let skips_default = field.supports_presence() || LATER_FIELDS.contains(&field.full_name());
        if skips_default && !message.has_field(&field) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(field.name(), out);
        out.push(':');
        write_value(&message.get_field(&field), &field.kind(), out);
    }
    out.push('}');
}

fn write_value(value: &Value, kind: &Kind, out: &mut String) {
    match value {
        Value::Bool(value) => write_display(value, out),
        Value::I32(value) => write_display(value, out),
        Value::I64(value) => write_display(value, out),
        Value::U32(value) => write_display(value, out),
        Value::U64(value) => write_display(value, out),
        // Each in its own precision: 0.1 is not to become 0.10000000149011612.
        Value::F32(value) => write_float(f64::from(*value), &format_args!("{value:?}"), out),
        Value::F64(value) => write_float(*value, &format_args!("{value:?}"), out),
        Value::String(value) => write_string(value, out),
        // The schema has no such field; should it get one, it is seen but not shown.
        Value::Bytes(_) => out.push_str("null"),
        Value::EnumNumber(number) => match enum_name(kind, *number) {
            Some(name) => write_string(&name, out),
            None => write_display(number, out),
        },
        Value::Message(message) => write_message(message, out),
        Value::List(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(element, kind, out);
            }
            out.push(']');
        }
        Value::Map(entries) => write_map(entries, kind, out),
    }
}

/// Sorted by key, so that equal configs have equal texts.
fn write_map(entries: &HashMap<MapKey, Value>, kind: &Kind, out: &mut String) {
    let Kind::Message(entry) = kind else { return };
    let kind = entry.map_entry_value_field().kind();
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match key {
            MapKey::String(key) => write_string(key, out),
            MapKey::Bool(key) => write_string(&key.to_string(), out),
            MapKey::I32(key) => write_string(&key.to_string(), out),
            MapKey::I64(key) => write_string(&key.to_string(), out),
            MapKey::U32(key) => write_string(&key.to_string(), out),
            MapKey::U64(key) => write_string(&key.to_string(), out),
        }
        out.push(':');
        write_value(value, &kind, out);
    }
    out.push('}');
}

fn enum_name(kind: &Kind, number: i32) -> Option<String> {
    let Kind::Enum(names) = kind else { return None };
    Some(names.get_value(number)?.name().to_owned())
}

fn write_float(value: f64, digits: &dyn Display, out: &mut String) {
    if value.is_finite() {
        write_display(digits, out);
    } else if value.is_nan() {
        write_string("NaN", out);
    } else {
        write_string(if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
}

fn write_display(value: &dyn Display, out: &mut String) {
    // Writing into a String never fails.
    let _ = write!(out, "{value}");
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
