//! JSON to a configuration, as protobuf maps the two: names in both spellings, 64-bit integers as number or string.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde_json::{Map, Value as Json};

use super::scalar;
use crate::schema::{self, join};
use crate::{ModelConfig, text};
use hippocamp_interface::{Faults, Position};

/// What an override is called in messages; it comes in a request and has no name of its own.
const ORIGIN: &str = "config";

/// Reads the `config` parameter of a load request. Line and column are known only for faults of the JSON itself.
pub fn from_json(text: &str) -> Result<ModelConfig, Faults> {
    let mut faults = Faults::new(ORIGIN);
    if text.len() > text::MAX_TEXT {
        let message = format!("the text has {} bytes, expected at most {}", text.len(), text::MAX_TEXT);
        faults.push(None, "", message);
        return Err(faults);
    }
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            let position = Position { line: error.line() as u32, column: error.column() as u32 };
            faults.push(Some(position), "", error.to_string());
            return Err(faults);
        }
    };
    let mut reading = Reading { faults: &mut faults };
    let message = reading.message(&json, &schema::model_config(), "");
    faults.into_result(())?;
    Ok(message.map_or_else(ModelConfig::default, |message| schema::to_typed(&message)))
}

struct Reading<'f> {
    faults: &'f mut Faults,
}

impl Reading<'_> {
    fn message(&mut self, json: &Json, descriptor: &MessageDescriptor, path: &str) -> Option<DynamicMessage> {
        let object = self.object(json, path)?;
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, json) in object {
            let known =
                descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            let Some(known) = known else {
                let (message, kind) = schema::unknown_field(descriptor, text::shown(name));
                self.faults.push_kind(None, &join(path, text::shown(name)), message, kind);
                continue;
            };
            // As protobuf has it, null is a field that was not given.
            if json.is_null() {
                continue;
            }
            let path = join(path, known.name());
            match schema::conflict(&message, &known) {
                Some(conflict) => self.faults.push(None, &path, conflict),
                None => self.field(&mut message, &known, json, &path),
            }
        }
        Some(message)
    }

    fn field(&mut self, message: &mut DynamicMessage, known: &FieldDescriptor, json: &Json, path: &str) {
        let value = if known.is_map() {
            self.map(known, json, path)
        } else if known.is_list() {
            self.list(known, json, path)
        } else {
            self.value(&known.kind(), known.name(), json, path)
        };
        if let Some(value) = value {
            message.set_field(known, value);
        }
    }

    fn list(&mut self, known: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        let Json::Array(elements) = json else {
            self.faults.push(None, path, format!("Expected an array, got: {}", scalar::shown(json)));
            return None;
        };
        let kind = known.kind();
        let mut values = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if self.faults.is_full() {
                return None;
            }
            values.extend(self.value(&kind, known.name(), element, &format!("{path}[{index}]")));
        }
        Some(Value::List(values))
    }

    fn map(&mut self, known: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        let Kind::Message(entry) = known.kind() else { return None };
        let (key_kind, value_kind) =
            (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut entries = std::collections::HashMap::new();
        for (key, json) in self.object(json, path)? {
            if self.faults.is_full() {
                return None;
            }
            let path = format!("{path}[\"{}\"]", text::shown(key));
            let key: Option<MapKey> = self
                .value(&key_kind, known.name(), &Json::from(key.as_str()), &path)
                .and_then(Value::into_map_key);
            if let (Some(key), Some(value)) = (key, self.value(&value_kind, known.name(), json, &path)) {
                entries.insert(key, value);
            }
        }
        Some(Value::Map(entries))
    }

    fn value(&mut self, kind: &Kind, name: &str, json: &Json, path: &str) -> Option<Value> {
        if let Kind::Message(descriptor) = kind {
            return self.message(json, descriptor, path).map(Value::Message);
        }
        match scalar::scalar(kind, name, json) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(None, path, message);
                None
            }
        }
    }

    fn object<'j>(&mut self, json: &'j Json, path: &str) -> Option<&'j Map<String, Json>> {
        let object = json.as_object();
        if object.is_none() {
            self.faults.push(None, path, format!("Expected an object, got: {}", scalar::shown(json)));
        }
        object
    }
}
