//! What cannot be loaded, and what is said of it.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use kit::script::{Script, archive};
use kit::{Folder, load, refused, refused_folder};

fn identity() -> Script {
    Script::new("x: Tensor -> Tensor", "return x")
}

fn tensor(name: &str, kind: &str) -> String {
    format!("{{ name: \"{name}\" data_type: TYPE_{kind} dims: [ -1, 2 ] }}")
}

fn text(inputs: &[&str], outputs: &[&str]) -> String {
    let all = |names: &[&str]| names.iter().map(|name| tensor(name, "FP32")).collect::<Vec<_>>().join(", ");
    format!("input [ {} ] output [ {} ]", all(inputs), all(outputs))
}

fn assert_refused(script: &Script, config: &str, expected: &str) {
    assert_eq!(
        refused(script, config),
        format!("Invalid argument: unable to load model 'm', {expected}"),
        "{config}"
    );
}

/// A dictionary whose entries the code names.
#[test]
fn keys_that_do_not_fit() {
    let script = Script::new(
        "x: Dict[str, Tensor] -> Dict[str, Tensor]",
        "return {\"sum\": torch.add(x[\"a\"], x[\"b\"]), \"a\": x[\"a\"]}",
    );
    assert_refused(
        &script,
        &text(&["a", "c"], &["a"]),
        "its code asks the dictionary that it takes for 'b', the configuration has the inputs a, c",
    );
    assert_refused(
        &script,
        &text(&["a", "b"], &["total"]),
        "output 'total' is not in the dictionary that the model gives, whose keys are: a, sum",
    );
    // Of what is asked for in a branch only a run knows.
    let script = Script::new(
        "x: Dict[str, Tensor] -> Tensor",
        "if torch.__contains__(x, \"b\"):\n  y = x[\"b\"]\nelse:\n  y = x[\"a\"]\nreturn y",
    );
    load(&script, &text(&["a"], &["y"])).unwrap();
    // What the code puts in itself need not be an input.
    let script = Script::new(
        "x: Dict[str, Tensor] -> Tensor",
        "y = torch.setdefault(x, \"c\", x[\"a\"])\nreturn torch.add(x[\"c\"], y)",
    );
    load(&script, &text(&["a"], &["y"])).unwrap();
}

#[test]
fn inputs_that_do_not_fit() {
    let sum = Script::new("a: Tensor,\n    b: Tensor -> Tensor", "return torch.add(a, b)");
    for (inputs, expected) in [
        (&["a"] as &[_], "configuration expects 1 inputs, model provides 2: a, b"),
        (&["a", "b", "c"], "configuration expects 3 inputs, model provides 2: a, b"),
        (&["INPUT__0", "INPUT__2"], "an input of the configuration has index 2, model provides 2: a, b"),
        (
            &["INPUT__1", "OTHER__1"],
            "inputs 'INPUT__1' and 'OTHER__1' stand for the same argument of the model",
        ),
    ] {
        assert_refused(&sum, &text(inputs, &["y"]), expected);
    }
    let optional = text(&["a", "b"], &["y"]).replacen("} ]", "optional: true } ]", 1);
    assert_refused(
        &sum,
        &optional,
        "input 'b' is optional in the config, but the model has no value of its own for its argument 'b'",
    );
    let strings = format!("input {} output {}", tensor("x", "STRING"), tensor("y", "FP32"));
    assert_refused(
        &identity(),
        &strings,
        "unsupported datatype TYPE_STRING for input 'x': the model takes Tensor, and strings only as List[str]",
    );
    let lists = Script::new("x: List[str] -> List[str]", "return x");
    assert_refused(
        &lists,
        &text(&["x"], &["y"]),
        "configuration expects datatype TYPE_FP32 for input 'x', the model takes List[str]",
    );
    let error = refused(&lists, &strings.replace("TYPE_FP32", "TYPE_STRING"));
    assert!(
        error.contains("only supports 1 dimensional List of String as input for 'x' for model 'm'"),
        "{error}"
    );
    let error = refused(&lists, &format!("max_batch_size: 2 {}", strings.replace("[ -1, 2 ]", "1")));
    assert!(error.ends_with("with a batch dimension, write dims: 1 and reshape { shape: [] }"), "{error}");
}

/// A file names the arguments of its model, but not their types and shapes.
#[test]
fn a_config_that_lists_nothing() {
    let script = Script::new("a: Tensor,\n    n: int -> Tuple[Tensor, List[str]]", "return (a, [\"b\"])");
    assert_refused(
        &script,
        "",
        "model configuration must contain at least one input, none were specified; the model's arguments are a: Tensor, n: int",
    );
    assert_refused(
        &identity(),
        &format!("input {}", tensor("x", "FP32")),
        "model configuration must contain at least one output, none were specified; the model gives Tensor",
    );
}

#[test]
fn arguments_that_no_input_can_be() {
    for (signature, expected) in [
        (
            "x: Tuple[Tensor, Tensor] -> Tensor",
            "An input of type 'Tuple[Tensor, Tensor]' was detected in the model. Only a single input of type Dict(str, Tensor) or \
             input(s) of type Tensor are supported, and List[str], int, float and bool.",
        ),
        (
            "x: Dict[str, Tensor],\n    z: Dict[str, Tensor] -> Tensor",
            "Multiple inputs of kind DictType were detected. Only a single input of type Dict(str, Tensor) is supported.",
        ),
    ] {
        let script = Script::new(signature, "return torch.zeros([1])");
        assert_refused(&script, &text(&["x"], &["y"]), expected);
    }
    let script = Script::new("x: Tensor,\n    n: int -> Tensor", "return torch.mul(x, n)");
    let number = "{ name: \"n\" data_type: TYPE_INT64 dims: 1 }";
    let inputs = format!("input [ {}, {number} ]", tensor("x", "FP32"));
    assert_refused(
        &script,
        &format!("max_batch_size: 2 {inputs} output {}", tensor("y", "FP32")),
        "input 'n' is a single int of the model: expected dims: 1 and max_batch_size: 0, as a batch could not share it",
    );
    let inputs = inputs.replace("TYPE_INT64", "TYPE_FP32");
    assert_refused(
        &script,
        &format!("{inputs} output {}", tensor("y", "FP32")),
        "configuration expects datatype TYPE_FP32 for input 'n', the model takes int",
    );
}

#[test]
fn outputs_that_do_not_fit() {
    let pair = Script::new("x: Tensor -> Tuple[Tensor, List[str]]", "return (x, [\"a\"])");
    assert_refused(
        &pair,
        &text(&["x"], &["OUTPUT__2"]),
        "The output OUTPUT__2 in the model configuration refers to an output index which doesn't exist. This model has 2 outputs",
    );
    assert_refused(
        &pair,
        &text(&["x"], &["OUTPUT__1"]),
        "configuration expects datatype TYPE_FP32 for output 'OUTPUT__1', model provides TYPE_STRING",
    );
    let strings =
        format!("input {} output {}", tensor("x", "FP32"), tensor("y", "STRING").replace("[ -1, 2 ]", "1"));
    assert_refused(
        &identity(),
        &strings,
        "configuration expects datatype TYPE_STRING for output 'y', the model gives Tensor",
    );
    let number = Script::new("x: Tensor -> int", "return 3");
    assert_refused(
        &number,
        &text(&["x"], &["y"]),
        "output 'y' must be of type Tensor or List[str], the model gives int",
    );
}

#[test]
fn a_state_has_the_name_of_an_argument_or_an_index() {
    let script = Script::new("x: Tensor,\n    s: Tensor -> Tuple[Tensor, Tensor]", "return (x, s)");
    let state = |name: &str| {
        format!(
            "max_batch_size: 1 {} sequence_batching {{ state [ {{ input_name: \"{name}\" output_name: \"NEXT__1\" \
             data_type: TYPE_FP32 dims: 2 }} ] }}",
            text(&["x"], &["OUTPUT__0"])
        )
    };
    assert_refused(
        &script,
        &state("other"),
        "input 'other' does not follow <name>__<index> naming convention.",
    );
    kit::load(&script, &state("s")).unwrap();
    kit::load(&script, &state("STATE__1")).unwrap();
}

#[test]
fn files_that_are_no_models() {
    let folder = |name: &str, content: &[u8]| {
        let folder = Folder::new();
        folder.file(name, content);
        folder
    };
    let listed = text(&["x"], &["y"]);
    let error = refused_folder(Folder::new(), &format!("platform: \"pytorch_libtorch\" {listed}"));
    assert!(
        error.starts_with("Unavailable: unable to find '")
            && error.ends_with("/model.pt' for model instance 'm'"),
        "{error}"
    );
    for content in [b"" as &[u8], b"no model"] {
        let error = refused_folder(folder("model.pt", content), &listed);
        assert!(error.contains("model.pt' was expected to be a TorchScript model, a zip file"), "{error}");
    }
    let whole = identity().encode();
    let error = refused_folder(folder("model.pt", &whole[..whole.len() - 9]), &listed);
    assert!(error.contains("PyTorch refuses its file: ") && error.contains("zip archive"), "{error}");
    // As torch.save writes weights.
    let weights = archive(&[("m/data.pkl", b"\x80\x02}."), ("m/version", b"3\n")]);
    let error = refused_folder(folder("model.pt", &weights), &listed);
    assert!(
        error.contains("model.pt' holds weights without the model, as torch.save writes them"),
        "{error}"
    );
    let error =
        refused(&Script::new("x: Tensor -> Tensor", "return ops.torchvision.nms(x, x, 0.5)"), &listed);
    assert!(error.contains("PyTorch refuses its file: ") && error.contains("torchvision::nms"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    let error = refused(&Script::default().method("other", "x: Tensor -> Tensor", "return x"), &listed);
    assert!(error.contains("PyTorch refuses its file: ") && error.contains("forward"), "{error}");
    let error = refused_folder(
        folder("model.pt", &whole),
        &format!("default_model_filename: \"../model.pt\" {listed}"),
    );
    assert!(error.contains("expected to name a file in the version's folder, got '../model.pt'"), "{error}");
    let error = refused_folder(folder("model.pt", &whole), &format!("platform: \"pytorch_other\" {listed}"));
    assert_eq!(error, "Invalid argument: platform pytorch_other not supported for PyTorch model 'm'");
}

#[test]
fn a_model_in_training_is_taken_as_it_is() {
    let is_shared = |script: Script| {
        let one_thread = r#"parameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "1" } }"#;
        let config = format!("{} {one_thread}", text(&["x"], &["y"]));
        let loaded = kit::load(&script.training(), &config).unwrap();
        loaded.model.extra_instance(&loaded.spec(hippocamp_backend::Device::Cpu)).is_some()
    };
    // What it does may depend on earlier runs: a dropout draws from the process's random numbers.
    let reads = "if self.training:\n  y = torch.dropout(x, 0.5, True)\nelse:\n  y = x\nreturn y";
    assert!(!is_shared(Script::new("x: Tensor -> Tensor", reads)));
    assert!(!is_shared(Script::new("x: Tensor -> Tensor", "return torch.dropout(x, 0.5, True)")));
    // Nothing asks for the mode. Quantized layers are marked so, whatever mode their model is in.
    assert!(is_shared(identity()));
}
