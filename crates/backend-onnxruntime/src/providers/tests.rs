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
        optimization { execution_accelerators { gpu_execution_accelerator {
            name: "cuda" parameters { key: "use_tf32" value: "0" }
        } } }"#,
    );
    let expected = entries([
        ("cudnn_conv_algo_search", "HEURISTIC"),
        ("arena_extend_strategy", "kNextPowerOfTwo"),
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
