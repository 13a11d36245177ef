//! What a loaded graph gives for requests: names, shapes, strings, scalars, errors of the graph.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use hippocamp_backend::{Code, Device};
use hippocamp_tensor::Shape;
use kit::graph::{Graph, element, signature, tensor};
use kit::{
    execute, execute_together, input, load, load_folder, load_saved, numbers, of_graph, only_output, strings,
};

/// y = -x for numbers.
fn negation(shape: Option<&[i64]>) -> Graph {
    Graph::new().placeholder("x", element::FLOAT, shape).node("y", "Neg", &["x"]).of("T", element::FLOAT)
}

fn tensors(input: &str, output: &str) -> String {
    format!("input {{ {input} }} output {{ {output} }}")
}

#[test]
fn a_config_may_be_left_out() {
    let loaded = load(&negation(Some(&[-1, 2])), "").unwrap();
    assert_eq!(loaded.config.max_batch_size, 4, "the first size is free in all tensors");
    assert_eq!((&*loaded.config.input[0].name, &*loaded.config.output[0].name), ("x", "y"));
    assert_eq!((&loaded.config.input[0].dims, &loaded.config.output[0].dims), (&vec![2], &vec![2]));
    let (shape, data) = loaded.output(vec![input(&[1, 2], numbers([1f32, -2.]))]);
    assert_eq!((shape, data), (Shape::from([1, 2]), numbers([-1f32, 2.])));
    let fixed = load(&negation(Some(&[3])), "").unwrap();
    assert_eq!((fixed.config.max_batch_size, &fixed.config.input[0].dims), (0, &vec![3]));
}

#[test]
fn shapes_that_the_graph_leaves_open_are_the_configs() {
    let text = tensors(
        "name: \"x\" data_type: TYPE_FP32 dims: [ -1, 2 ]",
        "name: \"y\" data_type: TYPE_FP32 dims: [ 5, 2 ]",
    );
    let loaded = load(&negation(None), &text).unwrap();
    for rows in [1, 5] {
        let (shape, _) = loaded.output(vec![input(&[rows, 2], numbers(vec![1f32; 2 * rows as usize]))]);
        assert_eq!(shape, Shape::from([rows, 2]), "the model's word counts");
    }
}

#[test]
fn a_tensor_may_be_any_result_of_any_node() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[4]))
        .constant("axis", element::INT32, &[], &numbers([0]))
        .node("halves", "Split", &["axis", "x"])
        .of("T", element::FLOAT)
        .with("num_split", kit::graph::Attribute { number: Some(2), ..Default::default() })
        .node("end", "Neg", &["halves:1"])
        .of("T", element::FLOAT);
    let text = "input { name: \"x:0\" data_type: TYPE_FP32 dims: 4 } \
                output [ { name: \"halves:1\" data_type: TYPE_FP32 dims: 2 }, { name: \"end\" data_type: TYPE_FP32 dims: 2 } ]";
    let response = load(&graph, text).unwrap().run(vec![input(&[4], numbers([1f32, 2., 3., 4.]))]).unwrap();
    let data: Vec<_> = response.outputs.iter().map(|output| output.data.to_host().unwrap()).collect();
    assert_eq!(data, [numbers([3f32, 4.]), numbers([-3f32, -4.])]);
    // What is fed is not run, and what is not asked for needs no input.
    let text = tensors(
        "name: \"halves:1\" data_type: TYPE_FP32 dims: 2",
        "name: \"end\" data_type: TYPE_FP32 dims: 2",
    );
    let (_, data) = load(&graph, &text).unwrap().output(vec![input(&[2], numbers([7f32, 8.]))]);
    assert_eq!(data, numbers([-7f32, -8.]));
}

#[test]
fn booleans_of_other_bytes_come_out_as_true_where_the_graph_returns_its_input() {
    const BOOL: i32 = 10;
    let graph = Graph::new().placeholder("x", BOOL, Some(&[-1])).node("y", "Identity", &["x"]).of("T", BOOL);
    let text =
        tensors("name: \"x\" data_type: TYPE_BOOL dims: -1", "name: \"y\" data_type: TYPE_BOOL dims: -1");
    let loaded = load(&graph, &text).unwrap();
    for count in [16, 128 << 10] {
        let (_, data) = loaded.output(vec![input(&[count as i64], vec![2u8; count])]);
        assert!(data == vec![1u8; count], "{count} elements");
    }
}

#[test]
fn strings_go_in_and_come_out() {
    let graph = Graph::new()
        .placeholder("text", element::STRING, Some(&[-1]))
        .node("y", "StringUpper", &["text"])
        .text("encoding", "");
    let text = tensors(
        "name: \"text\" data_type: TYPE_STRING dims: -1",
        "name: \"y\" data_type: TYPE_STRING dims: -1",
    );
    let loaded = load(&graph, &text).unwrap();
    let long = "x".repeat(100_000);
    let (shape, data) = loaded.output(vec![input(&[3], strings(["a", "", &long]))]);
    assert_eq!((shape, data), (Shape::from([3]), strings(["A", "", &long.to_uppercase()])));
    for (count, wire) in [(2, strings(["a"])), (1, strings(["a", "b"])), (1 << 40, strings(["a"]))] {
        let error = loaded.run(vec![input(&[count], wire)]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArg, "{error}");
        assert!(error.message().contains("was expected to be filled"), "{error}");
    }
}

#[test]
fn scalars_are_tensors_of_one_element_to_clients() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[]))
        .node("y", "Neg", &["x"])
        .of("T", element::FLOAT);
    let loaded = load(&graph, "").unwrap();
    assert_eq!(loaded.output(vec![input(&[1], numbers([2f32]))]), (Shape::from([1]), numbers([-2f32])));
}

#[test]
fn a_fault_of_the_graph_names_its_node() {
    let graph = Graph::new()
        .placeholder("raw", element::STRING, Some(&[]))
        .node("pixels", "DecodePng", &["raw"])
        .of("dtype", 4);
    let text = tensors(
        "name: \"raw\" data_type: TYPE_STRING dims: 1 reshape { shape: [] }",
        "name: \"pixels\" data_type: TYPE_UINT8 dims: [ -1, -1, -1 ]",
    );
    let loaded = load(&graph, &text).unwrap();
    let error = loaded.run(vec![input(&[1], strings(["no picture"]))]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArg);
    assert!(
        error.message().starts_with("model 'm': ") && error.message().contains("{{node pixels}}"),
        "{error}"
    );
    assert!(!error.message().contains('\n'));
}

#[test]
fn a_fault_of_one_request_is_not_that_of_its_batch() {
    let graph = Graph::new()
        .placeholder("text", element::STRING, Some(&[-1, 1]))
        .node("number", "StringToNumber", &["text"])
        .of("out_type", element::FLOAT);
    let loaded = load(&graph, "max_batch_size: 8").unwrap();
    let request = |text: &str| vec![input(&[1, 1], strings([text]))];
    let requests = ["1.5", "no number", "2.5"].map(request).to_vec();
    let responses = execute_together(&mut *loaded.instance(), &loaded.interface, requests);
    let number = |index: usize| only_output(responses[index].as_ref().unwrap()).1;
    assert_eq!([number(0), number(2)], [numbers([1.5f32]), numbers([2.5f32])]);
    let error = responses[1].as_ref().unwrap_err();
    assert!(error.message().contains("correctly convert string: no number"), "{error}");
}

#[test]
fn shapes_that_would_end_the_process_are_refused() {
    let text = tensors(
        "name: \"x\" data_type: TYPE_FP32 dims: [ -1, -1, -1 ]",
        "name: \"y\" data_type: TYPE_FP32 dims: [ -1, -1, -1 ]",
    );
    let loaded = load(&negation(None), &text).unwrap();
    let error = loaded.run(vec![input(&[1 << 40, 1 << 40, 0], Vec::new())]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArg);
    assert!(error.message().contains("is more than TensorFlow can have"), "{error}");
    let (shape, _) = loaded.output(vec![input(&[1 << 40, 0, 3], Vec::new())]);
    assert_eq!(shape, Shape::from([1 << 40, 0, 3]));
}

/// Adds each request's number to a variable.
fn counter() -> Graph {
    Graph::new()
        .placeholder("x", element::FLOAT, Some(&[]))
        .node("total", "VarHandleOp", &[])
        .of("dtype", element::FLOAT)
        .shape("shape", Some(&[]))
        .constant("zero", element::FLOAT, &[], &numbers([0f32]))
        .node("init", "AssignVariableOp", &["total", "zero"])
        .of("dtype", element::FLOAT)
        .node("added", "AssignAddVariableOp", &["total", "x"])
        .of("dtype", element::FLOAT)
        .node("y", "ReadVariableOp", &["total", "^added"])
        .of("dtype", element::FLOAT)
}

const COUNTER: &str = "input { name: \"x\" data_type: TYPE_FP32 dims: 1 } output { name: \"y\" data_type: TYPE_FP32 dims: 1 } \
                       parameters { key: \"TF_INIT_OPS_FILE\" value { string_value: \"init_ops.json\" } }";

#[test]
fn nodes_are_run_once_after_loading_and_each_instance_keeps_its_own() {
    let make = |beside: bool| {
        let folder = of_graph(&counter());
        let name = if beside { "init_ops.json" } else { "../init_ops.json" };
        folder.file(name, br#"{"init_ops": ["init"]}"#);
        load_folder(folder, COUNTER).unwrap()
    };
    for beside in [true, false] {
        let loaded = make(beside);
        let mut instances = [loaded.instance(), loaded.instance()];
        let mut add = |instance: usize, number: f32| {
            let inputs = vec![input(&[1], numbers([number]))];
            only_output(&execute(&mut *instances[instance], &loaded.interface, inputs).unwrap()).1
        };
        assert_eq!(add(0, 1.5), numbers([1.5f32]), "loading adds nothing");
        assert_eq!(add(0, 2.), numbers([3.5f32]));
        assert_eq!(add(1, 4.), numbers([4f32]));
        assert!(loaded.model.extra_instance(&loaded.spec(Device::Cpu)).is_none());
    }
    let folder = of_graph(&counter());
    folder.file("init_ops.json", br#"{"init_ops": ["init"]}"#);
    let shared = format!(
        "{COUNTER} parameters {{ key: \"MAX_SESSION_SHARE_COUNT\" value {{ string_value: \"2\" }} }}"
    );
    let loaded = load_folder(folder, &shared).unwrap();
    let mut instances = [loaded.instance(), loaded.instance(), loaded.instance()];
    let totals = [0, 1, 2].map(|instance| {
        let inputs = vec![input(&[1], numbers([1f32]))];
        only_output(&execute(&mut *instances[instance], &loaded.interface, inputs).unwrap()).1
    });
    assert_eq!(totals, [numbers([1f32]), numbers([2f32]), numbers([1f32])], "two share a session");
}

#[test]
fn the_signature_and_the_graph_are_those_of_the_parameters() {
    let graph = || negation(Some(&[-1])).node("z", "Exp", &["x"]).of("T", element::FLOAT);
    let port = |name: &str| tensor(name, element::FLOAT, Some(&[-1]));
    let of = |output: &str| signature(&[("given", port("x:0"))], &[("result", port(output))]);
    let mut model = graph().saved(&["serve"], &[("serving_default", of("y:0")), ("exp", of("z:0"))]);
    model.graphs.extend(graph().saved(&["other"], &[("only", of("y:0"))]).graphs);
    let result = |parameters: &[(&str, &str)]| {
        let each = |(key, value): &(&str, &str)| {
            format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }} ")
        };
        let text: String = parameters.iter().map(each).collect();
        let loaded =
            load_saved(&model, &format!("max_batch_size: 0 {text}")).map_err(|error| error.reason())?;
        let rows = loaded.config.max_batch_size;
        assert_eq!(
            (&*loaded.config.input[0].name, &*loaded.config.output[0].name, rows),
            ("given", "result", 4)
        );
        Ok::<_, String>(loaded.output(vec![input(&[1, 1], numbers([0f32]))]).1)
    };
    assert_eq!(result(&[]), Ok(numbers([-0f32])));
    assert_eq!(result(&[("TF_SIGNATURE_DEF", "exp")]), Ok(numbers([1f32])));
    assert_eq!(result(&[("TF_GRAPH_TAG", "other")]), Ok(numbers([-0f32])), "the only one is taken");
    assert_eq!(
        result(&[("TF_SIGNATURE_DEF", "log")]),
        Err("Invalid argument: unable to load model 'm', expected 'log' signature, its signatures are: exp, serving_default"
            .to_owned())
    );
    assert_eq!(
        result(&[("TF_GRAPH_TAG", "train")]),
        Err("Invalid argument: unable to load model 'm', expected 'train' tag, its graphs are tagged: serve, other; the parameter TF_GRAPH_TAG names another"
            .to_owned())
    );
}

#[test]
fn an_input_with_a_value_of_its_own_may_be_left_out() {
    let graph = Graph::new()
        .constant("one", element::FLOAT, &[1], &numbers([1f32]))
        .node("x", "PlaceholderWithDefault", &["one"])
        .of("dtype", element::FLOAT)
        .shape("shape", Some(&[1]))
        .node("y", "Neg", &["x"])
        .of("T", element::FLOAT);
    let text = tensors(
        "name: \"x\" data_type: TYPE_FP32 dims: 1 optional: true",
        "name: \"y\" data_type: TYPE_FP32 dims: 1",
    );
    let loaded = load(&graph, &text).unwrap();
    assert_eq!(loaded.output(vec![None]).1, numbers([-1f32]));
    assert_eq!(loaded.output(vec![input(&[1], numbers([5f32]))]).1, numbers([-5f32]));
}

#[test]
fn nodes_for_a_gpu_run_on_the_cpu() {
    let loaded = load(&negation(Some(&[1])).on("/device:GPU:0"), "").unwrap();
    assert_eq!(loaded.output(vec![input(&[1], numbers([2f32]))]).1, numbers([-2f32]));
    let error = loaded.instance_on(Device::Gpu(0)).err().unwrap();
    assert_eq!(
        error.reason(),
        "Unsupported: unable to load model 'm', TensorFlow runs on the CPU here, its config names GPU 0"
    );
}

#[test]
fn threads_across_operations_change_nothing_else() {
    let text = "parameters { key: \"TF_NUM_INTER_THREADS\" value { string_value: \"2\" } } \
                parameters { key: \"TF_NUM_INTRA_THREADS\" value { string_value: \"2\" } }";
    let loaded = load(&negation(Some(&[-1, 2])), text).unwrap();
    let (_, data) = loaded.output(vec![input(&[1, 2], numbers([1f32, -2.]))]);
    assert_eq!(data, numbers([-1f32, 2.]));
}

/// As on the library's own threads, whose results would otherwise differ from those on an instance's.
#[test]
fn numbers_too_small_for_the_usual_form_are_zero() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[2]))
        .constant("half", element::FLOAT, &[], &numbers([0.5f32]))
        .node("y", "Mul", &["x", "half"])
        .of("T", element::FLOAT);
    let loaded = load(&graph, "").unwrap();
    let (_, data) = loaded.output(vec![input(&[2], numbers([f32::MIN_POSITIVE, 4.]))]);
    assert_eq!(data, numbers([0f32, 2.]));
    assert!(std::hint::black_box(f32::MIN_POSITIVE) * 0.5 > 0., "the thread itself goes on as before");
}
