//! The messages and fields that a configuration may have, as data, from the descriptors of the served protocol.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};

use crate::{FaultKind, ModelConfig};

static MODEL_CONFIG: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    DescriptorPool::decode(hippocamp_proto::FILE_DESCRIPTOR_SET)
        .expect("the descriptors come from our own build")
        .get_message_by_name("inference.ModelConfig")
        .expect("ModelConfig is part of the protocol")
});

pub(crate) fn model_config() -> MessageDescriptor {
    MODEL_CONFIG.clone()
}

/// Converts a message of the type [`model_config`].
pub(crate) fn to_typed(message: &DynamicMessage) -> ModelConfig {
    message.transcode_to().expect("both sides are made from the same descriptors")
}

pub(crate) fn from_typed(config: &ModelConfig) -> DynamicMessage {
    let mut message = DynamicMessage::new(model_config());
    message.transcode_from(config).expect("both sides are made from the same descriptors");
    message
}

/// The fields in the order of the schema. The reflection crate orders them by number.
pub(crate) fn fields_as_declared(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> {
    let numbers = message.descriptor_proto().field.iter().map(|field| field.number().unsigned_abs());
    numbers.filter_map(|number| message.get_field(number))
}

/// The names that a message's fields have; empty if there is no such message in a config.
pub fn field_names(message: &str) -> Vec<String> {
    let message = MODEL_CONFIG.parent_pool().get_message_by_name(message);
    message.map(|message| message.fields().map(|field| field.name().to_owned()).collect()).unwrap_or_default()
}

/// The names that the values of a config's enumeration have; empty if there is no such enumeration.
pub fn value_names(enumeration: &str) -> Vec<String> {
    let names = MODEL_CONFIG.parent_pool().get_enum_by_name(enumeration);
    names.map(|names| names.values().map(|value| value.name().to_owned()).collect()).unwrap_or_default()
}

/// Why `field` may not be set in `message`: it is set already, or another one of its oneof is.
pub(crate) fn conflict(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    if field.is_list() || field.is_map() {
        return None;
    }
    let name = field.name();
    if message.has_field(field) {
        return Some(format!("Non-repeated field \"{name}\" is specified multiple times."));
    }
    let oneof = field.containing_oneof()?;
    let other = oneof.fields().find(|other| message.has_field(other))?;
    Some(format!(
        "Field \"{name}\" is specified along with field \"{}\", another member of oneof \"{}\".",
        other.name(),
        oneof.name()
    ))
}

/// The text and the kind of the fault of an unknown field.
pub(crate) fn unknown_field(message: &MessageDescriptor, name: &str) -> (String, FaultKind) {
    let text = format!("Message type \"{}\" has no field named \"{name}\".", message.full_name());
    let kind = FaultKind::UnknownField { message: message.full_name().to_owned(), written: name.to_owned() };
    (text, kind)
}

/// The kind of the fault of a value that does not fit its field.
pub(crate) fn unusable_value(kind: &Kind, written: &str) -> FaultKind {
    match kind {
        Kind::Enum(names) => FaultKind::UnknownValue {
            enumeration: names.full_name().to_owned(),
            written: written.trim_matches(['"', '\'']).to_owned(),
        },
        _ => FaultKind::Other,
    }
}

/// The path of a field inside a message; `path` is empty for the outermost one.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
