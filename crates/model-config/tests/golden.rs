//! Configs as a real Triton answered them, from the texts that it had read.

use hippocamp_model_config::{
    CompleteOptions, DefaultFacts, ModelConfig, Signature, SignatureTensor, apply_defaults, check, complete,
    from_json, infer_backend, parse, to_json, validate, validate_incomplete,
};
use hippocamp_tensor::DataType;

/// The config of a model as it is served on a machine without GPUs.
fn served(name: &str, written: ModelConfig, signature: Option<&Signature>) -> ModelConfig {
    let mut config = written;
    infer_backend(&mut config, name, &["model.onnx"], &DefaultFacts::default());
    apply_defaults(&mut config, name, &DefaultFacts::default());
    validate_incomplete(&config, None, "config.pbtxt", name).expect("a correct config");
    if let Some(signature) = signature {
        complete(&mut config, signature, &CompleteOptions::default()).expect("a completed config");
        apply_defaults(&mut config, name, &DefaultFacts::default());
        check(&config, signature).expect("config and model file agree");
    }
    validate(&config, None, "config.pbtxt", name).expect("a correct config");
    config
}

fn from_text(name: &str, text: &str) -> ModelConfig {
    served(name, parse(text, "config.pbtxt").expect("a config that Triton reads").config, None)
}

fn tensor(name: &str) -> SignatureTensor {
    SignatureTensor {
        name: name.into(),
        data_type: DataType::Fp32,
        dims: Some(vec![-1, 256]),
        optional: false,
    }
}

fn mlp() -> Signature {
    Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y")] }
}

fn assert_json(config: &ModelConfig, expected: &str) {
    let expected: serde_json::Value = serde_json::from_str(expected).expect("recorded JSON");
    let ours: serde_json::Value = serde_json::from_str(&to_json(config)).expect("our JSON");
    assert_eq!(ours, expected);
}

macro_rules! http_answers {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let text = include_str!(concat!("golden/", stringify!($name), ".pbtxt"));
            let config = from_text(stringify!($name), text);
            assert_json(&config, include_str!(concat!("golden/", stringify!($name), ".json")));
        }
    )*};
}

http_answers!(simple identity_fp32 identity_batch cls seq optional repeat_py);

#[test]
fn simple_v2_over_grpc() {
    let config = from_text("simple_v2", include_str!("golden/simple_v2.pbtxt"));
    assert_eq!(config, from_json(include_str!("golden/grpc_simple_v2.json")).unwrap());
}

#[test]
fn identity_bytes_over_grpc() {
    let config = from_text("identity_bytes", include_str!("golden/identity_bytes.pbtxt"));
    assert_eq!(config, from_json(include_str!("golden/grpc_identity_bytes.json")).unwrap());
}

#[test]
fn repeat_py_over_grpc() {
    let config = from_text("repeat_py", include_str!("golden/repeat_py.pbtxt"));
    assert_eq!(config, from_json(include_str!("golden/grpc_repeat_py.json")).unwrap());
}

#[test]
fn a_model_without_config() {
    let config = served("mlp_auto", ModelConfig::default(), Some(&mlp()));
    assert_json(&config, include_str!("golden/mlp_auto.json"));
    assert_eq!(config, from_json(include_str!("golden/grpc_mlp_auto.json")).unwrap());
}

#[test]
fn a_model_whose_config_came_with_the_request() {
    let written = from_json(r#"{"backend": "onnxruntime", "max_batch_size": 16}"#).unwrap();
    let config = served("mlp_auto", written, Some(&mlp()));
    assert_json(&config, include_str!("golden/mlp_auto_override.json"));
}

/// Not recorded, but put together by the same rules: no instances, no optimization, and no field that Triton 2.51 lacks.
#[test]
fn an_ensemble() {
    let text = r#"
        platform: "ensemble" max_batch_size: 8
        input { name: "A" data_type: TYPE_INT32 dims: [ 16 ] }
        output { name: "B" data_type: TYPE_INT32 dims: [ 16 ] }
        ensemble_scheduling { step {
            model_name: "simple" model_version: -1
            input_map { key: "INPUT0" value: "A" }
            output_map { key: "OUTPUT0" value: "B" }
        } }"#;
    let answer: serde_json::Value = serde_json::from_str(&to_json(&from_text("ens", text))).unwrap();
    let scheduling = serde_json::json!({"step": [{
        "model_name": "simple", "model_version": -1, "model_namespace": "",
        "input_map": {"INPUT0": "A"}, "output_map": {"OUTPUT0": "B"},
    }]});
    assert_eq!(answer["ensemble_scheduling"], scheduling);
    assert_eq!(answer["instance_group"], serde_json::json!([]));
    assert_eq!((answer["name"].as_str(), answer["backend"].as_str()), (Some("ens"), Some("")));
    assert_eq!(answer.get("optimization"), None);
    let limited = text.replace("ensemble_scheduling {", "ensemble_scheduling { max_inflight_requests: 3");
    assert!(to_json(&from_text("ens", &limited)).contains(r#""max_inflight_requests":3"#));
}

#[test]
fn an_answer_can_be_sent_back_as_an_override() {
    let config = from_text("simple", include_str!("golden/simple.pbtxt"));
    assert_eq!(from_json(&to_json(&config)).unwrap(), config);
}
