//! What a loaded model gives for requests: names, shapes, strings, numbers, memory, errors of the model.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{Code, Device};
use hippocamp_tensor::Shape;
use kit::script::Script;
use kit::{Loaded, execute, execute_together, input, load, numbers, only_output, strings};

/// A list of tensors of one type and one dimension of any size.
fn any(names: &[&str], data_type: &str) -> String {
    let each = |name: &&str| format!("{{ name: \"{name}\" data_type: TYPE_{data_type} dims: -1 }}");
    format!("[ {} ]", names.iter().map(each).collect::<Vec<_>>().join(", "))
}

fn floats(inputs: &[&str], outputs: &[&str]) -> String {
    format!("input {} output {}", any(inputs, "FP32"), any(outputs, "FP32"))
}

fn outputs(loaded: &Loaded, inputs: &[&[f32]]) -> Vec<Bytes> {
    let inputs = inputs.iter().map(|values| input(&[values.len() as i64], numbers(values.iter().copied())));
    let response = loaded.run(inputs.collect()).unwrap();
    response.outputs.iter().map(|output| output.data.to_host().unwrap()).collect()
}

fn difference() -> Script {
    Script::new("left: Tensor,\n    right: Tensor -> Tensor", "return torch.sub(left, right)")
}

#[test]
fn names_are_arguments_or_have_an_index_or_stand_in_their_order() {
    for (names, swapped) in [
        (["left", "right"], false),
        (["right", "left"], true),
        (["INPUT__0", "INPUT__1"], false),
        (["INPUT__1", "INPUT__0"], true),
        (["a", "b"], false),
        // One of them is none of the model's: the order counts.
        (["right", "b"], false),
        (["INPUT__1", "b"], false),
    ] {
        let loaded = load(&difference(), &floats(&names, &["y"])).unwrap();
        let expected = if swapped { -4f32 } else { 4. };
        assert_eq!(outputs(&loaded, &[&[5.], &[1.]]), [numbers([expected])], "{names:?}");
    }
}

#[test]
fn outputs_have_an_index_or_stand_in_their_order() {
    let script = Script::new("x: Tensor -> Tuple[Tensor, Tensor]", "return (torch.neg(x), torch.add(x, x))");
    let pair = [numbers([-3f32]), numbers([6f32])];
    for (names, expected) in [
        (vec!["OUTPUT__0", "OUTPUT__1"], vec![0, 1]),
        (vec!["OUTPUT__1", "OUTPUT__0"], vec![1, 0]),
        (vec!["OUTPUT__1"], vec![1]),
        (vec!["first"], vec![0]),
        (vec!["b", "OUTPUT__0"], vec![0, 1]),
    ] {
        let loaded = load(&script, &floats(&["x"], &names)).unwrap();
        let expected: Vec<Bytes> = expected.into_iter().map(|index: usize| pair[index].clone()).collect();
        assert_eq!(outputs(&loaded, &[&[3.]]), expected, "{names:?}");
    }
}

#[test]
fn a_named_tuple_has_names_for_outputs() {
    let class = "class Pair(NamedTuple):\n  low : Tensor\n  high : Tensor\n";
    let body = "_0 = __torch__.Pair(torch.neg(x), torch.add(x, x))\nreturn _0";
    let script = Script::new("x: Tensor -> __torch__.Pair", body).class(class);
    let loaded = load(&script, &floats(&["x"], &["high", "low"])).unwrap();
    assert_eq!(outputs(&loaded, &[&[3.]]), [numbers([6f32]), numbers([-3f32])]);
    let loaded = load(&script, &floats(&["x"], &["OUTPUT__0", "OUTPUT__1"])).unwrap();
    assert_eq!(outputs(&loaded, &[&[3.]]), [numbers([-3f32]), numbers([6f32])]);
}

#[test]
fn dictionaries_have_keys_for_names() {
    let script = Script::new(
        "x: Dict[str, Tensor] -> Dict[str, Tensor]",
        "return {\"sum\": torch.add(x[\"a\"], x[\"b\"]), \"a\": x[\"a\"]}",
    );
    let loaded = load(&script, &floats(&["b", "a"], &["a", "sum"])).unwrap();
    assert_eq!(outputs(&loaded, &[&[5.], &[1.]]), [numbers([1f32]), numbers([6f32])]);
    // What the code says of keys is compared when it is loaded, and the others when it has run.
    let script = Script::new("x: Dict[str, Tensor] -> Dict[str, Tensor]", "return x");
    let loaded = load(&script, &floats(&["b", "a"], &["total"])).unwrap();
    let one = || input(&[1], numbers([1f32]));
    let error = loaded.run(vec![one(), one()]).unwrap_err();
    assert_eq!(
        error.reason(),
        "Invalid argument: model 'm', output 'total' is not in the dictionary that the model gives, whose keys are: a, b"
    );
}

#[test]
fn parts_of_tuples_and_lists_are_outputs_of_their_own() {
    let script = Script::new(
        "x: Tensor -> Tuple[Tensor, Tuple[Tensor, List[Tensor]]]",
        "return (x, (torch.neg(x), [torch.add(x, x), torch.mul(x, x)]))",
    );
    let names = ["OUTPUT__0", "OUTPUT__1", "OUTPUT__2", "OUTPUT__3"];
    let loaded = load(&script, &floats(&["x"], &names)).unwrap();
    assert_eq!(outputs(&loaded, &[&[3.]]), [3f32, -3., 6., 9.].map(|value| numbers([value])));
    let loaded = load(&script, &floats(&["x"], &["OUTPUT__4"])).unwrap();
    let error = loaded.run(vec![input(&[1], numbers([1f32]))]).unwrap_err();
    assert_eq!(
        error.reason(),
        "Invalid argument: model 'm', The output OUTPUT__4 in the model configuration refers to an output index which doesn't \
         exist. This model has 4 outputs"
    );
}

#[test]
fn strings_go_in_and_come_out() {
    let script = Script::new("texts: List[str] -> List[str]", "return texts");
    let text = format!("input {} output {}", any(&["texts"], "STRING"), any(&["y"], "STRING"));
    let loaded = load(&script, &text).unwrap();
    let wire = strings(["a", "", &"x".repeat(100_000), "\u{0}ä"]);
    assert_eq!(loaded.output(vec![input(&[4], wire.clone())]), (Shape::from([4]), wire));
    for (count, wire) in [(2, strings(["a"])), (1, strings(["a", "b"]))] {
        let error = loaded.run(vec![input(&[count], wire)]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArg, "{error}");
        assert!(error.message().contains("was expected to be filled"), "{error}");
    }
    let rows = "{ name: \"NAME\" data_type: TYPE_STRING dims: 1 reshape { shape: [] } }";
    let text = format!(
        "max_batch_size: 4 input {} output {}",
        rows.replace("NAME", "texts"),
        rows.replace("NAME", "y")
    );
    let loaded = load(&script, &text).unwrap();
    let request = |text: &str| vec![input(&[1, 1], strings([text]))];
    let responses =
        execute_together(&mut *loaded.instance(), &loaded.interface, vec![request("a"), request("b")]);
    let given: Vec<_> = responses.iter().map(|response| only_output(response.as_ref().unwrap())).collect();
    assert_eq!(given, ["a", "b"].map(|text| (Shape::from([1, 1]), strings([text]))));
}

#[test]
fn numbers_are_arguments_and_what_is_left_out_has_the_models_value() {
    let script = Script::new(
        "x: Tensor,\n    times: int,\n    factor: float,\n    negative: bool=False,\n    more: Optional[Tensor]=None -> Tensor",
        "y = torch.mul(torch.mul(x, times), factor)\n\
         if negative:\n  z = torch.neg(y)\nelse:\n  z = y\n\
         if torch.__is__(more, None):\n  r = z\nelse:\n  r = torch.add(z, unchecked_cast(Tensor, more))\nreturn r",
    );
    let tensor = |name: &str, kind: &str| format!("{{ name: \"{name}\" data_type: TYPE_{kind} dims: 1 }}");
    let text = |more: &str| {
        let inputs = [tensor("x", "FP32"), tensor("times", "INT32"), tensor("factor", "FP64")].join(", ");
        format!("input [ {inputs} {more} ] output {}", tensor("y", "FP32"))
    };
    let given =
        || vec![input(&[1], numbers([2f32])), input(&[1], numbers([3i32])), input(&[1], numbers([0.5f64]))];
    let run = |more: &str, inputs| load(&script, &text(more)).unwrap().output(inputs).1;
    assert_eq!(run("", given()), numbers([3f32]));
    let with = |mut more: Vec<_>| given().into_iter().chain(more.drain(..)).collect::<Vec<_>>();
    assert_eq!(
        run(&format!(", {}", tensor("negative", "BOOL")), with(vec![input(&[1], vec![7u8])])),
        numbers([-3f32])
    );
    let more = ", { name: \"more\" data_type: TYPE_FP32 dims: 1 optional: true }";
    assert_eq!(run(more, with(vec![input(&[1], numbers([10f32]))])), numbers([13f32]));
    assert_eq!(run(more, with(vec![None])), numbers([3f32]));
}

#[test]
fn what_is_returned_of_an_input_outlives_it() {
    const COUNT: usize = 40_000;
    let cases = [
        ("return x", 1),
        ("return torch.slice(x, 0, 0, 9223372036854775807)", 1),
        ("return torch.add_(x, 1)", 0),
        ("return torch.detach(x)", 1),
    ];
    for (body, factor) in cases {
        let loaded = load(&Script::new("x: Tensor -> Tensor", body), &floats(&["x"], &["y"])).unwrap();
        let mut instance = loaded.instance();
        // Aligned and not, as requests' bytes are.
        for start in [0, 1] {
            let given: Vec<f32> = (0..COUNT + start).map(|i| i as f32).collect();
            let data = numbers(given.iter().copied()).slice(4 * start..);
            let before = data.clone();
            let response =
                execute(&mut *instance, &loaded.interface, vec![input(&[COUNT as i64], data.clone())]);
            assert_eq!(before, data, "{body}: a request's own bytes are not written to");
            drop(data);
            // Where the input was, others are.
            let others: Vec<Vec<f32>> = (0..20).map(|_| vec![-1f32; COUNT + start]).collect();
            let (_, output) = only_output(&response.unwrap());
            let add = if factor == 0 { 1. } else { 0. };
            assert!(output == numbers(given[start..].iter().map(|value| value + add)), "{body}");
            drop(others);
        }
    }
}

#[test]
fn a_module_may_keep_an_input() {
    const COUNT: usize = 40_000;
    let script = Script::new(
        "x: Tensor -> Tensor",
        "last = self.last\nself.last = x\nif torch.__is__(last, None):\n  y = torch.zeros_like(x)\nelse:\n  \
         y = unchecked_cast(Tensor, last)\nreturn y",
    )
    .attribute("last", "Optional[Tensor]", b"N");
    let loaded = load(&script, &floats(&["x"], &["y"])).unwrap();
    let mut instances = [loaded.instance(), loaded.instance()];
    let mut run = |instance: usize, value: f32| {
        let data = numbers(vec![value; COUNT]);
        let response =
            execute(&mut *instances[instance], &loaded.interface, vec![input(&[COUNT as i64], data)]);
        only_output(&response.unwrap()).1
    };
    for (instance, value, last) in [(0, 1f32, 0f32), (0, 2., 1.), (1, 7., 0.), (0, 3., 2.), (1, 8., 7.)] {
        assert!(run(instance, value) == numbers(vec![last; COUNT]), "each instance keeps its own");
    }
    assert!(loaded.model.extra_instance(&loaded.spec(Device::Cpu)).is_none());
    let shared = "parameters { key: \"ENABLE_WEIGHT_SHARING\" value { string_value: \"true\" } }";
    let loaded = load(&script, &format!("{} {shared}", floats(&["x"], &["y"]))).unwrap();
    let mut instances = [loaded.instance(), loaded.instance()];
    let mut run = |instance: usize, value: f32| {
        let response =
            execute(&mut *instances[instance], &loaded.interface, vec![input(&[1], numbers([value]))]);
        only_output(&response.unwrap()).1
    };
    assert_eq!((run(0, 1.), run(1, 2.), run(0, 3.)), (numbers([0f32]), numbers([1f32]), numbers([2f32])));
}

#[test]
fn outputs_that_share_memory_are_told_apart() {
    const COUNT: usize = 40_000;
    let script = Script::new(
        "x: Tensor -> Tuple[Tensor, Tensor, Tensor]",
        "y = torch.neg(x)\nreturn (y, y, torch.slice(y, 0, 1, 9223372036854775807))",
    );
    let loaded = load(&script, &floats(&["x"], &["a", "b", "c"])).unwrap();
    let given: Vec<f32> = (0..COUNT).map(|i| i as f32).collect();
    let data = outputs(&loaded, &[&given]);
    let negated = numbers(given.iter().map(|value| -value));
    assert!(data == [negated.clone(), negated.clone(), negated.slice(4..)]);
}

#[test]
fn booleans_of_other_bytes_are_true() {
    let text = format!("input {} output {}", any(&["x"], "BOOL"), any(&["y"], "BOOL"));
    let loaded = load(&Script::new("x: Tensor -> Tensor", "return x"), &text).unwrap();
    for count in [16, 128 << 10] {
        let (_, data) = loaded.output(vec![input(&[count as i64], vec![2u8; count])]);
        assert!(data == vec![1u8; count], "{count} elements");
    }
}

#[test]
fn scalars_are_tensors_of_one_element_to_clients() {
    let script = Script::new("x: Tensor -> Tensor", "return torch.sum(x)");
    let loaded = load(&script, &floats(&["x"], &["y"])).unwrap();
    let given = || vec![input(&[3], numbers([1f32, 2., 3.]))];
    assert_eq!(loaded.output(given()), (Shape::from([1]), numbers([6f32])));
    let loaded = load(&script, &format!("max_batch_size: 2 {}", floats(&["x"], &["y"]))).unwrap();
    let error = loaded.run(vec![input(&[1, 3], numbers([1f32, 2., 3.]))]).unwrap_err();
    assert_eq!(error.reason(), "Invalid argument: model 'm', output 'y' is a scalar which is not supported.");
}

#[test]
fn outputs_of_another_type_are_errors() {
    let given = || vec![input(&[1], numbers([1f32]))];
    for (body, expected) in [
        (
            "return torch.argmax(x)",
            "model 'm', configuration expects datatype TYPE_FP32 for output 'y', model provides TYPE_INT64",
        ),
        (
            "return torch.complex(x, x)",
            "model 'm', configuration expects datatype TYPE_FP32 for output 'y', model provides complex numbers",
        ),
        ("return torch.to_sparse(x)", "model 'm': PyTorch execute failure: it is a tensor of layout Sparse"),
    ] {
        let loaded = load(&Script::new("x: Tensor -> Tensor", body), &floats(&["x"], &["y"])).unwrap();
        assert_eq!(loaded.run(given()).unwrap_err().message(), expected);
    }
}

#[test]
fn a_fault_of_one_request_is_not_that_of_its_batch() {
    let script =
        Script::new("i: Tensor -> Tensor", "return torch.index_select(torch.arange(3), 0, torch.flatten(i))");
    let text = "max_batch_size: 8 input { name: \"i\" data_type: TYPE_INT64 dims: 1 reshape { shape: [] } } \
                output { name: \"y\" data_type: TYPE_INT64 dims: 1 reshape { shape: [] } }";
    let loaded = load(&script, text).unwrap();
    let request = |index: i64| vec![input(&[1, 1], numbers([index]))];
    let requests = [1, 3, 2].map(request).to_vec();
    let responses = execute_together(&mut *loaded.instance(), &loaded.interface, requests);
    let number = |index: usize| only_output(responses[index].as_ref().unwrap()).1;
    assert_eq!([number(0), number(2)], [numbers([1i64]), numbers([2i64])]);
    let error = responses[1].as_ref().unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    let expected = "model 'm': PyTorch execute failure: ";
    assert!(
        error.message().starts_with(expected) && error.message().contains("index out of range"),
        "{error}"
    );
    assert!(error.message().contains("torch.index_select") && !error.message().contains('\n'), "{error}");
}

#[test]
fn what_a_model_raises_is_told() {
    let script = Script::new(
        "x: Tensor -> Tensor",
        "ops.prim.RaiseException(\"no such thing\", \"builtins.ValueError\")\nreturn x",
    );
    let loaded = load(&script, &floats(&["x"], &["y"])).unwrap();
    let error = loaded.run(vec![input(&[1], numbers([1f32]))]).unwrap_err();
    assert!(
        error.message().contains("PyTorch execute failure: builtins.ValueError: no such thing"),
        "{error}"
    );
}

#[test]
fn more_memory_than_there_is_is_no_fault_of_the_server() {
    let script = Script::new("x: Tensor -> Tensor", "return torch.zeros([70368744177664], dtype=6)");
    let loaded = load(&script, &floats(&["x"], &["y"])).unwrap();
    let error = loaded.run(vec![input(&[1], numbers([1f32]))]).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

#[test]
fn sizes_beyond_all_numbers_are_an_error() {
    let text = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, -1, -1 ] } \
                output { name: \"y\" data_type: TYPE_FP32 dims: [ -1, -1, -1 ] }";
    let loaded = load(&Script::new("x: Tensor -> Tensor", "return torch.neg(x)"), text).unwrap();
    let error = loaded.run(vec![input(&[1 << 40, 1 << 40, 0], Vec::new())]);
    assert!(error.is_err(), "{error:?}");
    let (shape, _) = loaded.output(vec![input(&[1 << 40, 0, 3], Vec::new())]);
    assert_eq!(shape, Shape::from([1 << 40, 0, 3]));
}

#[test]
fn gpus_are_refused() {
    let loaded = load(&Script::new("x: Tensor -> Tensor", "return x"), &floats(&["x"], &["y"])).unwrap();
    let error = loaded.instance_on(Device::Gpu(0)).err().unwrap();
    assert_eq!(
        error.reason(),
        "Unsupported: unable to load model 'm', PyTorch runs on the CPU here, its config names GPU 0"
    );
}

#[test]
fn parameters_change_nothing_else() {
    for parameters in [
        &[("INFERENCE_MODE", "false")] as &[_],
        &[("DISABLE_OPTIMIZED_EXECUTION", "true"), ("INTRA_OP_THREAD_COUNT", "2")],
        &[("ENABLE_JIT_PROFILING", "true"), ("ENABLE_JIT_EXECUTOR", "true"), ("ENABLE_TENSOR_FUSER", "true")],
        &[("ENABLE_WEIGHT_SHARING", "false"), ("INTER_OP_THREAD_COUNT", "2")],
    ] {
        let each = |(key, value): &(&str, &str)| {
            format!(" parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}")
        };
        let text: String = parameters.iter().map(each).collect();
        let loaded = load(&difference(), &format!("{} {text}", floats(&["left", "right"], &["y"]))).unwrap();
        assert_eq!(outputs(&loaded, &[&[5.], &[1.]]), [numbers([4f32])], "{parameters:?}");
        assert_eq!(outputs(&loaded, &[&[5.], &[1.]]), [numbers([4f32])], "{parameters:?}");
    }
}
