//! A config as the text that people write: what [`parse`](super::parse) reads back as it was.

use std::fmt::{Display, Write as _};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use crate::{ModelConfig, schema};

/// The text, one field a line, in the order of the schema; fields with their default value are left out. `comment` is
/// asked for every field by its path, such as `input[0].dims`, and what it says stands above that field.
pub fn to_text(config: &ModelConfig, comment: impl Fn(&str) -> Option<String>) -> String {
    let mut writer = Writer { out: String::new(), depth: 0, comment };
    writer.message(&schema::from_typed(config), "");
    writer.out
}

struct Writer<F> {
    out: String,
    depth: usize,
    comment: F,
}

impl<F: Fn(&str) -> Option<String>> Writer<F> {
    fn message(&mut self, message: &DynamicMessage, path: &str) {
        for field in schema::fields_as_declared(&message.descriptor()) {
            if !message.has_field(&field) {
                continue;
            }
            let path = schema::join(path, field.name());
            match &*message.get_field(&field) {
                Value::Map(_) => self.map(message, &field, &path),
                Value::List(elements) if matches!(field.kind(), Kind::Message(_)) => {
                    for (index, element) in elements.iter().enumerate() {
                        self.field(field.name(), &field.kind(), element, &format!("{path}[{index}]"));
                    }
                }
                Value::List(elements) => {
                    self.begin(&path);
                    let elements: Vec<String> =
                        elements.iter().map(|element| scalar(element, &field.kind())).collect();
                    self.end(format_args!("{}: [ {} ]", field.name(), elements.join(", ")));
                }
                value => self.field(field.name(), &field.kind(), value, &path),
            }
        }
    }

    fn field(&mut self, name: &str, kind: &Kind, value: &Value, path: &str) {
        self.begin(path);
        let Value::Message(message) = value else {
            self.end(format_args!("{name}: {}", scalar(value, kind)));
            return;
        };
        self.end(format_args!("{name} {{"));
        self.block(|writer| writer.message(message, path));
    }

    /// Sorted by key, so that equal configs have equal texts.
    fn map(&mut self, message: &DynamicMessage, field: &FieldDescriptor, path: &str) {
        let value = message.get_field(field);
        let (Value::Map(entries), Kind::Message(entry)) = (&*value, field.kind()) else { return };
        let (key_kind, value_kind) =
            (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        for (key, value) in entries {
            let key = scalar(&key.clone().into(), &key_kind);
            let path = format!("{path}[{key}]");
            self.begin(&path);
            self.end(format_args!("{} {{", field.name()));
            self.block(|writer| {
                writer.begin("");
                writer.end(format_args!("key: {key}"));
                writer.field("value", &value_kind, value, &path);
            });
        }
    }

    /// What stands above a line, and the space before it.
    fn begin(&mut self, path: &str) {
        let comment = if path.is_empty() { None } else { (self.comment)(path) };
        for line in comment.iter().flat_map(|comment| comment.lines()) {
            self.indent();
            self.end(format_args!("# {line}"));
        }
        self.indent();
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn end(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String never fails.
        let _ = writeln!(self.out, "{line}");
    }

    fn block(&mut self, inside: impl FnOnce(&mut Self)) {
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        self.out.push_str("}\n");
    }
}

fn scalar(value: &Value, kind: &Kind) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        // Each in its own precision: 0.1 is not to become 0.10000000149011612.
        Value::F32(value) => float(f64::from(*value), &format_args!("{value:?}")),
        Value::F64(value) => float(*value, &format_args!("{value:?}")),
        Value::String(text) => quoted(text.as_bytes()),
        Value::Bytes(bytes) => quoted(bytes),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(names) => {
                names.get_value(*number).map_or_else(|| number.to_string(), |v| v.name().to_owned())
            }
            _ => number.to_string(),
        },
        // Written by those who call this.
        Value::Message(_) | Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn float(value: f64, digits: &dyn Display) -> String {
    if value.is_finite() {
        digits.to_string()
    } else if value.is_nan() {
        "nan".to_owned()
    } else {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    }
}

/// Whole characters stay readable; what would break a line or a quote is escaped.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                _ if character.is_ascii_control() => {
                    let _ = write!(out, "\\{:03o}", u32::from(character));
                }
                _ => out.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn looks_as_people_write_it() {
        let text = r#"backend: "onnxruntime"
            max_batch_size: 8
            input { name: "data" data_type: TYPE_FP32 dims: [3, -1] }
            parameters { key: "b" value { string_value: "2" } }
            parameters { key: "a" value { string_value: "\"1\"\n" } }
            version_policy { all { } }"#;
        let config = parse(text, "text").unwrap().config;
        let comment = |path: &str| (path == "input[0].dims").then(|| "-1: of any size".to_owned());
        assert_eq!(
            to_text(&config, comment),
            r#"backend: "onnxruntime"
version_policy {
  all {
  }
}
max_batch_size: 8
input {
  name: "data"
  data_type: TYPE_FP32
  # -1: of any size
  dims: [ 3, -1 ]
}
parameters {
  key: "a"
  value {
    string_value: "\"1\"\n"
  }
}
parameters {
  key: "b"
  value {
    string_value: "2"
  }
}
"#
        );
    }
}
