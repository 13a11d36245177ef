//! Settings of engines that name files, libraries or addresses: whoever may write such a setting has the server read, write or
//! execute what is none of the model's.

use hippocamp_interface::ModelConfig;

/// How the parameters begin that an engine takes as they are.
const OF_ENGINES: [&str; 4] = ["session.", "optimization.", "ep.", "mlas."];

/// The settings that name nothing: numbers, switches, and words that the engine knows. The list is closed, as engines get new
/// settings with each version, and those of a TensorRT cache or dump name no file and write one all the same.
const HARMLESS: &[&str] = &[
    // Of CUDA.
    "arena_extend_strategy",
    "cudnn_conv1d_pad_to_nc1d",
    "cudnn_conv_algo_search",
    "cudnn_conv_use_max_workspace",
    "do_copy_in_default_stream",
    "enable_cuda_graph",
    "enable_skip_layer_norm_strict_mode",
    "fuse_conv_bias",
    "gpu_mem_limit",
    "prefer_nhwc",
    "use_ep_level_unified_stream",
    "use_tf32",
    // Of TensorRT, of ONNX Runtime and of TensorFlow.
    "max_cached_engines",
    "max_workspace_size_bytes",
    "minimum_segment_size",
    "precision_mode",
    "trt_auxiliary_streams",
    "trt_bf16_enable",
    "trt_build_heuristics_enable",
    "trt_builder_optimization_level",
    "trt_context_memory_sharing_enable",
    "trt_cuda_graph_enable",
    "trt_dla_core",
    "trt_dla_enable",
    "trt_force_sequential_engine_build",
    "trt_fp16_enable",
    "trt_int8_enable",
    "trt_layer_norm_fp32_fallback",
    "trt_max_partition_iterations",
    "trt_max_workspace_size",
    "trt_min_subgraph_size",
    "trt_profile_max_shapes",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_sparsity_enable",
    // Of OpenVINO.
    "disable_dynamic_shapes",
    "enable_opencl_throttling",
    "model_priority",
    "num_of_threads",
    "num_streams",
    "precision",
    // Of a session of ONNX Runtime.
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "optimization.disable_specified_optimizers",
    "optimization.enable_cast_chain_elimination",
    "optimization.enable_gelu_approximation",
    "session.allow_released_opsets_only",
    "session.disable_aot_function_inlining",
    "session.disable_cpu_ep_fallback",
    "session.disable_double_qdq_remover",
    "session.disable_prepacking",
    "session.disable_quant_qdq",
    "session.dynamic_block_base",
    "session.enable_quant_qdq_cleanup",
    "session.force_spinning_stop",
    "session.inter_op.allow_spinning",
    "session.intra_op.allow_spinning",
    "session.qdqisint8allowed",
    "session.set_denormal_as_zero",
    "session.strict_shape_type_inference",
    "session.use_device_allocator_for_initializers",
    "session.use_env_allocators",
    "session.x64quantprecision",
];

/// The name of a setting of an engine that may have to do with a file, a library or an address in this process: one among the
/// parameters that an engine takes as they are, or among those of accelerators, which is not known to have nothing to do with
/// any. `None` if there is none.
pub fn engine_place(config: &ModelConfig) -> Option<&str> {
    let of_engines =
        config.parameters.keys().filter(|key| OF_ENGINES.iter().any(|start| key.starts_with(start)));
    let accelerators =
        config.optimization.iter().flat_map(|optimization| &optimization.execution_accelerators);
    let accelerators = accelerators
        .flat_map(|all| all.gpu_execution_accelerator.iter().chain(&all.cpu_execution_accelerator));
    let mut settings = of_engines.chain(accelerators.flat_map(|accelerator| accelerator.parameters.keys()));
    settings.find(|key| !HARMLESS.contains(&key.as_str())).map(String::as_str)
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
            // These name nothing themselves, and have files written or executed.
            ("gpu", "tensorrt", "trt_engine_cache_prefix"),
            ("gpu", "tensorrt", "trt_engine_cache_enable"),
            ("gpu", "tensorrt", "trt_timing_cache_enable"),
            ("gpu", "tensorrt", "trt_dump_subgraphs"),
            ("gpu", "tensorrt", "what_a_later_version_has"),
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
