//! The descriptors of all served messages, by file and by symbol.

use std::collections::HashMap;

use hippocamp_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::pb::{v1, v1alpha};

/// Files, and the symbols that they declare: messages with their fields, enumerations with their values, services with their
/// calls.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// Encoded files by name.
    files: HashMap<String, Vec<u8>>,
    /// The name of the file that declares a symbol, by the symbol's full name.
    symbols: HashMap<String, String>,
}

impl Descriptors {
    /// What this server's services are made of. A set that cannot be read is left out, which a test rules out.
    pub(super) fn served() -> Descriptors {
        let sets = [FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];
        let mut descriptors = Descriptors::default();
        for set in sets.into_iter().filter_map(|set| FileDescriptorSet::decode(set).ok()) {
            set.file.iter().for_each(|file| descriptors.add(file));
        }
        descriptors
    }

    /// The encoded file of that name.
    pub(super) fn file(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.get(name)
    }

    /// The encoded file that declares a symbol.
    pub(super) fn file_of(&self, symbol: &str) -> Option<&Vec<u8>> {
        self.file(self.symbols.get(symbol)?)
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        self.files.insert(file.name().to_owned(), file.encode_to_vec());
        let mut symbols = Vec::new();
        for message in &file.message_type {
            add_message(&mut symbols, file.package(), message);
        }
        for enumeration in &file.enum_type {
            add_enum(&mut symbols, file.package(), enumeration);
        }
        for service in &file.service {
            let name = joined(file.package(), service.name());
            symbols.extend(service.method.iter().map(|method| joined(&name, method.name())));
            symbols.push(name);
        }
        self.symbols.extend(symbols.into_iter().map(|symbol| (symbol, file.name().to_owned())));
    }
}

fn add_message(symbols: &mut Vec<String>, within: &str, message: &DescriptorProto) {
    let name = joined(within, message.name());
    for nested in &message.nested_type {
        add_message(symbols, &name, nested);
    }
    for enumeration in &message.enum_type {
        add_enum(symbols, &name, enumeration);
    }
    symbols.extend(message.field.iter().map(|field| joined(&name, field.name())));
    symbols.extend(message.oneof_decl.iter().map(|oneof| joined(&name, oneof.name())));
    symbols.push(name);
}

/// Values lie in the scope around their enumeration.
fn add_enum(symbols: &mut Vec<String>, within: &str, enumeration: &EnumDescriptorProto) {
    symbols.extend(enumeration.value.iter().map(|value| joined(within, value.name())));
    symbols.push(joined(within, enumeration.name()));
}

fn joined(within: &str, name: &str) -> String {
    if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_leads_to_a_file_that_decodes_with_all_that_it_imports() {
        let descriptors = Descriptors::served();
        for symbol in [
            "inference.GRPCInferenceService",
            "inference.GRPCInferenceService.ModelInfer",
            "inference.ModelInferRequest",
            "inference.ModelInferRequest.raw_input_contents",
            "inference.ModelInferRequest.InferInputTensor",
            "inference.InferParameter.parameter_choice",
            "inference.DataType",
            "inference.TYPE_FP32",
            "nvidia.inferenceserver.GRPCService",
            "grpc.health.v1.Health.Watch",
            "grpc.health.v1.HealthCheckResponse.SERVING",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            let file = descriptors.file_of(symbol).unwrap_or_else(|| panic!("{symbol} is not known"));
            let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
            for import in &file.dependency {
                assert!(descriptors.file(import).is_some(), "{import}, which {} imports", file.name());
            }
        }
        assert!(descriptors.file_of("inference.Nobody").is_none());
        assert!(descriptors.file("nobody.proto").is_none());
    }
}
