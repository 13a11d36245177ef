use hippocamp_proto::inference::{DataType, model_config::SchedulingChoice, model_instance_group::Kind};

use super::{from_json, to_json};
use crate::{ModelConfig, parse};

fn faults(text: &str) -> Vec<String> {
    from_json(text).expect_err("a faulty text").to_string().lines().map(str::to_owned).collect()
}

#[test]
fn reads_both_spellings_and_both_kinds_of_numbers() {
    let config = from_json(
        r#"{
            "name": "m", "maxBatchSize": "8", "max_batch_size": null,
            "input": [{"name": "x", "dataType": "TYPE_FP32", "dims": ["3", -1, 4.0]}],
            "output": [{"name": "y", "data_type": "type_int8", "dims": [1], "labelFilename": "l.txt"}],
            "instanceGroup": [{"kind": 2, "gpus": []}],
            "dynamic_batching": {"priority_queue_policy": {"7": {"max_queue_size": 1e2}}},
            "parameters": {"threads": {"string_value": "4"}},
            "model_metrics": {"metric_control": [{"histogram_options": {"buckets": [1, "2.5", "Infinity"]}}]}
        }"#,
    )
    .unwrap();
    assert_eq!((config.name.as_str(), config.max_batch_size), ("m", 8));
    assert_eq!(config.input[0].dims, [3, -1, 4]);
    assert_eq!(config.output[0].data_type(), DataType::TypeInt8);
    assert_eq!(config.output[0].label_filename, "l.txt");
    assert_eq!(config.instance_group[0].kind(), Kind::Cpu);
    let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice else {
        panic!("dynamic")
    };
    assert_eq!(batching.priority_queue_policy[&7].max_queue_size, 100);
    assert_eq!(crate::parameter(&config, "threads"), Some("4"));
    assert_eq!(crate::parameter(&config, "other"), None);
    assert!(format!("{config:?}").contains("[1.0, 2.5, inf]"));
    assert_eq!(from_json("{}").unwrap(), ModelConfig::default());
}

#[test]
fn reports_all_faults_with_their_paths() {
    let text = r#"{"backend": 3, "bogus": 1, "max_batch_size": 1.5, "name": "a",
        "input": [{"name": "x"}, {"dims": [1, "z"], "data_type": "TYPE_FOO", "optional": "yes"}],
        "output": {}, "parameters": {"a": 4}, "instance_group": [{"kind": 9, "count": 4294967296}],
        "version_policy": {"specific": {"versions": [9223372036854775808, null]}}, "cc_model_filenames": [],
        "optimization": []}"#;
    let mut found = faults(text);
    found.sort();
    assert_eq!(
        found,
        [
            "config: backend: Expected string, got: 3",
            "config: bogus: Message type \"inference.ModelConfig\" has no field named \"bogus\".",
            "config: cc_model_filenames: Expected an object, got: an array",
            "config: input[1].data_type: Unknown enumeration value of \"TYPE_FOO\" for field \"data_type\".",
            "config: input[1].dims[1]: Expected integer, got: \"z\"",
            "config: input[1].optional: Invalid value for boolean field \"optional\". Value: \"yes\".",
            "config: instance_group[0].count: Integer out of range (4294967296)",
            "config: instance_group[0].kind: Unknown enumeration value of 9 for field \"kind\".",
            "config: max_batch_size: Expected integer, got: 1.5",
            "config: optimization: Expected an object, got: an array",
            "config: output: Expected an array, got: an object",
            "config: parameters[\"a\"]: Expected an object, got: 4",
            "config: version_policy.specific.versions[0]: Integer out of range (9223372036854775808)",
            "config: version_policy.specific.versions[1]: Expected integer, got: null",
        ]
    );
}

#[test]
fn broken_json_has_a_place() {
    assert_eq!(faults("{bad"), ["config:1:2: key must be a string at line 1 column 2"]);
    assert_eq!(faults("[]"), ["config: Expected an object, got: an array"]);
    assert!(faults(&"[".repeat(100_000))[0].contains("recursion limit"));
}

#[test]
fn one_field_in_both_spellings_is_a_fault() {
    assert_eq!(
        faults(r#"{"maxBatchSize": 8, "max_batch_size": 8}"#),
        ["config: max_batch_size: Non-repeated field \"max_batch_size\" is specified multiple times."]
    );
    assert_eq!(
        faults(r#"{"dynamic_batching": {}, "sequence_batching": {}}"#),
        [
            "config: sequence_batching: Field \"sequence_batching\" is specified along with field \"dynamic_batching\", \
          another member of oneof \"scheduling_choice\"."
        ]
    );
}

#[test]
fn prints_defaults_but_no_absent_messages() {
    let text = to_json(&ModelConfig { name: "m".into(), ..Default::default() });
    assert_eq!(
        text,
        concat!(
            r#"{"name":"m","platform":"","backend":"","runtime":"","max_batch_size":0,"input":[],"output":[],"#,
            r#""batch_input":[],"batch_output":[],"instance_group":[],"default_model_filename":"","#,
            r#""cc_model_filenames":{},"metric_tags":{},"parameters":{},"model_warmup":[]}"#
        )
    );
}

#[test]
fn prints_values_as_triton_does() {
    let config = parse(
        r#"metric_tags { key: "b" value: "\"\n" } metric_tags { key: "a" value: "1" }
           dynamic_batching { max_queue_delay_microseconds: 18446744073709551615
               priority_queue_policy { key: 2 value { timeout_action: DELAY } } }
           model_warmup { inputs { key: "x" value { data_type: TYPE_BF16 dims: [ 2, 9223372036854775807 ] zero_data: false } } }
           model_metrics { metric_control { histogram_options { buckets: [ 0.1, 1, inf, -inf, nan ] } } }
           model_transaction_policy { }"#,
        "c",
    )
    .unwrap()
    .config;
    let text = to_json(&config);
    for part in [
        r#""metric_tags":{"a":"1","b":"\"\n"}"#,
        r#""max_queue_delay_microseconds":18446744073709551615"#,
        r#""priority_queue_policy":{"2":{"timeout_action":"DELAY","default_timeout_microseconds":0,"#,
        r#""inputs":{"x":{"data_type":"TYPE_BF16","dims":[2,9223372036854775807],"zero_data":false}}"#,
        r#""buckets":[0.1,1.0,"Infinity","-Infinity","NaN"]"#,
        r#""model_transaction_policy":{"decoupled":false}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let slots = parse("sequence_batching { direct { minimum_slot_utilization: 0.1 } }", "c").unwrap().config;
    assert!(to_json(&slots).contains(r#""minimum_slot_utilization":0.1}"#));
}
