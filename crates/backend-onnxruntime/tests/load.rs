//! Loading: what is read from a file, and which files are refused.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use hippocamp_backend::{Backend, Device};
use hippocamp_model_config::{Interface, data_type};
use hippocamp_tensor::{DataType, Shape};
use kit::onnx::{Graph, element};
use kit::{BACKEND, FILE, Folder, Loaded, backend, load, load_file, numbers, refused};

fn add_sub() -> Graph {
    Graph::default()
        .node("Add", &["INPUT0", "INPUT1"], &["OUTPUT0"])
        .node("Sub", &["INPUT0", "INPUT1"], &["OUTPUT1"])
        .input("INPUT0", element::INT32, Some(&[-1, 16]))
        .input("INPUT1", element::INT32, Some(&[-1, 16]))
        .output("OUTPUT0", element::INT32, Some(&[-1, 16]))
        .output("OUTPUT1", element::INT32, Some(&[-1, 16]))
}

#[test]
fn a_config_is_completed_from_the_file() {
    let Loaded { config, interface, .. } = load(add_sub(), "").unwrap();
    assert_eq!(config.max_batch_size, 4);
    let names = |of: &Interface| {
        let inputs = of.inputs.iter().map(|spec| (spec.name.to_string(), spec.data_type, spec.dims.clone()));
        inputs.collect::<Vec<_>>()
    };
    let expected = |name: &str| (name.to_owned(), DataType::Int32, Shape::from([16]));
    assert_eq!(names(&interface), [expected("INPUT0"), expected("INPUT1")]);
    assert_eq!(interface.outputs.len(), 2);
}

#[test]
fn an_initializer_among_the_inputs_is_not_demanded() {
    let graph = Graph::default()
        .node("Mul", &["x", "factor"], &["y"])
        .input("x", element::INT32, Some(&[-1]))
        .input("factor", element::INT32, Some(&[1]))
        .initializer("factor", element::INT32, &[1], &numbers([3]))
        .output("y", element::INT32, Some(&[-1]));
    let Loaded { config, .. } = load(graph, "max_batch_size: 0").unwrap();
    let demanded: Vec<_> = config.input.iter().filter(|i| !i.optional).map(|i| i.name.as_str()).collect();
    assert_eq!(demanded, ["x"]);
}

#[test]
fn a_tensor_of_any_rank_takes_the_shape_of_the_config() {
    let graph = || {
        Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, None).output(
            "y",
            element::FLOAT,
            None,
        )
    };
    let text = r#"
        input { name: "x" data_type: TYPE_FP32 dims: [ 2, -1 ] }
        output { name: "y" data_type: TYPE_FP32 dims: [ 2, -1 ] }"#;
    let loaded = load(graph(), text).unwrap();
    assert_eq!(data_type(loaded.config.input[0].data_type), Some(DataType::Fp32));
    let (shape, data) = loaded.output(vec![kit::input(&[2, 1], numbers([1.5f32, -2.0]))]);
    assert_eq!((shape, data), (Shape::from([2, 1]), numbers([-1.5f32, 2.0])));
}

#[test]
fn a_contradicting_config_is_refused() {
    let text = |data_type: &str, name: &str| {
        format!(
            "max_batch_size: 8 \
             input {{ name: \"INPUT0\" data_type: {data_type} dims: 16 }} \
             input {{ name: \"{name}\" data_type: TYPE_INT32 dims: 16 }} \
             output {{ name: \"OUTPUT0\" data_type: TYPE_INT32 dims: 16 }}"
        )
    };
    assert_eq!(
        refused(add_sub(), &text("TYPE_FP32", "INPUT1")),
        "Invalid argument: unable to load model 'm', configuration expects datatype TYPE_FP32 for input 'INPUT0', \
         model provides TYPE_INT32"
    );
    assert!(refused(add_sub(), &text("TYPE_INT32", "OTHER")).contains("'OTHER'"));
}

#[test]
fn no_file_is_told_with_its_path() {
    let folder = Folder::new();
    let error = backend().load(&folder.source(BACKEND, "")).err().unwrap();
    assert_eq!(error.reason(), format!("Internal: failed to stat file {}", folder.path(FILE).display()));
}

#[test]
fn a_folder_may_hold_the_file() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path(FILE)).unwrap();
    let error = backend().load(&folder.source(BACKEND, "")).err().unwrap();
    let inner = folder.path(FILE).join("model.onnx");
    assert_eq!(error.reason(), format!("Internal: failed to stat file {}", inner.display()));
    std::fs::write(inner, add_sub().encode()).unwrap();
    backend().load(&folder.source(BACKEND, "")).map(drop).unwrap();
}

#[test]
fn another_file_can_be_named_but_not_elsewhere() {
    let folder = Folder::new();
    std::fs::write(folder.root().join("m/1/other.onnx"), add_sub().encode()).unwrap();
    backend().load(&folder.source(BACKEND, "default_model_filename: \"other.onnx\"")).map(drop).unwrap();
    std::fs::write(folder.root().join("outside.onnx"), add_sub().encode()).unwrap();
    for name in ["../../outside.onnx", "/etc/hostname", ".", "a\\000b"] {
        let error = backend()
            .load(&folder.source(BACKEND, &format!("default_model_filename: \"{name}\"")))
            .err()
            .unwrap();
        assert!(error.message().contains("was expected to name a file in the version's folder"), "{error}");
    }
}

#[test]
fn no_file_content_does_any_harm() {
    let whole = add_sub().encode();
    let mut refused = 0;
    for end in 0..whole.len() {
        refused += usize::from(load_file(&whole[..end], "").is_err());
    }
    assert!(refused > whole.len() / 2, "{refused} of {} prefixes were refused", whole.len());
    for (at, _) in whole.iter().enumerate() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bent = whole.clone();
            bent[at] ^= flip;
            drop(load_file(&bent, ""));
        }
    }
    for garbage in [&b""[..], b"***", b"\x7fELF", &[0xff; 4096], &[0; 4096], &[0x0a; 8192]] {
        let error = load_file(garbage, "").expect_err("garbage was expected to be refused");
        assert!(error.reason().starts_with("Internal: onnx runtime error "), "{error:?}");
        assert!(error.message().contains("m/1/model.onnx"), "{error:?}");
    }
}

#[test]
fn what_is_no_tensor_is_refused_by_name() {
    let sequence = Graph::default()
        .node("SequenceConstruct", &["x"], &["y"])
        .input("x", element::FLOAT, Some(&[2]))
        .sequence_output("y", element::FLOAT);
    let reason = refused(sequence, "");
    assert!(
        reason.starts_with("Unsupported: unable to load model 'm', output 'y' is no tensor but Sequence<"),
        "{reason}"
    );
}

/// A classifier with a label and a map of probabilities, as exported from scikit-learn.
fn classifier() -> Vec<u8> {
    Graph::default()
        .node("Neg", &["x"], &["label"])
        .node_of("ai.onnx.ml", "ZipMap", &["x"], &["probability"], &[("classlabels_int64s", &[0, 1])])
        .input("x", element::FLOAT, Some(&[-1, 2]))
        .output("label", element::FLOAT, Some(&[-1, 2]))
        .maps_output("probability", element::FLOAT)
        .encode_for(9, &[("", 19), ("ai.onnx.ml", 1)])
}

#[test]
fn a_zip_map_is_refused_with_the_way_out_and_done_without() {
    let reason = load_file(&classifier(), "").err().unwrap().reason();
    assert!(
        reason.starts_with(
            "Unsupported: unable to load model 'm', output 'probability' is no tensor but Sequence<Map<"
        ) && reason.contains("options={'zipmap': False}"),
        "{reason}"
    );
    let both = "output { name: \"label\" } output { name: \"probability\" }";
    assert!(load_file(&classifier(), both).is_err(), "it is asked for");
    let loaded = load_file(&classifier(), "output { name: \"label\" }").unwrap();
    let (shape, data) = loaded.output(vec![kit::input(&[1, 2], numbers([1f32, 2.]))]);
    assert_eq!((shape, data), (Shape::from([1, 2]), numbers([-1f32, -2.])));
}

#[test]
fn an_input_of_any_rank_needs_dims() {
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, None).output(
        "y",
        element::FLOAT,
        Some(&[2]),
    );
    assert_eq!(
        refused(graph, ""),
        "Invalid argument: unable to load model 'm', the model file does not say how many dimensions input 'x' has: the \
         config has to give its dims"
    );
}

#[test]
fn an_output_that_is_declared_wrongly_is_served_as_it_is() {
    let graph = || {
        Graph::default().node("Neg", &["x"], &["y"]).input("x", element::FLOAT, Some(&[1, 2])).output(
            "y",
            element::FLOAT,
            Some(&[2]),
        )
    };
    for (config, dims) in
        [("", [-1].as_slice()), ("output { name: \"y\" data_type: TYPE_FP32 dims: [ 1, 2 ] }", &[1, 2])]
    {
        let loaded = load(graph(), config).unwrap();
        assert_eq!(loaded.config.output[0].dims, dims);
        let (shape, data) = loaded.output(vec![kit::input(&[1, 2], numbers([1f32, 2.]))]);
        assert_eq!((shape, data), (Shape::from([1, 2]), numbers([-1f32, -2.])));
    }
}

#[test]
fn a_model_newer_than_the_library_is_refused_with_its_ceiling() {
    let reason = |ir_version, opset| {
        load_file(&add_sub().encode_for(ir_version, &[("", opset)]), "").err().unwrap().reason()
    };
    let start = "Unsupported: unable to load model 'm', it has";
    let text = reason(99, 19);
    assert!(text.starts_with(&format!("{start} IR version 99, ONNX Runtime 1.3")), "{text}");
    assert!(text.contains("at most (it was written by kit 1.2)"), "{text}");
    let text = reason(9, 999);
    assert!(
        text.starts_with(&format!("{start} version 999 of the operators ai.onnx, ONNX Runtime 1.3")),
        "{text}"
    );
}

#[test]
fn a_file_in_the_engines_own_format_may_have_any_name() {
    let loaded = load_file(include_bytes!("models/neg.ort"), "").unwrap();
    let (_, data) = loaded.output(vec![kit::input(&[2], numbers([1f32, 2.]))]);
    assert_eq!(data, numbers([-1f32, -2.]));
}

#[test]
fn what_no_client_can_send_is_refused_by_name() {
    let small_float = Graph::default()
        .node_with("Cast", &["x"], &["y"], &[("to", element::FLOAT)])
        .input("x", element::FLOAT8E4M3FN, Some(&[2]))
        .output("y", element::FLOAT, Some(&[2]));
    assert_eq!(
        refused(small_float, ""),
        "Unsupported: unable to load model 'm', input 'x' has elements of type f8_e4m3fn, which no client can send"
    );
}

#[test]
fn a_gpu_is_refused_where_the_library_has_none() {
    let error = load(add_sub(), "").unwrap().instance_on(Device::Gpu(0)).err().unwrap();
    let reason = error.reason();
    assert!(
        reason.starts_with("Unsupported: unable to load model 'm', its config asks for CUDA, and '"),
        "{reason}"
    );
    assert!(reason.contains("libonnxruntime_providers_cuda.so' is not there"), "{reason}");
    assert!(reason.contains("pip install onnxruntime-gpu"), "{reason}");
    let text = "optimization { execution_accelerators { cpu_execution_accelerator { name: \"openvino\" } } }";
    assert!(refused(add_sub(), text).contains("its config asks for OpenVINO"));
}

#[test]
fn instances_share_the_files_unless_each_has_something_of_its_own() {
    let folder = Folder::with(FILE, b"is not looked at");
    let parameter = |key: &str, value: &str| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}")
    };
    let own_threads = parameter("intra_op_thread_count", "2");
    let share = |value: &str| parameter("share_session_between_instances", value);
    for (config, shared) in [
        ("instance_group { count: 3 kind: KIND_CPU }".to_owned(), true),
        (parameter("intra_op_thread_count", "1"), true),
        (own_threads.clone(), false),
        (own_threads + &share("1"), true),
        (share("0"), false),
        ("model_operations { op_library_filename: \"o.so\" }".to_owned(), false),
        ("instance_group { count: 2 kind: KIND_GPU gpus: 0 }".to_owned(), false),
        (parameter("intra_op_thread_count", "many"), false),
    ] {
        assert_eq!(backend().shares_files(&folder.source(BACKEND, &config).config), shared, "{config}");
    }
}

#[test]
fn small_models_have_extra_instances_unless_each_has_something_of_its_own() {
    let parameter = |key: &str, value: &str| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}")
    };
    for (config, expected) in [
        (String::new(), true),
        ("instance_group { count: 3 kind: KIND_CPU }".to_owned(), true),
        (parameter("intra_op_thread_count", "1"), true),
        (parameter("intra_op_thread_count", "2"), false),
        (parameter("share_session_between_instances", "0"), false),
    ] {
        let loaded = load(add_sub(), &config).unwrap();
        let extra = loaded.model.extra_instance(&loaded.spec(Device::Cpu));
        assert_eq!(extra.is_some(), expected, "{config}");
        let Some(extra) = extra else { continue };
        let inputs =
            || [1, 2].map(|factor| kit::input(&[1, 16], numbers((0..16).map(|i| i * factor)))).to_vec();
        let [ours, theirs] = [loaded.instance(), extra as Box<dyn hippocamp_backend::ModelInstance>]
            .each_mut()
            .map(|instance| kit::execute(&mut **instance, &loaded.interface, inputs()).unwrap());
        assert_eq!(theirs.outputs.len(), 2);
        for (ours, theirs) in ours.outputs.iter().zip(&theirs.outputs) {
            let [ours, theirs] = [ours, theirs].map(|output| (&output.shape, output.data.to_host().unwrap()));
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn a_model_whose_file_was_replaced_or_is_large_has_no_extra_instance() {
    let folder = Folder::with(FILE, &add_sub().encode());
    let source = folder.source(BACKEND, "");
    let model = backend().load(&source).unwrap();
    let loaded = load(add_sub(), "").unwrap();
    let spec = loaded.spec(Device::Cpu);
    assert!(model.extra_instance(&spec).is_some());
    let mut other = add_sub().encode();
    std::fs::write(folder.path(FILE), &other).unwrap();
    assert!(model.extra_instance(&spec).is_some(), "it is the same");
    other.push(0);
    std::fs::write(folder.path(FILE), &other).unwrap();
    assert!(model.extra_instance(&spec).is_none());
    std::fs::remove_file(folder.path(FILE)).unwrap();
    assert!(model.extra_instance(&spec).is_none());

    let weights = vec![0; 2 << 20];
    let large = Graph::default()
        .initializer("w", element::FLOAT, &[2 << 18], &weights)
        .node("Add", &["x", "w"], &["y"])
        .input("x", element::FLOAT, Some(&[1]))
        .output("y", element::FLOAT, Some(&[2 << 18]));
    let loaded = load(large, "").unwrap();
    assert!(loaded.model.extra_instance(&loaded.spec(Device::Cpu)).is_none());
}
