//! What is refused, and with which words.

use hippocamp_backend::Code;

use super::super::parse_infer;
use super::{one_input, parse, typed};

fn refused(json: &str) -> (Code, String) {
    let error = parse(json).expect_err(json);
    (error.code(), error.message().to_owned())
}

#[track_caller]
fn invalid(json: &str, text: &str) {
    assert_eq!(refused(json), (Code::InvalidArg, text.to_owned()), "{json}");
}

#[test]
fn syntax() {
    let cases = [
        ("{\"inputs\": [ {", "Missing a name for object member. at 14"),
        ("hello", "Invalid value. at 0"),
        ("{", "Missing a name for object member. at 1"),
        ("{\"inputs\":", "Invalid value. at 10"),
        ("{\"inputs\":[]}xyz", "The document root must not be followed by other values. at 13"),
        ("   ", "The document is empty. at 3"),
        ("\u{feff}", "The document is empty. at 3"),
        ("\u{feff}\u{feff}{}", "Invalid value. at 3"),
        (" \u{feff}{}", "Invalid value. at 1"),
        ("{\"a\" 1}", "Missing a colon after a name of object member. at 5"),
        ("{\"a\":1 \"b\":2}", "Missing a comma or } after an object member. at 7"),
        ("{\"a\":[1 2]}", "Missing a comma or ] after an array element. at 8"),
        ("{\"a\":[01]}", "Missing a comma or ] after an array element. at 7"),
        ("{\"a\":[1,]}", "Invalid value. at 8"),
        ("{\"a\":1,}", "Missing a name for object member. at 7"),
        ("{\"a\":tru}", "Invalid value. at 8"),
        ("{\"a\":1.}", "Miss fraction part in number. at 7"),
        ("{\"a\":1e}", "Miss exponent in number. at 7"),
        ("{\"a\":-}", "Invalid value. at 6"),
        ("{\"a\":1e400}", "Number too big to be stored in double. at 5"),
        ("{\"a\":\"x", "Missing a closing quotation mark in string. at 7"),
        ("{\"a\":\"x\n\"}", "Invalid encoding in string. at 7"),
        ("{\"a\":\"x\\q\"}", "Invalid escape character in string. at 7"),
        ("{\"a\":\"x\\u12g4\"}", "Incorrect hex digit after \\u escape in string. at 7"),
        ("{\"a\":\"\\ud800x\"}", "The surrogate pair in string is invalid. at 6"),
        ("{\"a\":\"\\udc00\"}", "The surrogate pair in string is invalid. at 6"),
        (
            r#"{"inputs":[{"name":"INPUT0","shape":[1],"datatype":"FP32","data":[1e400]}]}"#,
            "Number too big to be stored in double. at 66",
        ),
    ];
    for (json, text) in cases {
        invalid(json, &format!("failed to parse the request JSON buffer: {text}"));
    }
}

#[test]
fn members_that_are_missing_or_of_another_kind() {
    let not_there = |name: &str| {
        format!("Unable to parse '{name}': attempt to access non-existing object member '{name}'")
    };
    for json in ["[]", "null", "{}", "7", r#"{"id":"x"}"#] {
        invalid(json, &not_there("inputs"));
    }
    invalid(r#"{"inputs":3}"#, "Unable to parse 'inputs': attempt to access JSON non-array as array");
    invalid(
        r#"{"inputs":[],"outputs":{"name":"OUTPUT0"}}"#,
        "Unable to parse 'outputs': attempt to access JSON non-array as array",
    );
    invalid(r#"{"inputs":[],"outputs":[{}]}"#, &not_there("name"));
    invalid(r#"{"inputs":[],"id":5}"#, "Unable to parse 'id': attempt to access JSON non-string as string");
    invalid(r#"{"inputs":[{"shape":[1],"datatype":"INT32","data":[1]}]}"#, &not_there("name"));
    invalid(&one_input(r#","datatype":"INT32","data":[1]"#), &not_there("shape"));
    invalid(&one_input(r#","shape":[1,16],"data":[1]"#), &not_there("datatype"));
    invalid(
        r#"{"inputs":[{"name":7,"shape":[1,16],"datatype":"INT32","data":[1]}]}"#,
        "Unable to parse 'name': attempt to access JSON non-string as string",
    );
    invalid(&typed("FP32", "3", "[1]"), "Unable to parse 'shape': attempt to access JSON non-array as array");
    for shape in ["[\"3\"]", "[-1]", "[1.0]", "[null]", "[18446744073709551616]"] {
        invalid(
            &typed("FP32", shape, "[1]"),
            "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
        );
    }
    invalid(
        &typed("FP32", "[9223372036854775808]", "[1]"),
        "Unable to parse 'shape': the dimension 9223372036854775808 is out of range",
    );
}

#[test]
fn an_input_has_its_bytes_in_exactly_one_place() {
    let text = |but: &str| {
        format!(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', \
             'shared_memory_region' in 'parameters'. But {but}"
        )
    };
    invalid(r#"{"inputs":[3]}"#, &text("no field is set"));
    invalid(&one_input(r#","shape":[1],"datatype":"INT32""#), &text("no field is set"));
    invalid(&one_input(r#","parameters":3"#), &text("no field is set"));
    invalid(
        &one_input(r#","shape":[1],"datatype":"INT32","parameters":{"binary_data_size":64},"data":["x"]"#),
        &text("set 'data' 'binary_data_size'"),
    );
    invalid(
        &one_input(r#","parameters":{"binary_data_size":64,"shared_memory_region":"r"},"data":0"#),
        &text("set 'data' 'binary_data_size' 'shared_memory_region'"),
    );
    for size in ["-4", "\"64\"", "null", "1.5"] {
        invalid(
            &one_input(&format!(
                r#","shape":[1],"datatype":"INT32","parameters":{{"binary_data_size":{size}}}"#
            )),
            "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as unsigned-integer",
        );
    }
}

#[test]
fn data_of_another_kind() {
    let cases = [
        ("INT32", "5", "attempt to access JSON non-array as array"),
        ("INT32", "{}", "attempt to access JSON non-array as array"),
        ("FP32", "[true]", "attempt to access JSON non-number as double"),
        ("FP32", "[\"1.0\"]", "attempt to access JSON non-number as double"),
        ("FP64", "[null]", "attempt to access JSON non-number as double"),
        ("FP64", "[{\"a\":[]}]", "attempt to access JSON non-number as double"),
        ("BOOL", "[0]", "attempt to access JSON non-boolean as boolean"),
        ("BOOL", "[\"true\"]", "attempt to access JSON non-boolean as boolean"),
        ("INT32", "[\"a\"]", "attempt to access JSON non-signed-integer as signed-integer"),
        ("INT32", "[1.5]", "attempt to access JSON non-signed-integer as signed-integer"),
        ("INT64", "[9223372036854775808]", "attempt to access JSON non-signed-integer as signed-integer"),
        ("UINT8", "[-1]", "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (
            "UINT64",
            "[18446744073709551616]",
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        ("INT32", "[]", "Shape does not match true shape of 'data' field"),
        ("INT32", "[[1],[2]]", "Shape does not match true shape of 'data' field"),
        ("FP32", "[1,\"a\"]", "Shape does not match true shape of 'data' field"),
    ];
    for (data_type, data, why) in cases {
        invalid(&typed(data_type, "[1]", data), &format!("Unable to parse 'data': {why}"));
        // The same when type and shape come last.
        let json =
            format!(r#"{{"inputs":[{{"data":{data},"name":"I","datatype":"{data_type}","shape":[1]}}]}}"#);
        invalid(&json, &format!("Unable to parse 'data': {why}"));
    }
    invalid(
        &typed("BYTES", "[1]", "[1]"),
        "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
    );
    invalid(&typed("INT8", "[1]", "[300]"), "Unable to parse 'data': 300 is out of the range of INT8");
    invalid(
        &typed("UINT16", "[1]", "[65536]"),
        "Unable to parse 'data': 65536 is out of the range of UINT16",
    );
    for data_type in ["FP16", "BF16"] {
        invalid(
            &typed(data_type, "[2]", "[1,2]"),
            &format!(
                "receiving {data_type} data via JSON is not supported. Please use the binary data format for input I"
            ),
        );
    }
    for data_type in ["FOO", "int32", "TYPE_INT32", ""] {
        invalid(&typed(data_type, "[1]", "[1]"), "invalid datatype for input I");
    }
}

#[test]
fn parameters() {
    let with = |parameters: &str| format!(r#"{{"inputs":[],"parameters":{parameters}}}"#);
    let unsigned = "attempt to access JSON non-unsigned-integer as unsigned-integer";
    let boolean = "attempt to access JSON non-boolean as boolean";
    let cases = [
        (r#"{"priority":"a"}"#, "priority", unsigned),
        (r#"{"priority":-1}"#, "priority", unsigned),
        (r#"{"timeout":1.5}"#, "timeout", unsigned),
        (r#"{"binary_data_output":1}"#, "binary_data_output", boolean),
        (r#"{"sequence_id":1,"sequence_start":1}"#, "sequence_start", boolean),
        (r#"{"sequence_end":null}"#, "sequence_end", boolean),
        (r#"{"sequence_id":1.5}"#, "sequence_id", "attempt to access JSON non-string as string"),
    ];
    for (parameters, name, why) in cases {
        invalid(&with(parameters), &format!("Unable to parse '{name}': {why}"));
    }
    for none in ["3", "null", "[]"] {
        invalid(&with(none), "failed to get request params.: attempt to get members for non-object");
    }
    for value in ["null", "[1]", "{}"] {
        invalid(
            &with(&format!(r#"{{"a":{value}}}"#)),
            "parameter 'a' has invalid type. It should be either 'int', 'bool', or 'string'.",
        );
    }
    invalid(
        &with(r#"{"triton_x":1}"#),
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    );
    let many: Vec<String> = (0..2000).map(|i| format!(r#""p{i}":1"#)).collect();
    invalid(&with(&format!("{{{}}}", many.join(","))), "a request has at most 1024 parameters");
}

#[test]
fn outputs() {
    let with =
        |parameters: &str| format!(r#"{{"inputs":[],"outputs":[{{"name":"O","parameters":{parameters}}}]}}"#);
    for classification in ["\"2\"", "-1"] {
        invalid(
            &with(&format!(r#"{{"classification":{classification}}}"#)),
            "Unable to set 'classification': attempt to access JSON non-unsigned-integer as unsigned-integer",
        );
    }
    invalid(
        &with(r#"{"binary_data":1}"#),
        "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean",
    );
    invalid(
        &with(r#"{"classification":2,"shared_memory_region":"r0","shared_memory_byte_size":32}"#),
        "Output can't set both 'shared_memory_region' and 'classification'",
    );
    invalid(
        &with(r#"{"binary_data":true,"shared_memory_region":"r0"}"#),
        "Output can't set both 'shared_memory_region' and 'binary_data'",
    );
    invalid(
        &with(r#"{"shared_memory_region":7}"#),
        "Unable to parse 'shared_memory_region': attempt to access JSON non-string as string",
    );
}

#[test]
fn errors_come_in_tritons_order() {
    // Syntax, wherever it is, before any meaning.
    invalid(
        r#"{"inputs":[{"name":7,"shape":[1],"datatype":"INT32","data":["x"]}],"id":tru}"#,
        "failed to parse the request JSON buffer: Invalid value. at 75",
    );
    // Then the id, the parameters, the inputs and the outputs.
    let unable = |name: &str| format!("Unable to parse '{name}': attempt to access JSON non-array as array");
    invalid(
        r#"{"outputs":3,"inputs":3,"parameters":3,"id":3}"#,
        "Unable to parse 'id': attempt to access JSON non-string as string",
    );
    invalid(
        r#"{"outputs":3,"inputs":3,"parameters":3}"#,
        "failed to get request params.: attempt to get members for non-object",
    );
    invalid(r#"{"outputs":3,"inputs":3}"#, &unable("inputs"));
    invalid(r#"{"outputs":3,"inputs":[]}"#, &unable("outputs"));
}

#[test]
fn nesting_is_limited() {
    let too_deep = |json: &str| {
        let (code, text) = refused(json);
        assert_eq!(code, Code::InvalidArg);
        assert_eq!(text, "JSON nesting depth exceeds maximum allowed limit (100)");
    };
    too_deep(&"[".repeat(100_000));
    too_deep(&"{\"a\":".repeat(100_000));
    too_deep(&typed("FP32", "[1]", &format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000))));
    too_deep(&typed("BYTES", "[1]", &"[".repeat(50_000)));
    too_deep(&format!(r#"{{"parameters":{}1{},"inputs":[]}}"#, "{\"a\":".repeat(50_000), "}".repeat(50_000)));
    // The request, its inputs, the input and 97 arrays are exactly 100.
    let nested = |depth| typed("INT8", "[1]", &format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(parse(&nested(97)).is_ok());
    too_deep(&nested(98));
}

#[test]
fn nothing_is_allocated_for_what_did_not_come() {
    invalid(
        &typed("FP32", "[9223372036854775807]", "[1]"),
        "Unable to parse 'data': Shape does not match true shape of 'data' field",
    );
    let data = format!("[{}1]", "1,".repeat(999));
    let error = parse_infer(typed("FP64", "[1000]", &data).as_bytes(), 7999).unwrap_err();
    assert!(
        error
            .message()
            .contains("has a byte_size (8000 bytes) that exceeds the maximum allowed value of 7999 bytes"),
        "{error}"
    );
    assert!(parse_infer(typed("FP64", "[1000]", &data).as_bytes(), 8000).is_ok());
    let dims = format!("[{}1]", "1,".repeat(64));
    invalid(&typed("FP32", &dims, "[1]"), "Unable to parse 'shape': a tensor has at most 64 dimensions");
    let inputs = format!(
        r#"{{"inputs":[{}3]}}"#,
        "{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[0],\"data\":[]},".repeat(5000)
    );
    invalid(&inputs, "a request has at most 4096 inputs");
}

#[test]
fn texts_that_are_not_utf8() {
    let json = b"{\"inputs\":[],\"id\":\"\xFF\"}";
    let error = parse_infer(json, super::MAX).unwrap_err();
    assert_eq!(error.message(), "Unable to parse 'id': the string is not valid UTF-8");
}
