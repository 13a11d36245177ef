//! Running models: every type, every kind of shape, and errors.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{Error, InputTensor};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_tensor::{DataType, Shape, push_element};
use kit::onnx::{Graph, element};
use kit::{Loaded, execute, input, load, numbers};

/// y = x, computed by an operator.
fn identity(element: u64, dims: Option<&[i64]>) -> Graph {
    Graph::default().node("Identity", &["x"], &["y"]).input("x", element, dims).output("y", element, dims)
}

/// A config whose tensors have one variable dimension and no batch dimension.
fn vectors(data_type: DataType, inputs: &[&str], outputs: &[&str]) -> String {
    let tensor = |kind: &str, name: &str| {
        format!("{kind} {{ name: \"{name}\" data_type: {} dims: -1 }} ", data_type.config_name())
    };
    let inputs = inputs.iter().map(|name| tensor("input", name));
    inputs.chain(outputs.iter().map(|name| tensor("output", name))).collect()
}

fn strings(elements: &[&[u8]]) -> Bytes {
    let mut wire = Vec::new();
    for element in elements {
        push_element(&mut wire, element);
    }
    wire.into()
}

#[test]
fn strings_may_be_of_any_bytes() {
    let model =
        load(identity(element::STRING, Some(&[-1])), &vectors(DataType::Bytes, &["x"], &["y"])).unwrap();
    let wire = strings(&[b"", b"plain", b"with\0null", &[0xff, 0xfe], "ünï".as_bytes()]);
    assert_eq!(model.output(vec![input(&[5], wire.clone())]), (Shape::from([5]), wire));
    assert_eq!(model.output(vec![input(&[0], Bytes::new())]), (Shape::from([0]), Bytes::new()));
}

#[test]
fn strings_that_do_not_fill_their_shape_are_refused() {
    let model =
        load(identity(element::STRING, Some(&[-1])), &vectors(DataType::Bytes, &["x"], &["y"])).unwrap();
    let error = |shape: i64, wire: &[u8]| {
        model.run(vec![input(&[shape], Bytes::copy_from_slice(wire))]).unwrap_err().reason()
    };
    let two = strings(&[b"a", b"b"]);
    assert_eq!(error(3, &two), "Invalid argument: shape [3] was expected to be filled, got 2 strings");
    let expected = "Invalid argument: shape [9223372036854775807] was expected to be filled, got 2 strings";
    assert_eq!(error(i64::MAX, &two), expected);
    assert!(error(1, &two[..3]).starts_with("Invalid argument: 3 bytes are left"));
}

#[test]
fn a_scalar_is_a_tensor_of_one_for_clients() {
    let text = r#"
        input { name: "x" data_type: TYPE_FP32 dims: 1 }
        output { name: "y" data_type: TYPE_FP32 dims: 1 }"#;
    let model = load(identity(element::FLOAT, Some(&[])), text).unwrap();
    assert_eq!(model.output(vec![input(&[1], numbers([2.5f32]))]), (Shape::from([1]), numbers([2.5f32])));
    let text = r#"
        input { name: "x" data_type: TYPE_STRING dims: [ 1, 1 ] reshape { shape: [ ] } }
        output { name: "y" data_type: TYPE_STRING dims: 1 reshape { shape: [ ] } }"#;
    let model = load(identity(element::STRING, Some(&[])), text).unwrap();
    let wire = strings(&[b"one"]);
    assert_eq!(model.output(vec![input(&[1, 1], wire.clone())]), (Shape::from([1]), wire));
}

#[test]
fn the_smallest_numbers_are_zero_where_the_config_says_so_and_nowhere_else() {
    let loaded = |parameters: &str| {
        let graph = Graph::default()
            .node("Mul", &["x", "half"], &["y"])
            .input("x", element::FLOAT, Some(&[-1]))
            .initializer("half", element::FLOAT, &[1], &numbers([0.5f32]))
            .output("y", element::FLOAT, Some(&[-1]));
        load(graph, &format!("{} {parameters}", vectors(DataType::Fp32, &["x"], &["y"]))).unwrap()
    };
    let entry = r#"parameters { key: "session.set_denormal_as_zero" value { string_value: "1" } }"#;
    let four = r#"parameters { key: "intra_op_thread_count" value { string_value: "4" } }"#;
    // Whichever is made first, and also of a tensor that threads divide.
    let models = [loaded(entry), loaded(""), loaded(&format!("{entry} {four}")), loaded(four)];
    for count in [3, 400_000] {
        let small = numbers((0..count).map(|_| 1.2e-38f32));
        for (model, is_zero) in models.iter().zip([true, false, true, false]) {
            let (_, data) = model.output(vec![input(&[count], small.clone())]);
            let zeros = data.chunks(4).filter(|bits| **bits == [0; 4]).count() as i64;
            assert_eq!(zeros, if is_zero { count } else { 0 });
        }
    }
}

#[test]
fn the_config_may_reshape() {
    let text = r#"
        max_batch_size: 4
        input { name: "x" data_type: TYPE_INT32 dims: 6 reshape { shape: [ 2, 3 ] } }
        output { name: "y" data_type: TYPE_INT32 dims: [ 3, 2 ] reshape { shape: [ 2, 3 ] } }"#;
    let model = load(identity(element::INT32, Some(&[-1, 2, 3])), text).unwrap();
    let data = numbers(0..12i32);
    assert_eq!(model.output(vec![input(&[2, 6], data.clone())]), (Shape::from([2, 3, 2]), data));
}

#[test]
fn booleans_have_two_values() {
    const BOOL: u64 = 9;
    let graph = Graph::default()
        .node_with("Cast", &["x"], &["y"], &[("to", element::INT32)])
        .input("x", BOOL, Some(&[-1]))
        .output("y", element::INT32, Some(&[-1]));
    let text = r#"
        input { name: "x" data_type: TYPE_BOOL dims: -1 }
        output { name: "y" data_type: TYPE_INT32 dims: -1 }"#;
    let model = load(graph, text).unwrap();
    let (_, data) = model.output(vec![input(&[4], Bytes::from_static(&[0, 1, 2, 0xff]))]);
    assert_eq!(data, numbers([0, 1, 1, 1]));
}

#[test]
fn an_initializer_can_be_overridden_or_left_alone() {
    let graph = Graph::default()
        .node("Mul", &["x", "factor"], &["y"])
        .input("x", element::INT32, Some(&[-1]))
        .input("factor", element::INT32, Some(&[1]))
        .initializer("factor", element::INT32, &[1], &numbers([3]))
        .output("y", element::INT32, Some(&[-1]));
    let text = r#"
        input { name: "x" data_type: TYPE_INT32 dims: -1 }
        input { name: "factor" data_type: TYPE_INT32 dims: 1 optional: true }
        output { name: "y" data_type: TYPE_INT32 dims: -1 }"#;
    let model = load(graph, text).unwrap();
    let x = || input(&[2], numbers([1, 2]));
    assert_eq!(model.output(vec![x(), None]).1, numbers([3, 6]));
    assert_eq!(model.output(vec![x(), input(&[1], numbers([5]))]).1, numbers([5, 10]));
    let error = model.run(vec![None, None]).unwrap_err().reason();
    assert_eq!(
        error,
        "Invalid argument: model 'm' has no value of its own for input 'x', and the request gives none"
    );
}

#[test]
fn an_input_that_is_an_output_keeps_its_own_memory() {
    // Large enough to be shared, if it were the engine's memory.
    let count = 64 << 10;
    let graph = Graph::default()
        .node("Neg", &["x"], &["y"])
        .input("x", element::INT32, Some(&[-1]))
        .output("x", element::INT32, Some(&[-1]))
        .output("y", element::INT32, Some(&[-1]));
    let model = load(graph, &vectors(DataType::Int32, &["x"], &["x", "y"])).unwrap();
    let mut instance = model.instance();
    let mut responses = Vec::new();
    for turn in 0..3 {
        // Two segments, so that they are gathered into the instance's buffer.
        let pieces = [numbers([turn]), numbers((1..count as i32).map(|i| i + turn))];
        let tensor = InputTensor { shape: Shape::from([count]), data: pieces.into_iter().collect() };
        responses.push(execute(&mut *instance, &model.interface, vec![Some(tensor)]).unwrap());
    }
    for (turn, response) in (0i32..).zip(&responses) {
        let index = model.interface.outputs.iter().position(|spec| &*spec.name == "x").unwrap();
        assert_eq!(response.outputs[index].data, numbers((0..count as i32).map(|i| i + turn)));
    }
}

#[test]
fn a_constant_output_outlives_its_model() {
    let content = numbers(0..64 << 10);
    let graph = Graph::default()
        .node("Neg", &["x"], &["y"])
        .input("x", element::INT32, Some(&[1]))
        .initializer("table", element::INT32, &[64 << 10], &content)
        .output("y", element::INT32, Some(&[1]))
        .output("table", element::INT32, Some(&[64 << 10]));
    let model = load(graph, "max_batch_size: 0").unwrap();
    let response = model.run(vec![input(&[1], numbers([1]))]).unwrap();
    drop(model);
    assert_eq!(response.outputs[1].data, content);
}

#[test]
fn an_error_of_the_engine_is_told_with_its_code() {
    let graph = Graph::default()
        .node("Gather", &["table", "i"], &["y"])
        .input("i", element::INT64, Some(&[-1]))
        .initializer("table", element::INT32, &[3], &numbers([10, 20, 30]))
        .output("y", element::INT32, Some(&[-1]));
    let text = r#"
        input { name: "i" data_type: TYPE_INT64 dims: -1 }
        output { name: "y" data_type: TYPE_INT32 dims: -1 }"#;
    let model = load(graph, text).unwrap();
    let mut instance = model.instance();
    let mut run = |index: i64| -> Result<_, Error> {
        let response = execute(&mut *instance, &model.interface, vec![input(&[1], numbers([index]))])?;
        Ok(response.outputs[0].data.to_host().unwrap())
    };
    assert_eq!(run(2).unwrap(), numbers([30]));
    let error = run(3).unwrap_err().reason();
    assert!(error.starts_with("Internal: onnx runtime error 2: "), "{error}");
    assert_eq!(run(-1).unwrap(), numbers([30]));
}

#[test]
fn a_tensor_that_fits_into_no_memory_is_an_error() {
    let graph = Graph::default()
        .node("ConstantOfShape", &["shape"], &["y"])
        .input("shape", element::INT64, Some(&[2]))
        .output("y", element::FLOAT, Some(&[-1, -1]));
    let text = r#"
        input { name: "shape" data_type: TYPE_INT64 dims: 2 }
        output { name: "y" data_type: TYPE_FP32 dims: [ -1, -1 ] }"#;
    let model = load(graph, text).unwrap();
    let mut instance = model.instance();
    for shape in [[1i64 << 31, 1 << 31], [1 << 40, 1 << 40], [i64::MAX, 2], [-1, 2]] {
        let error = execute(&mut *instance, &model.interface, vec![input(&[2], numbers(shape))]).unwrap_err();
        assert!(error.reason().starts_with("Internal: onnx runtime error "), "{error:?}");
    }
    let response = execute(&mut *instance, &model.interface, vec![input(&[2], numbers([2i64, 1]))]).unwrap();
    assert_eq!((&response.outputs[0].shape, response.outputs[0].data.len()), (&Shape::from([2, 1]), 8));
}

#[test]
fn a_shape_that_the_model_refuses_is_an_error() {
    // A wrong shape, which the server would refuse before.
    let Loaded { model, config, interface, .. } = load(identity(element::FLOAT, Some(&[2])), "").unwrap();
    let spec = hippocamp_backend::InstanceSpec {
        name: "m_0_0".into(),
        index: 0,
        device: hippocamp_backend::Device::Cpu,
        config: std::sync::Arc::<ModelConfig>::clone(&config),
        interface: std::sync::Arc::<Interface>::clone(&interface),
    };
    let mut instance = model.new_instance(&spec).unwrap().into_box();
    let three = vec![input(&[3], numbers([1f32, 2., 3.]))];
    let error = execute(&mut *instance, &interface, three).unwrap_err().reason();
    assert!(error.starts_with("Internal: onnx runtime error 2: Got invalid dimensions"), "{error}");
    let too_few_bytes = vec![input(&[2], numbers([1f32]))];
    let error = execute(&mut *instance, &interface, too_few_bytes).unwrap_err().reason();
    assert!(error.starts_with("Internal: onnx runtime error 2: "), "{error}");
}

#[test]
fn parameters_reach_the_session() {
    let with = |key: &str, value: &str| {
        let parameter = format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}");
        vectors(DataType::Fp32, &["x"], &["y"]) + &parameter
    };
    for (key, value) in [
        ("intra_op_thread_count", "2"),
        ("execution_mode", "1"),
        ("level", "2"),
        ("enable_mem_arena", "0"),
        ("enable_mem_pattern", "0"),
        ("memory.enable_memory_arena_shrinkage", "cpu:0"),
        ("session.set_denormal_as_zero", "1"),
    ] {
        let model = load(identity(element::FLOAT, Some(&[-1])), &with(key, value)).unwrap();
        let data = numbers([1f32, 2.]);
        assert_eq!(model.output(vec![input(&[2], data.clone())]).1, data, "with {key}");
    }
}

#[test]
fn a_session_entry_that_the_engine_refuses_is_an_error() {
    let text = "parameters { key: \"session.x\" value { string_value: \"TOO_LONG\" } }";
    let text = text.replace("TOO_LONG", &"x".repeat(100_000));
    let reason = kit::refused(identity(element::FLOAT, Some(&[-1])), &text);
    assert!(reason.starts_with("Internal: onnx runtime error "), "{reason}");
}

#[test]
fn types_have_the_same_bytes_here_and_there() {
    for (number, data_type) in kit::onnx::ELEMENTS {
        let Some(size) = data_type.byte_size() else { continue };
        let model = load(identity(number, Some(&[-1])), &vectors(data_type, &["x"], &["y"])).unwrap();
        let data: Bytes =
            (0..4 * size).map(|i| if data_type == DataType::Bool { i % 2 } else { i } as u8).collect();
        assert_eq!(model.output(vec![input(&[4], data.clone())]), (Shape::from([4]), data), "{data_type}");
        assert_eq!(model.output(vec![input(&[0], Bytes::new())]).0, Shape::from([0]), "{data_type}");
    }
}

/// The only operator of the guard's table that is not known to fail.
#[test]
fn a_recurrent_model_takes_no_empty_tensor() {
    let graph = Graph::default()
        .node_with("RNN", &["x", "w", "r"], &["y"], &[("hidden_size", 1)])
        .input("x", element::FLOAT, Some(&[-1, -1, 2]))
        .initializer("w", element::FLOAT, &[1, 1, 2], &numbers([0f32, 0.]))
        .initializer("r", element::FLOAT, &[1, 1, 1], &numbers([0f32]))
        .output("y", element::FLOAT, Some(&[-1, 1, -1, 1]));
    let model = load(graph, "max_batch_size: 0").unwrap();
    let (shape, _) = model.output(vec![input(&[3, 1, 2], numbers([1f32; 6]))]);
    assert_eq!(shape, Shape::from([3, 1, 1, 1]));
    for shape in [[0, 1, 2], [3, 0, 2]] {
        let error = model.run(vec![input(&shape, Bytes::new())]).unwrap_err();
        let text = format!(
            "Invalid argument: input 'x' of model 'm' was expected to have elements, got shape {}: the model's operator RNN \
             does not take an empty tensor",
            Shape::from(shape)
        );
        assert_eq!(error.reason(), text);
    }
}

#[test]
fn instances_run_at_the_same_time() {
    let dims: &[i64] = &[-1, -1];
    let graph = Graph::default()
        .node("Add", &["x", "x"], &["twice"])
        .node("Neg", &["twice"], &["y"])
        .input("x", element::INT32, Some(dims))
        .output("y", element::INT32, Some(dims));
    let model = load(graph, "max_batch_size: 64").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4i32 {
            let model = &model;
            scope.spawn(move || {
                let mut instance = model.instance();
                for round in 0..40 {
                    // Small outputs are copied and large ones shared; both stay valid during further executions.
                    let (rows, columns) = (1 + i64::from(round % 7), 1 + i64::from(round * 97 % 5000));
                    let values: Vec<i32> = (0..(rows * columns) as i32).map(|i| i ^ thread << 24).collect();
                    let expected = numbers(values.iter().map(|value| value.wrapping_mul(-2)));
                    let inputs = vec![input(&[rows, columns], numbers(values))];
                    let response = execute(&mut *instance, &model.interface, inputs).unwrap();
                    assert_eq!(response.outputs[0].data, expected);
                }
            });
        }
    });
}

#[test]
fn the_smallest_number_is_not_divided() {
    let graph = Graph::default()
        .node("Div", &["a", "b"], &["y"])
        .input("a", element::INT32, Some(&[2]))
        .input("b", element::INT32, Some(&[2]))
        .output("y", element::INT32, Some(&[2]));
    let model = load(graph, "").unwrap();
    let divided = |a: i32| model.run(vec![input(&[2], numbers([6, a])), input(&[2], numbers([2i32, 3]))]);
    assert_eq!(divided(9).unwrap().outputs[0].data, numbers([3i32, 3]));
    // Division by 3 would be safe, but is refused as well.
    let error = divided(i32::MIN).unwrap_err();
    assert!(error.message().contains("which the model cannot divide"), "{error}");
}

/// Its runs take long enough to be worth a session that computes on one thread, which is then used for some of them.
#[test]
fn answers_stay_the_same_while_an_instance_gets_another_session() {
    const WIDTH: usize = 256;
    let doubling: Vec<f32> = (0..WIDTH * WIDTH).map(|i| if i % (WIDTH + 1) == 0 { 2. } else { 0. }).collect();
    let graph = Graph::default()
        .initializer("w", element::FLOAT, &[WIDTH as i64; 2], &numbers(doubling))
        .node("MatMul", &["x", "w"], &["y"])
        .input("x", element::FLOAT, Some(&[-1, WIDTH as i64]))
        .output("y", element::FLOAT, Some(&[-1, WIDTH as i64]));
    let model = load(graph, "max_batch_size: 64").unwrap();
    let mut instance = model.instance();
    for n in 0..2000 {
        let rows = [1, 7, 16, 64][n % 4];
        let values = |factor: usize| numbers((0..rows * WIDTH).map(|i| ((i + n) % 97 * factor) as f32));
        let response =
            execute(&mut *instance, &model.interface, vec![input(&[rows as i64, WIDTH as i64], values(1))]);
        assert_eq!(response.unwrap().outputs[0].data, values(2), "run {n}");
    }
}
