//! Compares the `.proto` files with the descriptors that the deployed clients carry.
//!
//! Compared is everything that reaches the wire or the text format: messages, field names, numbers, types, labels,
//! oneofs, enums and services. File names, comments and JSON names may differ.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

/// Taken from the descriptors inside the Python client packages, serialised: of v2 with the health check, and of V1.
const REFERENCES: [&[u8]; 2] =
    [include_bytes!("reference_descriptors.bin"), include_bytes!("reference_descriptors_v1.bin")];

/// What the client of 20.02 does not know yet, or reads under another number than its server wrote (see `proto/v1`).
const BEYOND_THE_CLIENT_OF_V1: [&str; 6] = [
    "InferRequestHeader.priority = 7 ",
    "InferRequestHeader.timeout_microseconds = 8 ",
    "InferRequestStats.compute_input = 5 ",
    "InferRequestStats.compute_infer = 6 ",
    "InferRequestStats.compute_output = 7 ",
    "SharedMemoryControlResponse.Status.as_clients_read = 2 ",
];

/// TorchServe's packages: its clients make their messages of `.proto` files, so that none carries descriptors. What is on
/// the wire is compared by its recorded answers, in the tests of clients.
const OF_TORCHSERVE: [&str; 2] = ["org.pytorch.serve.grpc", "google.rpc"];

#[test]
fn descriptors_equal_those_of_the_clients() {
    let mut ours = listing(hippocamp_proto::FILE_DESCRIPTOR_SET);
    ours.retain(|fact| !OF_TORCHSERVE.iter().any(|package| fact.contains(package)));
    let reference: BTreeSet<String> = REFERENCES.into_iter().flat_map(listing).collect();
    assert!(reference.len() > 600, "the reference is incomplete: {} facts", reference.len());
    let missing: Vec<_> = reference.difference(&ours).collect();
    let is_known = |fact: &&String| {
        let name = fact.strip_prefix("field .nvidia.inferenceserver.");
        name.is_some_and(|name| BEYOND_THE_CLIENT_OF_V1.iter().any(|field| name.starts_with(field)))
    };
    let (known, surplus): (Vec<_>, Vec<_>) = ours.difference(&reference).partition(is_known);
    assert_eq!(known.len(), BEYOND_THE_CLIENT_OF_V1.len(), "{known:#?}");
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
