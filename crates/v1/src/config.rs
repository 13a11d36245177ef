//! A model's config as clients of V1 know it.

use hippocamp_model_config::ModelConfig;
use hippocamp_proto::v1;
use prost::Message;

/// The platform of models that have none: V1 has no backends, and its clients expect a platform.
const CUSTOM: &str = "custom";

/// The config in V1. Its encoded form is that of v2, less what V1 does not know.
pub(crate) fn config(config: &ModelConfig) -> v1::ModelConfig {
    // Every field of V1 has the number and type that it has in v2, so this cannot fail.
    let mut of_v1 = v1::ModelConfig::decode(&*config.encode_to_vec()).unwrap_or_default();
    if of_v1.platform.is_empty() {
        CUSTOM.clone_into(&mut of_v1.platform);
    }
    of_v1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost_types::{DescriptorProto, FileDescriptorSet};

    use super::*;

    #[test]
    fn what_v1_does_not_know_is_left_out() {
        let of_v2 = ModelConfig {
            name: "m".to_owned(),
            backend: "identity".to_owned(),
            max_batch_size: 8,
            ..ModelConfig::default()
        };
        let of_v1 = config(&of_v2);
        assert_eq!((of_v1.name.as_str(), of_v1.platform.as_str(), of_v1.max_batch_size), ("m", "custom", 8));
        let named = ModelConfig { platform: "onnxruntime_onnx".to_owned(), ..of_v2 };
        assert_eq!(config(&named).platform, "onnxruntime_onnx");
    }

    /// The fields of a message and those within it, by their names: number, type and label.
    fn fields(message: &DescriptorProto, path: &str, all: &mut BTreeMap<String, (i32, i32, i32)>) {
        let path = format!("{path}.{}", message.name());
        for field in &message.field {
            let found = (field.number(), field.r#type.unwrap_or(0), field.label.unwrap_or(0));
            all.insert(format!("{path}.{}", field.name()), found);
        }
        message.nested_type.iter().for_each(|nested| fields(nested, &path, all));
    }

    #[test]
    fn each_field_is_one_of_v2() {
        let set = FileDescriptorSet::decode(hippocamp_proto::FILE_DESCRIPTOR_SET).unwrap();
        let of = |file: &str| {
            let mut all = BTreeMap::new();
            let file = set.file.iter().find(|found| found.name() == file).unwrap();
            file.message_type.iter().for_each(|message| fields(message, "", &mut all));
            all
        };
        let (v1, v2) = (of("v1/model_config.proto"), of("v2/model_config.proto"));
        assert!(v1.len() > 60, "{v1:?}");
        for (name, field) in v1 {
            assert_eq!(v2.get(&name), Some(&field), "{name}");
        }
    }
}
