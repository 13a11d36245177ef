mod batching;
mod ensembles;
mod files;
mod instances;
mod sequences;
mod tensors;

use super::{validate, validate_incomplete, validate_placement};
use crate::{BackendFacts, DefaultFacts, GpuSupport, Parsed, apply_defaults, parse};

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
