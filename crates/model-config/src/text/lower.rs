//! Converts the syntax tree to a message by the descriptors of the schema, which say what names exist and what values fit.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as FieldValue};

use super::ast::{Field, Node, Value};
use super::parser::{self, Tree};
use super::scalar;
use crate::Spans;
use crate::schema::{self, join};
use hippocamp_interface::{FaultKind, Faults, Position};

/// The `ModelConfig` of a whole text. Fields with faults are left out of it.
pub(super) fn lower(tree: &Tree<'_>, faults: &mut Faults) -> (DynamicMessage, Spans) {
    let Tree { fields, unclosed } = tree;
    let mut lowering = Lowering { spans: Spans::default(), faults, unclosed: *unclosed, around: Vec::new() };
    let message = lowering.message(fields, &schema::model_config(), "", None);
    (message, lowering.spans)
}

struct Lowering<'f> {
    spans: Spans,
    faults: &'f mut Faults,
    /// The outermost bracket of the text that nothing closes.
    unclosed: Option<Position>,
    /// The types of the messages around the one that is read, the outermost first.
    around: Vec<MessageDescriptor>,
}

impl Lowering<'_> {
    /// `value_path` is for entries of maps, whose field `value` has the path of the whole entry.
    fn message(
        &mut self,
        fields: &[Field<'_>],
        descriptor: &MessageDescriptor,
        path: &str,
        value_path: Option<&str>,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in fields {
            if self.faults.is_full() {
                break;
            }
            let Some(known) = descriptor.get_field_by_name(field.name) else {
                if self.is_of_message_around(field) {
                    continue;
                }
                let (message, kind) = schema::unknown_field(descriptor, parser::shown(field.name));
                let path = join(path, parser::shown(field.name));
                self.faults.push_kind(Some(field.position), &path, message, kind);
                continue;
            };
            let path = match value_path {
                Some(path) if field.name == "value" => path.to_owned(),
                _ => join(path, field.name),
            };
            if let Some(conflict) = schema::conflict(&message, &known) {
                if self.is_of_message_around(field) {
                    continue;
                }
                self.faults.push_kind(Some(field.position), &path, conflict, FaultKind::GivenTwice);
                continue;
            }
            self.around.push(descriptor.clone());
            self.field(&mut message, field, &known, &path);
            self.around.pop();
        }
        message
    }

    /// Whether the field, which does not fit here, seems to be here because a bracket is missing, which has a fault already.
    fn is_of_message_around(&self, field: &Field<'_>) -> bool {
        let Some(unclosed) = self.unclosed else { return false };
        let place = |position: Position| (position.line, position.column);
        place(field.position) > place(unclosed)
            && self.around.iter().any(|message| message.get_field_by_name(field.name).is_some())
    }

    fn field(
        &mut self,
        message: &mut DynamicMessage,
        field: &Field<'_>,
        known: &FieldDescriptor,
        path: &str,
    ) {
        let is_message = matches!(known.kind(), Kind::Message(_));
        if !field.colon && !is_message {
            let found = parser::shown(field.value.text);
            self.faults.push(Some(field.value.position), path, format!("Expected \":\", found \"{found}\"."));
            return;
        }
        self.spans.add_field(path, if is_message { field.position } else { field.value.position });
        match &field.value.value {
            Value::List(elements) if known.is_list() || known.is_map() => {
                for element in elements {
                    self.add(message, known, element, element.position, path);
                }
            }
            _ if known.is_list() || known.is_map() => {
                self.add(message, known, &field.value, field.position, path);
            }
            _ => {
                if let Some(value) = self.value(&known.kind(), known.name(), &field.value, path) {
                    message.set_field(known, value);
                }
            }
        }
    }

    /// One more element of a list or a map. `position` is what a message is found by later.
    fn add(
        &mut self,
        message: &mut DynamicMessage,
        known: &FieldDescriptor,
        node: &Node<'_>,
        position: Position,
        path: &str,
    ) {
        if self.faults.is_full() {
            return;
        }
        if known.is_map() {
            self.add_entry(message, known, node, position, path);
            return;
        }
        let index = message.get_field(known).as_list().map_or(0, <[FieldValue]>::len);
        let element_path = format!("{path}[{index}]");
        if matches!(known.kind(), Kind::Message(_)) {
            self.spans.add_field(&element_path, position);
        } else {
            self.spans.add_element(path, node.position);
        }
        // An element with a fault keeps its index, so that the paths of the elements after it are right.
        let value = self
            .value(&known.kind(), known.name(), node, &element_path)
            .unwrap_or_else(|| FieldValue::default_value(&known.kind()));
        if let Some(list) = message.get_field_mut(known).as_list_mut() {
            list.push(value);
        }
    }

    fn add_entry(
        &mut self,
        message: &mut DynamicMessage,
        known: &FieldDescriptor,
        node: &Node<'_>,
        position: Position,
        path: &str,
    ) {
        let Kind::Message(descriptor) = known.kind() else { return };
        let Value::Message(fields) = &node.value else {
            self.not_a_message(node, path);
            return;
        };
        let path = format!("{path}[{}]", written_key(fields));
        let has_messages = matches!(descriptor.map_entry_value_field().kind(), Kind::Message(_));
        if has_messages {
            self.spans.add_field(&path, position);
        }
        let mut entry = self.message(fields, &descriptor, &path, Some(&path));
        // A scalar that was written is a better place for its entry than the bracket in front.
        self.spans.add_field(&path, position);
        let mut take = |field: FieldDescriptor| {
            entry.take_field(&field).unwrap_or_else(|| FieldValue::default_value_for_field(&field))
        };
        let value = take(descriptor.map_entry_value_field());
        let Some(key) = take(descriptor.map_entry_key_field()).into_map_key() else { return };
        if let Some(map) = message.get_field_mut(known).as_map_mut() {
            // As protobuf has it: of two entries with one key the later wins.
            map.insert(key, value);
        }
    }

    fn value(&mut self, kind: &Kind, name: &str, node: &Node<'_>, path: &str) -> Option<FieldValue> {
        if let (Kind::Message(descriptor), Value::Message(fields)) = (kind, &node.value) {
            return Some(FieldValue::Message(self.message(fields, descriptor, path, None)));
        }
        match scalar::scalar(kind, name, node) {
            Ok(value) => Some(value),
            Err(message) => {
                if !message.is_empty() {
                    let fault_kind = schema::unusable_value(kind, parser::shown(node.text));
                    self.faults.push_kind(Some(node.position), path, message, fault_kind);
                }
                None
            }
        }
    }

    fn not_a_message(&mut self, node: &Node<'_>, path: &str) {
        if !matches!(node.value, Value::Invalid) {
            let message = format!("Expected \"{{\", found \"{}\".", parser::shown(node.text));
            self.faults.push(Some(node.position), path, message);
        }
    }
}

/// The key of a map entry as it stands in a path. Shortened, for it becomes a part of the paths of all that is in it.
fn written_key(fields: &[Field<'_>]) -> String {
    let key = fields.iter().find(|field| field.name == "key").map(|field| &field.value);
    match key.map(|node| (&node.value, node.text)) {
        Some((Value::String(bytes), _)) => {
            format!("\"{}\"", parser::shown(&String::from_utf8_lossy(bytes)))
        }
        Some((_, text)) => parser::shown(text).to_owned(),
        None => "\"\"".to_owned(),
    }
}
