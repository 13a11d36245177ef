use hippocamp_model_config::parse;

use super::*;

fn providers(text: &str) -> Result<Providers> {
    Providers::of("m", &parse(text, "config.pbtxt").unwrap().config)
}

fn gpu(accelerator: &str) -> Result<Providers> {
    providers(&format!(
        "optimization {{ execution_accelerators {{ gpu_execution_accelerator {{ {accelerator} }} }} }}"
    ))
}

fn entries<const N: usize>(pairs: [(&str, &str); N]) -> Entries {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn nothing_is_asked_for_by_default() {
    assert_eq!(providers("").unwrap(), Providers::default());
}

#[test]
fn tensorrt_has_other_names_in_configs() {
    let got = gpu(r#"
        name: "tensorrt"
        parameters { key: "precision_mode" value: "FP16" }
        parameters { key: "max_workspace_size_bytes" value: "1073741824" }
        parameters { key: "int8_use_native_calibration_table" value: "1" }
        parameters { key: "trt_engine_cache_enable" value: "1" }"#);
    let expected = entries([
        ("trt_int8_use_native_calibration_table", "1"),
        ("trt_max_workspace_size", "1073741824"),
        ("trt_fp16_enable", "1"),
        ("trt_engine_cache_enable", "1"),
    ]);
    assert_eq!(got.unwrap().tensorrt, Some(expected));
    let plain = gpu("name: \"tensorrt\" parameters { key: \"precision_mode\" value: \"FP32\" }").unwrap();
    assert_eq!(plain.tensorrt, Some(Entries::new()));
}

#[test]
fn cuda_takes_new_and_old_settings() {
    let got = providers(
        r#"
        parameters { key: "cudnn_conv_algo_search" value { string_value: "1" } }
        parameters { key: "arena_extend_strategy" value { string_value: "0" } }
        parameters { key: "gpu_mem_limit" value { string_value: "4294967200" } }
        parameters { key: "prefer_nhwc" value { string_value: "true" } }
        optimization { execution_accelerators { gpu_execution_accelerator {
            name: "cuda" parameters { key: "use_tf32" value: "0" }
        } } }"#,
    );
    let expected = entries([
        ("cudnn_conv_algo_search", "HEURISTIC"),
        ("arena_extend_strategy", "kNextPowerOfTwo"),
        ("prefer_nhwc", "1"),
        ("gpu_mem_limit", "4294967200"),
        ("use_tf32", "0"),
    ]);
    assert_eq!(got.unwrap().cuda, expected);
}

#[test]
fn wrong_values_are_refused_by_name() {
    let text = |error: Result<Providers>| error.unwrap_err().reason();
    assert_eq!(
        text(gpu("name: \"warp\"")),
        "Invalid argument: unable to load model 'm', unknown Execution Accelerator 'warp' is requested"
    );
    assert_eq!(
        text(gpu("name: \"tensorrt\" parameters { key: \"precision_mode\" value: \"FP8\" }")),
        "Invalid argument: unable to load model 'm', parameter 'precision_mode' of tensorrt was expected to be FP32, \
         FP16, BF16 or INT8, got 'FP8'"
    );
    assert_eq!(
        text(gpu("name: \"tensorrt\" parameters { key: \"precision\" value: \"FP16\" }")),
        "Invalid argument: unable to load model 'm', tensorrt has no parameter 'precision'"
    );
    assert_eq!(
        text(providers("parameters { key: \"cudnn_conv_algo_search\" value { string_value: \"3\" } }")),
        "Invalid argument: unable to load model 'm', parameter 'cudnn_conv_algo_search' was expected to be a number \
         below 3, got '3'"
    );
}

#[test]
fn a_session_has_our_settings_unless_the_config_has_others() {
    let session = CudaSession { stream: 4096, graphs: true, instances: 2 };
    let ours = entries([
        ("arena_extend_strategy", "kSameAsRequested"),
        ("cudnn_conv_use_max_workspace", "0"),
        ("has_user_compute_stream", "1"),
        ("user_compute_stream", "4096"),
        ("enable_cuda_graph", "1"),
    ]);
    assert_eq!(providers("").unwrap().cuda_entries(Some(session)), ours);
    let chosen = r#"
        parameters { key: "cudnn_conv_use_max_workspace" value { string_value: "1" } }
        parameters { key: "arena_extend_strategy" value { string_value: "0" } }
        parameters { key: "use_tf32" value { string_value: "0" } }"#;
    let expected = entries([
        ("enable_cuda_graph", "0"),
        ("arena_extend_strategy", "kNextPowerOfTwo"),
        ("use_tf32", "0"),
        ("cudnn_conv_use_max_workspace", "1"),
    ]);
    let alone = CudaSession { stream: 0, graphs: false, instances: 1 };
    assert_eq!(providers(chosen).unwrap().cuda_entries(Some(alone)), expected);
}

#[test]
fn graphs_are_the_default_and_what_the_server_sets_is_refused() {
    assert!(providers("").unwrap().capture());
    let off = "parameters { key: \"enable_cuda_graph\" value { string_value: \"false\" } }";
    assert!(!providers(off).unwrap().capture());
    assert!(!gpu("name: \"cuda\" parameters { key: \"enable_cuda_graph\" value: \"0\" }").unwrap().capture());
    assert!(!gpu("name: \"tensorrt\"").unwrap().capture(), "TensorRT has graphs of its own");
    let error = gpu("name: \"cuda\" parameters { key: \"device_id\" value: \"1\" }").unwrap_err();
    assert_eq!(
        error.reason(),
        "Invalid argument: unable to load model 'm', parameter 'device_id' of cuda is set by the server; a config names GPUs \
         in its instance_group"
    );
}
