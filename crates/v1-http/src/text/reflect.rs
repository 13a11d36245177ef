//! Any message of V1, as text or as JSON, by its descriptor.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MapKey, Value};

use super::number;
use super::writer::Writer;

/// The package of the messages.
const PACKAGE: &str = "nvidia.inferenceserver";

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(hippocamp_proto::FILE_DESCRIPTOR_SET).unwrap_or_default());

/// The message of that name, with a line for each field.
pub(crate) fn debug_text<M: Message>(name: &str, message: &M) -> String {
    let mut writer = Writer::lines();
    if let Some(message) = dynamic(name, message) {
        fields(&mut writer, &message);
    }
    writer.into_text()
}

/// The message of that name, in the JSON of protobuf.
pub(crate) fn json<M: Message>(name: &str, message: &M) -> Vec<u8> {
    let json = dynamic(name, message).map(|message| serde_json::to_vec(&message));
    json.and_then(Result::ok).unwrap_or_default()
}

/// The message by its descriptor. There is one for each message of the package.
fn dynamic<M: Message>(name: &str, message: &M) -> Option<DynamicMessage> {
    let descriptor = POOL.get_message_by_name(&format!("{PACKAGE}.{name}"))?;
    DynamicMessage::decode(descriptor, &*message.encode_to_vec()).ok()
}

fn fields(writer: &mut Writer, message: &DynamicMessage) {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_unstable_by_key(|(field, _)| field.number());
    for (field, of_field) in fields {
        let kind = field.kind();
        match of_field {
            Value::List(values) => values.iter().for_each(|each| value(writer, field.name(), &kind, each)),
            Value::Map(entries) => {
                let Kind::Message(entry) = &kind else { continue };
                let (of_key, of_value) =
                    (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
                let mut sorted: Vec<_> = entries.iter().map(|(key, value)| (plain(key), value)).collect();
                sorted.sort_by(|(a, _), (b, _)| order(a, b));
                for (key, each) in sorted {
                    writer.open(field.name());
                    value(writer, "key", &of_key, &key);
                    value(writer, "value", &of_value, each);
                    writer.close();
                }
            }
            other => value(writer, field.name(), &kind, other),
        }
    }
}

fn plain(key: &MapKey) -> Value {
    Value::from(key.clone())
}

/// The order of the keys of a map, which are of one kind.
fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => {
            a.as_i64().cmp(&b.as_i64()).then(a.as_u32().cmp(&b.as_u32())).then(a.as_u64().cmp(&b.as_u64()))
        }
    }
}

fn value(writer: &mut Writer, name: &str, kind: &Kind, value: &Value) {
    match value {
        Value::Bool(value) => writer.word(name, if *value { "true" } else { "false" }),
        Value::I32(value) => writer.integer(name, *value),
        Value::I64(value) => writer.integer(name, *value),
        Value::U32(value) => writer.integer(name, *value),
        Value::U64(value) => writer.integer(name, *value),
        Value::F32(value) => writer.word(name, &number::float(*value)),
        Value::F64(value) => writer.word(name, &number::double(*value)),
        Value::String(value) => writer.string(name, value.as_bytes()),
        Value::Bytes(value) => writer.string(name, value),
        Value::EnumNumber(number) => {
            let named = kind.as_enum().and_then(|descriptor| descriptor.get_value(*number));
            match named {
                Some(named) => writer.word(name, named.name()),
                None => writer.integer(name, *number),
            }
        }
        Value::Message(message) => {
            writer.open(name);
            fields(writer, message);
            writer.close();
        }
        // A list or a map is never an element.
        Value::List(_) | Value::Map(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hippocamp_proto::v1::{
        DataType, ModelConfig, ModelInput, ModelStatus, ModelVersionStatus, ServerReadyState, ServerStatus,
    };

    use super::*;

    fn status() -> ServerStatus {
        let input = ModelInput {
            name: "in".to_owned(),
            data_type: DataType::TypeFp32.into(),
            dims: vec![-1, 3],
            ..ModelInput::default()
        };
        let config = ModelConfig { name: "m".to_owned(), input: vec![input], ..ModelConfig::default() };
        let version = ModelVersionStatus { model_inference_count: 8, ..ModelVersionStatus::default() };
        let model = ModelStatus {
            config: Some(config),
            version_status: BTreeMap::from([(10, version.clone()), (9, version)]),
        };
        ServerStatus {
            id: "inference:0".to_owned(),
            uptime_ns: u64::MAX,
            ready_state: ServerReadyState::ServerReady.into(),
            model_status: BTreeMap::from([("m".to_owned(), model)]),
            ..ServerStatus::default()
        }
    }

    #[test]
    fn text_has_fields_by_number_and_entries_by_key() {
        let expected = r#"id: "inference:0"
uptime_ns: 18446744073709551615
model_status {
  key: "m"
  value {
    config {
      name: "m"
      input {
        name: "in"
        data_type: TYPE_FP32
        dims: -1
        dims: 3
      }
    }
    version_status {
      key: 9
      value {
        model_inference_count: 8
      }
    }
    version_status {
      key: 10
      value {
        model_inference_count: 8
      }
    }
  }
}
ready_state: SERVER_READY
"#;
        assert_eq!(debug_text("ServerStatus", &status()), expected);
    }

    #[test]
    fn json_is_that_of_protobuf() {
        let json: serde_json::Value = serde_json::from_slice(&json("ServerStatus", &status())).unwrap();
        assert_eq!(json["readyState"], "SERVER_READY");
        assert_eq!(json["uptimeNs"], "18446744073709551615");
        let model = &json["modelStatus"]["m"];
        assert_eq!(model["config"]["input"][0]["dataType"], "TYPE_FP32");
        assert_eq!(model["versionStatus"]["10"]["modelInferenceCount"], "8");
        assert!(json.get("version").is_none(), "a default is left out");
    }
}
