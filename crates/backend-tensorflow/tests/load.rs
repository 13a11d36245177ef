//! What cannot be loaded, and what is said of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use kit::graph::{Graph, element, signature, tensor};
use kit::{Folder, load, load_folder, numbers, of_graph, of_saved_model, refused, refused_folder};

fn negation() -> Graph {
    let graph = Graph::new().placeholder("x", element::FLOAT, Some(&[-1, 2]));
    graph.node("y", "Neg", &["x"]).of("T", element::FLOAT)
}

fn text(input: &str, output: &str) -> String {
    format!("input {{ name: {input} }} output {{ name: {output} }}")
}

#[test]
fn a_config_that_does_not_fit() {
    let fits = "\"y\" data_type: TYPE_FP32 dims: [ -1, 2 ]";
    for (input, output, expected) in [
        (
            "\"a\" data_type: TYPE_FP32 dims: [ -1, 2 ]",
            fits,
            "unexpected inference input 'a', allowed inputs are: x",
        ),
        (
            "\"x\" data_type: TYPE_FP32 dims: [ -1, 2 ]",
            "\"z\" data_type: TYPE_FP32 dims: 2",
            "unexpected inference output 'z', allowed outputs are: y",
        ),
        (
            "\"x\" data_type: TYPE_FP32 dims: [ -1, 2 ]",
            "\"y:7\" data_type: TYPE_FP32 dims: 2",
            "unexpected inference output 'y:7', allowed outputs are: y",
        ),
        (
            "\"a\" data_type: TYPE_FP32 dims: [ -1, 2 ]",
            "\"z\" data_type: TYPE_FP32 dims: 2",
            "unexpected inference input 'a', allowed inputs are: x; unexpected inference output 'z', allowed outputs are: y",
        ),
        (
            "\"x\" data_type: TYPE_INT32 dims: [ -1, 2 ]",
            fits,
            "unable to load model 'm', configuration expects datatype TYPE_INT32 for input 'x', model provides TYPE_FP32",
        ),
        (
            "\"x\" data_type: TYPE_FP32 dims: [ -1, 3 ]",
            fits,
            "model 'm', tensor 'x': the model expects 2 dimensions (shape [-1,2])",
        ),
    ] {
        let error = refused(&negation(), &text(input, output));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_input_that_nothing_feeds() {
    let graph = negation().placeholder("w", element::FLOAT, Some(&[-1, 2]));
    let graph = graph.node("sum", "AddV2", &["y", "w"]).of("T", element::FLOAT);
    let listed = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 2 ] } \
                  output { name: \"sum\" data_type: TYPE_FP32 dims: [ -1, 2 ] }";
    let error = refused(&graph, listed);
    assert!(error.contains("the model requires input 'w', but the configuration has none"), "{error}");
}

#[test]
fn a_graph_that_does_not_batch() {
    let graph = Graph::new().placeholder("x", element::FLOAT, Some(&[1, 2]));
    let graph = graph.node("y", "Neg", &["x"]).of("T", element::FLOAT);
    let listed = "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: 2 } \
                  output { name: \"y\" data_type: TYPE_FP32 dims: 2 }";
    let error = refused(&graph, listed);
    assert!(
        error.contains("the first dimension must be -1; but shape expected by the model is [1,2]"),
        "{error}"
    );
}

#[test]
fn files_that_are_no_models() {
    let folder = |name: &str, content: &[u8]| {
        let folder = Folder::new();
        folder.file(name, content);
        folder
    };
    let error = refused_folder(folder("model.graphdef", b"no graph at all"), "");
    assert!(error.starts_with("Invalid argument: unable to load model 'm', '"), "{error}");
    assert!(error.contains("model.graphdef' is no GraphDef: "), "{error}");
    let error = refused_folder(folder("model.graphdef", b""), "");
    assert_eq!(error, "Invalid argument: model m has an empty network");
    let error =
        refused_folder(folder("model.graphdef", b"node {\n  name: \"x\"\n  op: \"Placeholder\"\n}\n"), "");
    assert!(
        error.ends_with("is the text of one: write it with as_text=False, by tf.io.write_graph"),
        "{error}"
    );
    let whole = negation().encode();
    let error = refused_folder(folder("model.graphdef", &whole[..whole.len() - 3]), "");
    assert!(error.contains("is no GraphDef: "), "{error}");

    let platform = "platform: \"tensorflow_savedmodel\"";
    let error = refused_folder(Folder::new(), platform);
    assert!(
        error.starts_with("Internal: failed to stat file ") && error.ends_with("model.savedmodel"),
        "{error}"
    );
    let error = refused_folder(folder("model.savedmodel", b"x"), platform);
    assert!(error.ends_with("is no folder, expected that of a SavedModel"), "{error}");
    let empty = Folder::new();
    std::fs::create_dir(empty.path("model.savedmodel")).unwrap();
    let error = refused_folder(empty, platform);
    assert!(error.contains("TensorFlow refuses its SavedModel: Could not find SavedModel"), "{error}");
    let broken = Folder::new();
    std::fs::create_dir(broken.path("model.savedmodel")).unwrap();
    broken.file("model.savedmodel/saved_model.pb", b"no model at all");
    let error = refused_folder(broken, platform);
    assert!(error.contains("TensorFlow refuses its SavedModel: "), "{error}");
    let error =
        refused_folder(folder("model.graphdef", b"x"), "default_model_filename: \"../model.graphdef\"");
    assert!(
        error.contains("expected to name a file in the version's folder, got '../model.graphdef'"),
        "{error}"
    );
    let error = refused_folder(folder("model.graphdef", b"x"), "platform: \"tensorflow_other\"");
    assert_eq!(error, "Invalid argument: platform tensorflow_other not supported for TensorFlow model 'm'");
}

#[test]
fn a_graph_that_the_library_refuses() {
    let graph = negation().node("z", "NoSuchOperation", &["x"]);
    let error = refused(&graph, "");
    assert!(
        error.contains("TensorFlow refuses its graph: Op type not registered 'NoSuchOperation'"),
        "{error}"
    );
    let error = refused(&Graph::new().node("y", "Neg", &["nowhere"]).of("T", element::FLOAT), "");
    assert!(error.contains("Node 'y': Unknown input node 'nowhere'"), "{error}");
}

/// An import without a fault does not prove that a graph runs.
#[test]
fn an_operation_without_a_kernel_for_the_cpu() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[-1, 4, 4, 2]))
        .constant("filter", element::FLOAT, &[1, 1, 2, 1], &numbers([1f32; 2]))
        .node("y", "CudnnRNNParamsSize", &["a", "a", "a"])
        .of("T", element::FLOAT)
        .of("S", element::INT32)
        .constant("a", element::INT32, &[], &numbers([1]));
    let listed = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 4, 4, 2 ] } \
                  output { name: \"y\" data_type: TYPE_INT32 dims: 1 }";
    let error = refused(&graph, listed);
    assert!(
        error.starts_with("Invalid argument: unable to load model 'm', its graph cannot be run: "),
        "{error}"
    );
    assert!(error.contains("CudnnRNNParamsSize"), "{error}");
}

/// An unimplemented case may be one of the data: here of no elements to stack, where the graph does not say of which shape.
#[test]
fn what_cannot_be_run_with_zeros() {
    let graph = Graph::new()
        .placeholder("count", element::INT32, Some(&[]))
        .node("array", "TensorArrayV3", &["count"])
        .of("dtype", element::INT32)
        .constant("zero", element::INT32, &[], &numbers([0]))
        .node("places", "Range", &["zero", "count", "one"])
        .constant("one", element::INT32, &[], &numbers([1]))
        .node("written", "TensorArrayScatterV3", &["array", "places", "places", "array:1"])
        .of("T", element::INT32)
        .node("y", "TensorArrayGatherV3", &["array", "places", "written"])
        .of("dtype", element::INT32);
    load(&graph, "").unwrap();
}

#[test]
fn a_variable_that_nothing_gives_a_value() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[2]))
        .node("variable", "VarHandleOp", &[])
        .of("dtype", element::FLOAT)
        .shape("shape", Some(&[2]))
        .text("shared_name", "weights")
        .node("weights", "ReadVariableOp", &["variable"])
        .of("dtype", element::FLOAT)
        .node("y", "Mul", &["x", "weights"])
        .of("T", element::FLOAT);
    let error = refused(&graph, "");
    assert!(error.contains("its graph cannot be run: ") && error.contains("weights"), "{error}");
}

/// A graph that nobody froze: its variables have no values, and what gives them some is no output.
#[test]
fn a_graph_that_was_not_frozen() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[2]))
        .node("variable", "VarHandleOp", &[])
        .of("dtype", element::FLOAT)
        .shape("shape", Some(&[2]))
        .text("shared_name", "weights")
        .constant("first", element::FLOAT, &[2], &numbers([1f32; 2]))
        .node("assign", "AssignVariableOp", &["variable", "first"])
        .of("dtype", element::FLOAT)
        .node("weights", "ReadVariableOp", &["variable"])
        .of("dtype", element::FLOAT)
        .node("y", "Mul", &["x", "weights"])
        .of("T", element::FLOAT);
    let error = refused(&graph, "");
    assert!(error.contains("its graph cannot be run: ") && error.contains("weights"), "{error}");
}

/// A run would find it, and a graph that keeps something is not run when it is loaded.
#[test]
fn an_operation_that_calls_python() {
    let graph = Graph::new().placeholder("x", element::FLOAT, Some(&[2]));
    let graph = graph.node("y", "PyFunc", &["x"]).text("token", "pyfunc_0");
    let graph = graph.types("Tin", &[element::FLOAT]).types("Tout", &[element::FLOAT]);
    let listed = "input { name: \"x\" data_type: TYPE_FP32 dims: 2 } output { name: \"y\" data_type: TYPE_FP32 dims: 2 }";
    assert_eq!(
        refused(&graph, listed),
        "Unsupported: unable to load model 'm', its graph has the operation 'PyFunc': it calls Python, which is not in the file"
    );
}

#[test]
fn results_that_no_client_can_be_sent() {
    let graph = Graph::new().placeholder("x", element::FLOAT, Some(&[2]));
    let complex = graph.clone().node("y", "Complex", &["x", "x"]);
    let error = refused(&complex.of("T", element::FLOAT).of("Tout", element::COMPLEX64), "");
    assert_eq!(
        error,
        "Unsupported: unable to load model 'm', output 'y' has elements of type complex64, which no client can send"
    );
    let error = refused(&graph, "");
    assert!(
        error.ends_with(
            "its graph has no tensor that nothing else in it reads: the config has to list its outputs"
        ),
        "{error}"
    );
}

#[test]
fn types_that_no_client_can_send() {
    let complex = Graph::new().placeholder("x", element::COMPLEX64, Some(&[2]));
    let complex = complex.node("y", "Real", &["x"]).of("T", element::COMPLEX64).of("Tout", element::FLOAT);
    let error = refused(&complex, "");
    assert_eq!(
        error,
        "Unsupported: unable to load model 'm', input 'x' has elements of type complex64, which no client can send"
    );
    let resource = negation().node("table", "HashTableV2", &[]).of("key_dtype", element::STRING);
    let resource = resource.of("value_dtype", element::INT64);
    // Nobody asks for what nothing reads.
    let loaded = load_folder(of_graph(&resource), "").unwrap();
    assert_eq!(loaded.config.output.len(), 1);
    let listed = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 2 ] } \
                  output { name: \"table\" data_type: TYPE_FP32 dims: 1 }";
    let error = refused(&resource, listed);
    assert!(error.contains("output 'table' has elements of type resource"), "{error}");
}

#[test]
fn signatures_that_do_not_fit_their_graph() {
    let port = |name: &str| tensor(name, element::FLOAT, Some(&[-1, 2]));
    let saved = |input: &str| {
        let signature = signature(&[("x", port(input))], &[("y", port("y:0"))]);
        negation().saved(&["serve"], &[("serving_default", signature)])
    };
    let error = refused_folder(of_saved_model(&saved("gone:0")), "");
    assert!(
        error.contains("its signature names 'gone:0' for input 'x', which is not in its graph"),
        "{error}"
    );
    let error = refused_folder(of_saved_model(&saved("")), "");
    assert!(error.contains("input 'x' is no single tensor"), "{error}");
    let none = negation().saved(&["serve"], &[]);
    let error = refused_folder(of_saved_model(&none), "");
    assert!(error.contains("expected 'serving_default' signature"), "{error}");
    let folder = of_saved_model(&saved("x:0"));
    let content = std::fs::read(folder.path("model.savedmodel/saved_model.pb")).unwrap();
    folder.file("model.savedmodel/saved_model.pb", &content[..content.len() / 2]);
    let error = refused_folder(folder, "");
    assert!(error.contains("unable to load model 'm', "), "{error}");
}

#[test]
fn nodes_to_run_that_are_not_there() {
    let config = "parameters { key: \"TF_INIT_OPS_FILE\" value { string_value: \"init.json\" } }";
    let error = |content: Option<&str>, config: &str| {
        let folder = of_graph(&negation());
        if let Some(content) = content {
            folder.file("init.json", content.as_bytes());
        }
        refused_folder(folder, config)
    };
    assert!(error(None, config).contains("the file 'init.json' of TF_INIT_OPS_FILE cannot be read: "));
    assert!(
        error(Some("[]"), config).contains("was expected to be an object with a list of names 'init_ops'")
    );
    let missing = error(Some(r#"{"init_ops": ["gone"]}"#), config);
    assert!(missing.contains("names 'gone', which is not in the graph"), "{missing}");
    let outside = config.replace("init.json", "../../init.json");
    assert!(error(None, &outside).contains("was expected to be in the version's folder or the model's"));
}
