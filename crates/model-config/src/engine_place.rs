//! Settings of engines that name files, libraries or addresses: whoever may write such a setting has the server read, write or
//! execute what is none of the model's.

use hippocamp_interface::ModelConfig;

/// How the parameters begin that an engine takes as they are.
const OF_ENGINES: [&str; 4] = ["session.", "optimization.", "ep.", "mlas."];

/// Words in the names of such settings: `session.optimized_model_filepath`, `ep.context_file_path`,
/// `trt_extra_plugin_lib_paths`, `cache_dir`, `gpu_external_alloc`.
const PLACES: [&str; 16] = [
    "path",
    "paths",
    "filepath",
    "filename",
    "file",
    "folder",
    "dir",
    "root",
    "lib",
    "library",
    "table",
    "profiling",
    "external",
    "context",
    "config",
    "stream",
];

/// The name of a setting of an engine that may name a file, a library or an address in this process: among the parameters that
/// an engine takes as they are, and among those of accelerators. `None` if there is none.
pub fn engine_place(config: &ModelConfig) -> Option<&str> {
    let of_engines =
        config.parameters.keys().filter(|key| OF_ENGINES.iter().any(|start| key.starts_with(start)));
    let accelerators =
        config.optimization.iter().flat_map(|optimization| &optimization.execution_accelerators);
    let accelerators = accelerators
        .flat_map(|all| all.gpu_execution_accelerator.iter().chain(&all.cpu_execution_accelerator));
    let mut settings = of_engines.chain(accelerators.flat_map(|accelerator| accelerator.parameters.keys()));
    let is_place =
        |key: &&String| key.to_ascii_lowercase().split(['.', '_']).any(|word| PLACES.contains(&word));
    settings.find(is_place).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(key: &str) -> String {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"/x\" }} }}")
    }

    fn accelerator(kind: &str, name: &str, key: &str) -> String {
        format!(
            "optimization {{ execution_accelerators {{ {kind}_execution_accelerator {{ name: \"{name}\"
             parameters {{ key: \"{key}\" value: \"/x\" }} }} }} }}"
        )
    }

    fn found(text: &str) -> Option<String> {
        engine_place(&crate::parse(text, "config").unwrap().config).map(str::to_owned)
    }

    #[test]
    fn what_names_files_libraries_and_addresses_is_found() {
        for key in [
            "session.model_external_initializers_file_folder_path",
            "session.collect_node_memory_stats_to_file",
            "session.optimized_model_filepath",
            "session.enable_profiling",
            "session.moe.offload.source_root",
            "ep.context_file_path",
        ] {
            assert_eq!(found(&parameter(key)).as_deref(), Some(key));
        }
        for (kind, name, key) in [
            ("gpu", "tensorrt", "trt_extra_plugin_lib_paths"),
            ("gpu", "tensorrt", "trt_engine_decryption_lib_path"),
            ("gpu", "tensorrt", "int8_calibration_table_name"),
            ("gpu", "cuda", "gpu_external_alloc"),
            ("cpu", "openvino", "cache_dir"),
            ("cpu", "openvino", "load_config"),
        ] {
            assert_eq!(found(&accelerator(kind, name, key)).as_deref(), Some(key));
        }
    }

    #[test]
    fn other_settings_are_not() {
        for text in [
            parameter("session.intra_op.allow_spinning"),
            parameter("session.set_denormal_as_zero"),
            parameter("optimization.enable_gelu_approximation"),
            // What a Python model calls its own.
            parameter("weights_path"),
            accelerator("gpu", "tensorrt", "precision_mode"),
            accelerator("gpu", "tensorrt", "max_workspace_size_bytes"),
            accelerator("cpu", "openvino", "num_of_threads"),
        ] {
            assert_eq!(found(&text), None, "{text}");
        }
    }
}
