//! Compares the `.proto` files with the descriptors that the deployed clients carry.
//!
//! Compared is everything that reaches the wire or the text format: messages, field names, numbers, types, labels,
//! oneofs, enums and services. File names, comments and JSON names may differ.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

/// Taken from the descriptors inside the Python client packages, serialised.
const REFERENCE: &[u8] = include_bytes!("reference_descriptors.bin");

#[test]
fn descriptors_equal_those_of_the_clients() {
    let ours = listing(hippocamp_proto::FILE_DESCRIPTOR_SET);
    let reference = listing(REFERENCE);
    assert!(reference.len() > 400, "the reference is incomplete: {} facts", reference.len());
    let missing: Vec<_> = reference.difference(&ours).collect();
    let surplus: Vec<_> = ours.difference(&reference).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

/// One line for each message, field, enum value and method.
fn listing(bytes: &[u8]) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for file in FileDescriptorSet::decode(bytes).expect("an encoded descriptor set").file {
        facts.insert(format!("{} is {}", file.package(), file.syntax()));
        for message in &file.message_type {
            message_facts(&format!(".{}", file.package()), message, &mut facts);
        }
        for each in &file.enum_type {
            enum_facts(&format!(".{}", file.package()), each, &mut facts);
        }
        for service in &file.service {
            for method in &service.method {
                facts.insert(format!(
                    "rpc {}.{}/{} ({} {}) -> ({} {})",
                    file.package(),
                    service.name(),
                    method.name(),
                    method.client_streaming(),
                    method.input_type(),
                    method.server_streaming(),
                    method.output_type(),
                ));
            }
        }
    }
    facts
}

fn message_facts(scope: &str, message: &DescriptorProto, facts: &mut BTreeSet<String>) {
    let path = format!("{scope}.{}", message.name());
    let map_entry = message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    facts.insert(format!("message {path} map entry {map_entry}"));
    for field in &message.field {
        let oneof = field.oneof_index.map(|index| message.oneof_decl[index as usize].name());
        facts.insert(format!(
            "field {path}.{} = {} {:?} {:?} {} oneof {oneof:?} optional {}",
            field.name(),
            field.number(),
            field.r#type(),
            field.label(),
            field.type_name(),
            field.proto3_optional(),
        ));
    }
    for nested in &message.nested_type {
        message_facts(&path, nested, facts);
    }
    for each in &message.enum_type {
        enum_facts(&path, each, facts);
    }
}

fn enum_facts(scope: &str, each: &EnumDescriptorProto, facts: &mut BTreeSet<String>) {
    for value in &each.value {
        facts.insert(format!("enum {scope}.{}: {} = {}", each.name(), value.name(), value.number()));
    }
}
