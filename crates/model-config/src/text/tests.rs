use hippocamp_proto::inference::{
    DataType, ModelDynamicBatching, ModelInput, ModelParameter, model_config::SchedulingChoice,
    model_instance_group::Kind, model_version_policy::PolicyChoice,
};

use super::{MAX_TEXT, parse};
use crate::{ModelConfig, Parsed};

fn parsed(text: &str) -> ModelConfig {
    read(text).config
}

fn read(text: &str) -> Parsed {
    parse(text, "config.pbtxt").unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults as they are printed, without the origin.
fn faults(text: &str) -> Vec<String> {
    let faults = parse(text, "c").expect_err("a faulty text");
    faults.to_string().lines().map(|line| line.strip_prefix("c:").unwrap_or(line).to_owned()).collect()
}

#[test]
fn reads_a_typical_config() {
    let config = parsed(
        r#"
        # The comment of the author.
        name: "simple"
        platform: 'onnxruntime_onnx'   # and another
        max_batch_size: 8
        input [
          { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16, -1 ] },
          { name: "INPUT1", data_type: TYPE_FP32; dims: 1 dims: 2 }
        ]
        output { name: "OUT" data_type: 10 dims: [ ] }
        instance_group: [ { kind: KIND_CPU count: 2 } ]
        version_policy: { specific < versions: [ 1, 3 ] > }
        dynamic_batching { }
        parameters { key: "threads" value: { string_value: "4" } }
        parameters: [ { key: "mode", value { string_value: "a" "b" 'c' } }, { key: "none" } ]
        "#,
    );
    assert_eq!((config.name.as_str(), config.max_batch_size), ("simple", 8));
    let inputs = [
        ModelInput {
            name: "INPUT0".into(),
            data_type: DataType::TypeInt32.into(),
            dims: vec![16, -1],
            ..Default::default()
        },
        ModelInput {
            name: "INPUT1".into(),
            data_type: DataType::TypeFp32.into(),
            dims: vec![1, 2],
            ..Default::default()
        },
    ];
    assert_eq!(config.input, inputs);
    assert_eq!((config.output[0].data_type(), config.output[0].dims.len()), (DataType::TypeFp16, 0));
    assert_eq!((config.instance_group[0].kind(), config.instance_group[0].count), (Kind::Cpu, 2));
    let Some(PolicyChoice::Specific(specific)) = config.version_policy.unwrap().policy_choice else {
        panic!("specific")
    };
    assert_eq!(specific.versions, [1, 3]);
    assert_eq!(
        config.scheduling_choice,
        Some(SchedulingChoice::DynamicBatching(ModelDynamicBatching::default()))
    );
    let parameter = |key: &str| config.parameters.get(key).map(|value| value.string_value.as_str());
    assert_eq!(parameter("threads"), Some("4"));
    assert_eq!(parameter("mode"), Some("abc"));
    assert_eq!(parameter("none"), Some(""));
}

#[test]
fn an_empty_text_is_an_empty_config() {
    assert_eq!(parsed(""), ModelConfig::default());
    assert_eq!(parsed("\u{feff}  # nothing\n"), ModelConfig::default());
}

#[test]
fn reads_numbers_in_every_notation() {
    let group = |digits: &str| {
        parsed(&format!("instance_group {{ gpus: [ {digits} ] }}")).instance_group[0].gpus.clone()
    };
    assert_eq!(
        group("0, -1, 0x1F, 017, -0x10, 2147483647, -2147483648, - 5"),
        [0, -1, 31, 15, -16, i32::MAX, i32::MIN, -5]
    );
    let bounds = parsed(
        "model_metrics { metric_control { histogram_options { buckets: [ 1, 1.5, .5, 2., 1e3, 1.5E-2f, 3F, -inf, \
         Infinity, nan ] } } }",
    );
    let text = format!("{bounds:?}");
    let expected = "[1.0, 1.5, 0.5, 2.0, 1000.0, 0.015, 3.0, -inf, inf, NaN]";
    assert!(text.contains(expected), "{text}");
    let versions =
        parsed("version_policy { specific { versions: [ 9223372036854775807, -9223372036854775808 ] } }");
    assert!(format!("{versions:?}").contains("[9223372036854775807, -9223372036854775808]"));
}

#[test]
fn reads_booleans_in_every_notation() {
    for (text, expected) in [
        ("true", true),
        ("True", true),
        ("t", true),
        ("1", true),
        ("0x1", true),
        ("false", false),
        ("f", false),
        ("0", false),
    ] {
        let config = parsed(&format!("response_cache {{ enable: {text} }}"));
        assert_eq!(config.response_cache.unwrap().enable, expected, "{text}");
    }
}

#[test]
fn the_later_of_two_map_entries_wins() {
    let config = parsed(r#"metric_tags { key: "a" value: "1" } metric_tags { key: "a" value: "2" }"#);
    assert_eq!(config.metric_tags.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "2".to_owned())]);
    let levels = parsed("dynamic_batching { priority_queue_policy { key: 7 value { max_queue_size: 3 } } }");
    let Some(SchedulingChoice::DynamicBatching(batching)) = levels.scheduling_choice else {
        panic!("dynamic")
    };
    assert_eq!(batching.priority_queue_policy[&7].max_queue_size, 3);
}

#[test]
fn remembers_where_everything_stands() {
    let text = "max_batch_size: 4\ninput [\n  { name: \"ä\" dims: [ 1,\n    2 ] },\n  { name: \"b\" }\n]\n\
                parameters { key: \"x\" value { string_value: \"1\" } }\n";
    let spans = read(text).spans;
    let at = |path: &str| spans.locate(path).unwrap();
    assert_eq!(at("max_batch_size"), (1, 17));
    assert_eq!(at("input"), (2, 1));
    assert_eq!(at("input[0]"), (3, 3));
    assert_eq!(at("input[0].name"), (3, 11));
    assert_eq!(at("input[0].dims"), (3, 21));
    assert_eq!(at("input[0].dims[1]"), (4, 5));
    assert_eq!(at("input[1].data_type"), (5, 3));
    assert_eq!(at("parameters[\"x\"].string_value"), (7, 45));
    assert_eq!(spans.locate("output"), None);
}

#[test]
fn reports_all_faults_at_once() {
    let text = "name: \"badcfg\"\nbackend: 7\nmax_batch_size: 99999999999\nbogus_field: 3\n\
                input { name: \"a\" data_type: TYPE_FOO dims: [ 1, x ] }\n\
                output { nmae: \"b\" }\nresponse_cache { enable: yes }\n";
    assert_eq!(
        faults(text),
        [
            "2:10: Expected string, got: 7",
            "3:17: Integer out of range (99999999999)",
            "4:1: Message type \"inference.ModelConfig\" has no field named \"bogus_field\".",
            "5:30: Unknown enumeration value of \"TYPE_FOO\" for field \"data_type\".",
            "5:50: Expected integer, got: x",
            "6:10: Message type \"inference.ModelOutput\" has no field named \"nmae\".",
            "7:26: Invalid value for boolean field \"enable\". Value: \"yes\".",
        ]
    );
}

#[test]
fn goes_on_behind_broken_syntax() {
    let text = "name \"m\"\nbackend:\nmax_batch_size: 8 8\ninput [\n  { name: \"a\" dims: [ 1 2 3, ] }\n  { name: \"b\" }\n]\n\
                platform: \"x\nruntime: 'y' %\nbogus: 1\n";
    assert_eq!(
        faults(text),
        [
            "1:6: Expected \":\", found \"\"m\"\".",
            "3:1: Expected a value for field \"backend\", found the field \"max_batch_size\".",
            "3:19: Expected identifier, got: 8",
            "5:25: Expected \",\", found \"2\".",
            "5:27: Expected \",\", found \"3\".",
            "5:30: Expected a value, got: ]",
            "6:3: Expected \",\", found \"{\".",
            "8:11: Multiline strings are not allowed. Did you miss a \"?.",
            "9:14: Expected identifier, got: %",
            "10:1: Message type \"inference.ModelConfig\" has no field named \"bogus\".",
        ]
    );
}

#[test]
fn fields_that_stand_alone_may_not_be_repeated() {
    assert_eq!(
        faults("max_batch_size: 1\nmax_batch_size: 2\n"),
        ["2:1: Non-repeated field \"max_batch_size\" is specified multiple times."]
    );
    assert_eq!(
        faults("dynamic_batching { }\nsequence_batching { }\n"),
        [
            "2:1: Field \"sequence_batching\" is specified along with field \"dynamic_batching\", another member of \
          oneof \"scheduling_choice\"."
        ]
    );
    assert_eq!(
        faults("optimization { }\noptimization { }"),
        ["2:1: Non-repeated field \"optimization\" is specified multiple times."]
    );
    // Protobuf cannot tell a default value from none, and files that it accepts are accepted here.
    assert_eq!(parsed("max_batch_size: 0 max_batch_size: 2").max_batch_size, 2);
}

#[test]
fn refuses_values_of_another_kind() {
    for (text, expected) in [
        ("max_batch_size: 1.5", "1:17: Expected integer, got: 1.5"),
        ("max_batch_size: \"1\"", "1:17: Expected integer, got: \"1\""),
        ("max_batch_size: -x", "1:17: Expected integer, got: -"),
        ("max_batch_size: [ 1 ]", "1:17: Expected integer, got: ["),
        ("max_batch_size { }", "1:16: Expected \":\", found \"{\"."),
        ("max_batch_size: { }", "1:17: Expected integer, got: {"),
        ("max_batch_size: 2147483648", "1:17: Integer out of range (2147483648)"),
        ("max_batch_size: -2147483649", "1:17: Integer out of range (-2147483649)"),
        ("dynamic_batching { priority_levels: -1 }", "1:37: Expected integer, got: -"),
        ("dynamic_batching: 3", "1:19: Expected \"{\", found \"3\"."),
        ("dynamic_batching: [ { } ]", "1:19: Expected \"{\", found \"[\"."),
        ("parameters: [ 3 ]", "1:15: Expected \"{\", found \"3\"."),
        ("name: -\"a\"", "1:8: Expected a value, got: \"a\""),
        ("name: \"\\xff\"", "1:7: String field \"name\" is not valid UTF-8."),
        ("name: \"a\\qb\"", "1:9: Invalid escape sequence in string literal."),
        ("instance_group { kind: \"KIND_CPU\" }", "1:24: Expected integer or identifier, got: \"KIND_CPU\""),
        ("instance_group { kind: 9 }", "1:24: Unknown enumeration value of \"9\" for field \"kind\"."),
        (
            "sequence_batching { direct { minimum_slot_utilization: 0x1 } }",
            "1:56: Expect a decimal number, got: 0x1",
        ),
        ("sequence_batching { direct { minimum_slot_utilization: x } }", "1:56: Expected double, got: x"),
        ("[ext.name]: 3", "1:1: Expected identifier, got: ["),
    ] {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn refuses_malformed_tokens_once() {
    for (text, expected) in [
        ("max_batch_size: 0x", "1:17: \"0x\" must be followed by hex digits."),
        ("max_batch_size: 08", "1:17: Numbers starting with leading zero must be in octal."),
        ("max_batch_size: 1e", "1:17: \"e\" must be followed by exponent."),
        ("max_batch_size: 1a", "1:17: Need space between number and identifier."),
        ("max_batch_size: 1.2.3", "1:17: Already saw decimal point or exponent; can't have another one."),
        ("max_batch_size: 0x1.2", "1:17: Hex and octal numbers must be integers."),
        ("name: \"abc", "1:7: Unexpected end of string."),
        ("name: \u{e4}bc", "1:7: unexpected character '\u{e4}' outside of a string"),
        ("name: \u{1}\u{2}", "1:7: Invalid control characters encountered in text."),
    ] {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn brackets_have_to_match() {
    assert_eq!(
        faults("input {\n  name: \"a\"\n"),
        ["3:1: Expected \"}\" for the bracket opened at 1:7, found the end of the text."]
    );
    assert_eq!(faults("input < name: \"a\" }"), ["1:19: Expected \">\", found \"}\"."]);
    assert_eq!(faults("name: \"a\" }\nbogus: 1").len(), 2);
    assert_eq!(
        faults("input [ { name: \"a\" dims: 1 ]\noutput { name: \"b\" }\nmax_batch_size: 4"),
        ["1:29: Expected \"}\" for the bracket opened at 1:9, found \"]\"."]
    );
    assert_eq!(faults("input [ { name: \"a\" }"), ["1:22: Expected \",\", found \"\"."]);
}

#[test]
fn a_missing_bracket_is_told_once() {
    let end = |place: &str, opened: &str| {
        format!("{place}: Expected \"}}\" for the bracket opened at {opened}, found the end of the text.")
    };
    for (text, place, opened) in [
        ("input { name: \"a\" dims: 4\noutput { name: \"b\" dims: 4 }\nname: \"m\"", "3:10", "1:7"),
        ("input [ { name: \"a\"", "1:20", "1:9"),
        ("dynamic_batching { default_queue_policy {", "1:42", "1:41"),
        ("input { name: \"a\" reshape { shape: 4\n dims: 4 }\noutput { name: \"b\" }", "3:21", "1:7"),
    ] {
        assert_eq!(faults(text), [end(place, opened)], "{text}");
    }
    let faults = faults("input { name: \"a\" bogus: 3\noutput { nmae: \"b\" }");
    assert!(faults[0].contains("\"bogus\""), "what no message around has is another fault: {faults:?}");
}

#[test]
fn what_is_no_config_at_all_is_named_once() {
    for (text, format) in [
        ("{ \"name\": \"m\", \"backend\": \"onnxruntime\" }", "JSON"),
        ("\u{feff}\n{\n}", "JSON"),
        ("<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"),
        ("<?xml version=\"1.0\"?><Error/>", "XML"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
    ] {
        let expected = format!(
            "1:1: the text is {format}, expected the protobuf text format, as in 'max_batch_size: 8'"
        );
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn one_separator_may_follow_a_field() {
    let config = parsed("name: \"m\"; max_batch_size: 1, input { name: \"a\"; }; output { },");
    assert_eq!((config.input.len(), config.output.len()), (1, 1));
    assert_eq!(faults("name: \"m\",, max_batch_size: 1"), ["1:11: Expected identifier, got: ,"]);
}

#[test]
fn unknown_fields_do_not_hide_what_is_behind_them() {
    assert_eq!(faults("bogus { a: 1 b [ { c: \"x\" } ] }\nbogus2: [ 1, 2 ]\nmax_batch_size: x").len(), 3);
}

#[test]
fn hostile_texts_end_soon() {
    let depth = 200_000;
    for text in [
        "input {".repeat(depth / 2),
        "a<".repeat(depth),
        "a:[{".repeat(depth),
        "}".repeat(depth),
        "a:\n".repeat(depth),
        "\"".repeat(depth),
        "name: ".to_owned() + &"'a' ".repeat(depth),
        "version_policy { specific { versions: [".to_owned() + &"1,".repeat(depth),
        format!("name: '' model_warmup {{ inputs {{ key: '{}' value {{ dims: [ 1", "k".repeat(depth))
            + &", 1".repeat(depth)
            + " ] } } }",
        "\\".repeat(depth),
        "\u{e4}".repeat(depth),
    ] {
        let result = parse(&text, "c");
        assert!(result.is_ok() == text.starts_with("name"), "{}", &text[..40]);
    }
    assert!(faults(&" ".repeat(MAX_TEXT + 1))[0].contains("expected at most"));
}

#[test]
fn nesting_is_bounded() {
    let text = "a {".repeat(101) + &"}".repeat(101);
    let faults = faults(&text);
    assert!(faults[1].contains("Message is too deep"), "{faults:?}");
    assert_eq!(faults.len(), 2);
}

#[test]
fn map_entries_may_leave_out_their_parts() {
    let config = parsed("parameters { }");
    assert_eq!(config.parameters.get(""), Some(&ModelParameter::default()));
    assert_eq!(
        faults("parameters { key: \"a\" key: \"b\" value { string_value: 1 } }"),
        ["1:23: Non-repeated field \"key\" is specified multiple times.", "1:54: Expected string, got: 1",]
    );
}
