use super::{validate, validate_incomplete, validate_placement};
use crate::{DefaultFacts, Parsed, apply_defaults, parse};

fn read(text: &str) -> Parsed {
    parse(text, "c").unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of a config of model `m` as they are printed, without the origin.
fn faults(text: &str) -> Vec<String> {
    let Parsed { config, spans } = read(text);
    lines(validate(&config, Some(&spans), "c", "m"))
}

fn lines(result: Result<(), crate::Faults>) -> Vec<String> {
    let Err(faults) = result else { return Vec::new() };
    faults.to_string().lines().map(|line| line.strip_prefix("c:").unwrap_or(line).to_owned()).collect()
}

/// Those of a model that is in order but for the given lines.
fn faults_of(text: &str) -> Vec<String> {
    let model = "backend: \"identity\" max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [ 2, -1 ] } \
                 output { name: \"y\" data_type: TYPE_FP32 dims: [ 2 ] }\n";
    faults(&format!("{model}{text}"))
}

#[test]
fn sequences_take_no_batch_strategy() {
    let text = "parameters { key: \"TRITON_BATCH_STRATEGY_PATH\" value { string_value: \"lib.so\" } }";
    let found = faults_of(&format!("{text} sequence_batching {{ }}"));
    let told = "TRITON_BATCH_STRATEGY_PATH cannot be specified with sequence batcher, using default batching strategy";
    assert!(found.iter().any(|fault| fault.contains(told)), "{found:?}");
    assert_eq!(faults_of(&format!("{text} dynamic_batching {{ }}")), [""; 0]);
}

#[test]
fn a_plain_config_is_fine() {
    assert_eq!(faults_of("name: \"m\""), [""; 0]);
    assert_eq!(faults_of("instance_group { } version_policy { latest { } } dynamic_batching { }"), [""; 0]);
}

#[test]
fn all_faults_are_found_at_once() {
    let text = "name: \"other\"\nbackend: \"identity\"\nmax_batch_size: -1\ninput [\n  { data_type: TYPE_FP32 },\n  \
                { name: \"a\" dims: [ 3, 0 ] }\n]\noutput { name: \"b\" data_type: TYPE_FP32 }\n";
    assert_eq!(
        faults(text),
        [
            "1:7: unexpected directory name 'm' for model 'other', directory name must equal model name",
            "3:17: 'max_batch_size' must be non-negative value for m",
            "5:3: model input must specify 'name' for m",
            "6:3: model input 'a' must specify 'data_type' for m",
            "6:26: model input 'a' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m",
            "8:1: model output 'b' must specify 'dims' for m",
        ]
    );
}

#[test]
fn without_spans_the_path_is_named() {
    let config = read("backend: \"identity\" max_batch_size: -1").config;
    assert_eq!(
        lines(validate(&config, None, "c", "m")),
        [" max_batch_size: 'max_batch_size' must be non-negative value for m"]
    );
}

#[test]
fn a_config_may_wait_for_its_model_file() {
    let text = "backend: \"onnxruntime\" input { name: \"x\" } dynamic_batching { preferred_batch_size: 4 } \
                batch_output { target_name: \"y\" source_input: \"x\" }";
    let Parsed { config, spans } = read(text);
    assert_eq!(lines(validate_incomplete(&config, Some(&spans), "c", "m")), [""; 0]);
    assert_eq!(faults(text).len(), 4, "{:?}", faults(text));

    let text =
        "backend: \"onnxruntime\" max_batch_size: -3 input { name: \"x\" dims: 0 data_type: TYPE_FP32 }";
    let Parsed { config, spans } = read(text);
    assert_eq!(lines(validate_incomplete(&config, Some(&spans), "c", "m")).len(), 2);
}

#[test]
fn backend_and_platform_have_to_fit() {
    let names = |text: &str| faults(text);
    assert_eq!(names("platform: \"onnxruntime_onnx\""), [""; 0]);
    assert_eq!(names("backend: \"mine\" platform: \"whatever\""), [""; 0]);
    assert_eq!(
        names("platform: \"caffe2_netdef\""),
        ["1:11: unexpected platform type 'caffe2_netdef' for m"]
    );
    assert!(names("name: \"m\"")[0].ends_with(
        "Invalid model name: Could not determine backend for model 'm' with no backend in model configuration. \
         Expected model name of the form 'model.<backend_name>'."
    ));
    assert_eq!(
        names("backend: \"onnxruntime\" platform: \"tensorrt_plan\""),
        ["1:34: unexpected 'platform' and 'backend' pair, got:tensorrt_plan, onnxruntime"]
    );
}

#[test]
fn version_policies_name_versions() {
    assert_eq!(faults_of("version_policy { all { } }"), [""; 0]);
    assert_eq!(
        faults_of("version_policy { specific { versions: [ 1, 0 ] } }"),
        ["2:44: version policy 'specific' expects versions >= 1, got 0 for m"]
    );
    assert_eq!(
        faults_of("version_policy { specific { } }"),
        ["2:18: version policy 'specific' must list at least one version for m"]
    );
}

#[test]
fn files_stay_in_the_model_directory() {
    assert_eq!(faults_of("default_model_filename: \"../common.onnx\""), [""; 0]);
    assert_eq!(
        faults_of("default_model_filename: \"../../other/1/model.onnx\""),
        ["2:25: file '../../other/1/model.onnx' must be inside of the model directory for m"]
    );
    assert_eq!(
        faults_of(
            "cc_model_filenames { key: \"8.6\" value: \"/etc/passwd\" }\ncc_model_filenames { key: \"new\" value: \"\" }"
        ),
        ["2:40: file '/etc/passwd' must be inside of the model directory for m"]
    );
    assert_eq!(
        faults_of("cc_model_filenames: {} optimization { graph { level: 3 } }"),
        [""; 0],
        "as in Triton"
    );
}

#[test]
fn the_library_of_a_backend_is_its_own() {
    let of = |runtime: &str| faults_of(&format!("runtime: \"{runtime}\""));
    assert_eq!(of("libtriton_identity.so"), [""; 0]);
    for (runtime, part) in [
        ("libtriton_other.so", "unable to find backend library 'libtriton_other.so' for model 'm'"),
        ("../identity/libtriton_identity.so", "escapes backend directory"),
        ("/lib/libtriton_identity.so", "escapes backend directory"),
    ] {
        assert!(of(runtime)[0].contains(part), "{runtime}: {:?}", of(runtime));
    }
    let ensemble = faults("platform: \"ensemble\" runtime: \"libtriton_.so\"\nensemble_scheduling { }");
    assert!(
        ensemble.contains(&"1:31: runtime should not be specified for ensemble 'm'".to_owned()),
        "{ensemble:?}"
    );
    let nothing = faults("runtime: \"libtriton_identity.so\"");
    assert!(!nothing.iter().any(|fault| fault.contains("backend library")), "{nothing:?}");
}

#[test]
fn tensors_are_described_fully_and_once() {
    assert_eq!(
        faults_of(
            "input { name: \"x\" data_type: TYPE_FP32 dims: 1 format: FORMAT_NHWC is_shape_tensor: true }"
        ),
        [
            "2:15: model input 'x' is specified more than once for m",
            "2:85: shape tensors are only supported for TensorRT platform for m",
            "2:56: model input NHWC/NCHW require 3 dims for m",
        ]
    );
    assert_eq!(
        faults_of("output { name: \"z\" data_type: TYPE_FP32 dims: [ 2, 3 ] reshape { shape: [ 5 ] } }"),
        ["2:56: model output 'z' has different size for dims and reshape for m"]
    );
    assert_eq!(
        faults_of("output { name: \"z\" data_type: TYPE_FP32 dims: 1 is_non_linear_format_io: true }"),
        ["2:74: Non-linear IO format is only supported for the TensorRT platform for m"]
    );
}

#[test]
fn batch_tensors_need_their_sources() {
    let text = "batch_input { kind: BATCH_ELEMENT_COUNT target_name: \"n\" data_type: TYPE_INT64 }\n\
                batch_input { target_name: \"n\" data_type: TYPE_INT32 source_input: \"q\" }\n\
                batch_output { target_name: [ \"y\", \"y\", \"q\" ] source_input: \"x\" }\n\
                batch_output { target_name: [ \"y\" ] }";
    assert_eq!(
        faults_of(text),
        [
            "2:1: batch input kind 'BATCH_ELEMENT_COUNT' expects 1 source input, got 0 for m",
            "2:69: batch input data type must be TYPE_INT32 or TYPE_FP32 for m",
            "3:68: unknown source input name 'q' for m",
            "4:36: target output name 'y' can only be specified once for m",
            "4:41: unknown target output name 'q' for m",
            "5:1: batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 0 for m",
        ]
    );
}

#[test]
fn batch_sizes_and_priorities_have_their_ranges() {
    assert_eq!(
        faults_of("dynamic_batching { preferred_batch_size: [ 8, 0, 9 ] }"),
        [
            "2:47: dynamic batching preferred size must be positive for m",
            "2:50: dynamic batching preferred size must be <= max batch size for m",
        ]
    );
    assert_eq!(
        faults_of("dynamic_batching { priority_levels: 2 priority_queue_policy { key: 3 value { } } }"),
        [
            "2:1: default priority level must be in range [1, 2] for m",
            "2:39: priority queue policy must have priority level in range [1, 2] for m",
        ]
    );
    let delay = "{ timeout_action: DELAY default_timeout_microseconds: 1 }";
    assert_eq!(
        faults_of(&format!(
            "dynamic_batching {{ preserve_ordering: true priority_levels: 2 default_priority_level: 1\n\
             default_queue_policy {delay}\npriority_queue_policy {{ key: 1 value {delay} }} }}"
        )),
        [
            "2:61: Only one priority level is allowed when 'preserve_ordering' is true for m",
            "3:40: Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
            "4:56: Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ]
    );
    assert_eq!(faults_of("dynamic_batching { priority_levels: 2 default_priority_level: 2 }"), [""; 0]);
}

#[test]
fn the_response_cache_has_its_limits() {
    assert_eq!(faults_of("response_cache { enable: true } dynamic_batching { }"), [""; 0]);
    assert_eq!(
        faults_of(
            "response_cache { enable: true } sequence_batching { } model_transaction_policy { decoupled: true }"
        ),
        [
            "2:26: Response Cache does not currently support model m with sequence batching scheduler. Please disable \
             the response cache.",
            "2:26: Response Cache does not currently support model m with 'decoupled' transaction policy. Please \
             disable the response cache.",
        ]
    );
}

#[test]
fn controls_are_written_in_one_way() {
    let control = |fields: &str| {
        faults_of(&format!("sequence_batching {{ control_input {{ name: \"c\" control {{ {fields} }} }} }}"))
    };
    assert_eq!(control("int32_false_true: [ 0, 1 ]"), [""; 0]);
    assert_eq!(control("kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING"), [""; 0]);
    let start = "for CONTROL_SEQUENCE_START for m";
    assert_eq!(
        control(""),
        [format!(
            "2:47: sequence batching must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' {start}"
        )]
    );
    assert_eq!(
        control("fp32_false_true: [ 0 ]"),
        [format!("2:74: sequence batching control 'fp32_false_true' must have exactly 2 entries {start}")]
    );
    assert_eq!(
        control("fp32_false_true: [ 0, 1 ] bool_false_true: [ false, true ]"),
        [format!(
            "2:47: sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and \
         'bool_false_true' {start}"
        )]
    );
    assert_eq!(
        control("kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32 int32_false_true: [ 0, 1 ]"),
        [
            "2:47: sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or \
         'bool_false_true' for CONTROL_SEQUENCE_CORRID for m",
            "2:98: unexpected data type for control CONTROL_SEQUENCE_CORRID for m. Allowed data types are TYPE_UINT64, \
         TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING",
        ]
    );
    let twice = "control_input { name: \"c\" control { int32_false_true: [ 0, 1 ] } }";
    assert_eq!(
        faults_of(&format!("sequence_batching {{ {twice} {twice} control_input {{ }} }}")),
        [
            "2:88: sequence batching control tensor 'c' is specified for multiple control kinds for m",
            "2:114: sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for m",
            "2:155: sequence batching control tensor must have a name for m",
        ]
    );
}

#[test]
fn sequence_strategies_have_their_ranges() {
    assert_eq!(faults_of("sequence_batching { oldest { max_candidate_sequences: 4 } }"), [""; 0]);
    assert_eq!(faults_of("sequence_batching { oldest { } }"), [""; 0]);
    assert_eq!(
        faults_of("sequence_batching { oldest { preferred_batch_size: 16 max_candidate_sequences: -1 } }"),
        [
            "2:52: sequence batching preferred batch size must be <= max batch size for m",
            "2:80: sequence batching 'max_candidate_sequences' must not be negative, got -1 for m",
        ]
    );
    for outside in ["1.1", "-0.1", "nan"] {
        assert_eq!(
            faults_of(&format!("sequence_batching {{ direct {{ minimum_slot_utilization: {outside} }} }}")),
            ["2:56: sequence batching minimum slot utilization must be in range (0.0, 1.0] for m"]
        );
    }
}

#[test]
fn states_and_their_first_values_fit() {
    let state = |initial: &str| {
        faults_of(&format!(
            "sequence_batching {{ state {{ input_name: \"i\" output_name: \"o\" data_type: TYPE_FP32 dims: [ 2, -1 ]\n\
             {initial} }} }}"
        ))
    };
    let fine = "initial_state { name: \"s\" data_type: TYPE_FP32 dims: [ 2, 3 ] zero_data: true }";
    assert_eq!(state(fine), [""; 0]);
    assert_eq!(state(""), [""; 0]);
    assert_eq!(
        state(&format!("{fine}{fine}")),
        [
            "3:1: initial_state field for state input 'i' must contain exactly one or zero element. Found '2' elements."
        ]
    );
    assert_eq!(
        state("initial_state { data_type: TYPE_INT32 dims: [ 3, -1 ] }"),
        [
            "3:28: The data type used for 'initial_state' field of state 'i' does not match the state data type.",
            "3:1: Field 'name' must be set when using initial_state for state input 'i'.",
            "3:47: 'initial_state' dim for input name 'i' doesn't match 'state' dim description. 3 != 2",
            "3:50: 'initial_state' field for state input name 'i' contains variable dimensions.",
            "3:1: initial_state setting expects state'i' to have state_data set",
        ]
    );
    assert_eq!(
        state("initial_state { name: \"s\" data_type: TYPE_FP32 dims: [ 2 ] data_file: \"../../x\" }"),
        [
            "3:54: Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input \
             'i'. 1 != 2",
            "3:71: file '../../x' must be inside of the model directory for m",
        ]
    );
    let bare = faults_of("sequence_batching { state { input_name: \"i\" dims: 0 } }");
    assert_eq!(bare.len(), 3, "{bare:?}");
}

fn ensemble(input: &str, output: &str, steps: &str) -> Vec<String> {
    faults(&format!(
        "platform: \"ensemble\"\ninput {{ name: \"{input}\" data_type: TYPE_FP32 dims: 1 }}\n\
         output {{ name: \"{output}\" data_type: TYPE_FP32 dims: 1 }}\nensemble_scheduling {{\n{steps} }}"
    ))
}

fn step(inputs: &[&str], outputs: &[&str]) -> String {
    let maps = |field: &str, names: &[&str]| {
        let entry = |(i, name)| format!("{field} {{ key: \"{i}\" value: \"{name}\" }} ");
        names.iter().enumerate().map(entry).collect::<Vec<_>>().concat()
    };
    let (inputs, outputs) = (maps("input_map", inputs), maps("output_map", outputs));
    format!("step {{ model_name: \"n\" {inputs}{outputs}}}\n")
}

#[test]
fn ensembles_are_connected() {
    let chain = step(&["A"], &["T"]) + &step(&["T", "A", "T"], &["B"]);
    assert_eq!(ensemble("A", "B", &chain), [""; 0]);
    assert_eq!(ensemble("A", "T", &step(&["A"], &["T"])), [""; 0]);
    assert_eq!(
        ensemble("C", "B", &chain),
        [
            "2:1: ensemble input 'C' for ensemble m' is not used",
            "3:1: output 'B' for ensemble 'm' is not written: at least one of its depending tensors, 'A', is not connected",
        ]
    );
    assert_eq!(
        ensemble("A", "C", &chain),
        [
            "3:1: ensemble output 'C' for ensemble m' is not used",
            "6:1: ensemble tensor 'B' is unused in ensemble 'm'",
        ]
    );
    assert_eq!(
        ensemble("A", "B", &(chain.clone() + &step(&["A"], &["T"]))),
        ["7:58: ensemble tensor 'T' can appear in an output map only once for ensemble 'm' step 2"]
    );
    assert_eq!(
        ensemble("A", "B", &(chain + &step(&["A", "Z"], &["Y"]))),
        [
            "7:1: ensemble tensor 'Y' is unused in ensemble 'm'",
            "4:1: ensemble tensor 'Z' is unused in ensemble 'm'",
        ]
    );
    let circle = step(&["A", "U"], &["T"]) + &step(&["T"], &["U", "B"]);
    assert_eq!(ensemble("A", "B", &circle).len(), 1);
}

#[test]
fn ensembles_have_steps_and_nothing_else() {
    assert_eq!(ensemble("A", "B", ""), ["4:1: must specify 'step' for ensemble 'm'"]);
    assert_eq!(
        ensemble("A", "B", "step { model_version: -2 }")[..4],
        [
            "5:1: must specify 'model_name' in step 0 of ensemble 'm'",
            "5:1: must specify 'input_map' in step 0 of ensemble 'm'",
            "5:1: must specify 'output_map' in step 0 of ensemble 'm'",
            "5:23: model version in step 0 of ensemble 'm' must be -1 or >= 1, got -2",
        ]
    );
    assert_eq!(
        faults(
            "platform: \"ensemble\" backend: \"python\"\ninstance_group { }\noptimization { }\nmodel_warmup { }\n\
             ensemble_scheduling { }"
        ),
        [
            "1:31: Ensemble model 'm' must have platform type 'ensemble' and empty backend type",
            "2:1: instance group should not be specified for ensemble 'm'",
            "3:1: optimization should not be specified for ensemble 'm'",
            "4:1: model_warmup can not be specified for ensemble 'm'",
            "5:1: must specify 'step' for ensemble 'm'",
        ]
    );
    assert_eq!(
        faults("platform: \"ensemble\""),
        ["1:11: ensemble scheduling must be set for ensemble m whose platform is ensemble"]
    );
    assert_eq!(
        faults("backend: \"python\" ensemble_scheduling { }")[0],
        "1:19: ensemble scheduling cannot be set for model 'm' whose platform is not ensemble"
    );
}

#[test]
fn instance_groups_are_sensible() {
    assert_eq!(faults_of("instance_group { kind: KIND_GPU } instance_group { gpus: 0 }"), [""; 0]);
    assert_eq!(
        faults_of(
            "instance_group { kind: KIND_CPU gpus: [ 0 ] }\ninstance_group { name: \"g\" kind: KIND_MODEL gpus: 0 }\n\
             instance_group { count: 5000 profile: \"x\" }\n\
             instance_group { rate_limiter { resources [ { name: \"R\" global: true }, { name: \"R\" } ] } }"
        ),
        [
            "2:39: instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs",
            "3:51: instance group g of model m has kind KIND_MODEL but specifies one or more GPUs",
            "4:25: instance group m_2 of model m has count 5000, expected at most 4096",
            "4:39: instance group m_2 of model m and platform specifies profile field which is only supported for \
             TensorRT models",
            "5:73: Resource \"R\" is present as both global and device-specific resource in the model configuration.",
        ]
    );
}

#[test]
fn instance_groups_fit_the_machine() {
    let placed = |text: &str, gpus: &[i32], backend_supports_gpu: bool| {
        let Parsed { mut config, spans } = read(text);
        let backend = if backend_supports_gpu { config.backend.as_str() } else { "another" };
        let facts = DefaultFacts::with_gpus(backend, gpus);
        apply_defaults(&mut config, "m", &facts);
        lines(validate_placement(&config, Some(&spans), "c", &facts))
    };
    assert_eq!(placed("", &[], false), [""; 0]);
    assert_eq!(placed("instance_group { kind: KIND_GPU }", &[0, 1], true), [""; 0]);
    assert_eq!(
        placed("instance_group { kind: KIND_GPU }", &[], true),
        ["1:24: instance group m_0 of model m has kind KIND_GPU but no GPUs are available"]
    );
    assert_eq!(
        placed("instance_group { kind: KIND_GPU }", &[0], false),
        ["1:24: instance group m_0 of model m has kind KIND_GPU but server does not support GPUs"]
    );
    assert_eq!(
        placed("instance_group { kind: KIND_GPU gpus: [ 1, 7 ] }", &[0, 1], true),
        [
            "1:44: instance group m_0 of model m specifies invalid or unsupported gpu id 7. Supported GPUs are: 0, 1"
        ]
    );
}

#[test]
fn warmup_samples_can_be_made() {
    let sample = |inputs: &str| faults_of(&format!("model_warmup {{ name: \"w\" batch_size: 1 {inputs} }}"));
    let input =
        |name: &str, fields: &str| sample(&format!("inputs {{ key: \"{name}\" value {{ {fields} }} }}"));
    assert_eq!(input("x", "data_type: TYPE_FP32 dims: [ 2, 5 ] zero_data: true"), [""; 0]);
    assert_eq!(
        input("x", "data_type: TYPE_FP32 dims: [ 2, -1 ]"),
        [
            "2:93: warmup setting expects all variable-size dimensions are specified for input 'x' for m",
            "2:40: warmup setting expects input 'x' to have input_data_type set for m",
        ]
    );
    assert_eq!(
        input("q", "dims: 9223372036854775807 input_data_file: \"/a\""),
        [
            "2:40: warmup setting has unknown input 'q' for m",
            "2:40: warmup setting must specify 'data_type' for input 'q' for m",
        ]
    );
    assert_eq!(
        input("x", "data_type: TYPE_STRING dims: 9223372036854775807 input_data_file: \"/a\""),
        [
            "2:95: warmup setting for input 'x' has more elements than can be counted for m",
            "2:132: file '/a' must be inside of the model directory for m",
        ]
    );
    assert_eq!(
        faults_of("model_warmup { name: \"w\" batch_size: 9 }"),
        ["2:38: warmup sample 'w' has batch size 9, must be <= max batch size 8 for m"]
    );
}

#[test]
fn metrics_and_agents_are_named() {
    assert_eq!(
        faults_of(
            "model_metrics { metric_control { metric_identifier { family: \"f\" } histogram_options { buckets: [ 1, 2 ] } } }"
        ),
        [""; 0]
    );
    assert_eq!(
        faults_of(
            "model_metrics { metric_control { } metric_control { metric_identifier { } histogram_options { } }\n\
             metric_control { metric_identifier { family: \"f\" } histogram_options { buckets: [ 2, 2 ] } } }\n\
             model_repository_agents { agents { } }"
        ),
        [
            "2:17: metric control must specify 'metric_identifier'",
            "2:17: metric control must specify 'histogram_options'",
            "2:53: metric identifier must specify non-empty 'family'",
            "2:75: histogram options must specify non-empty 'buckets'",
            "3:52: histogram options expect 'buckets' in ascending order for m",
            "4:27: model repository agent must specify 'name' for m",
        ]
    );
}
