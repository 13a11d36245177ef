use hippocamp_tensor::DataType;

use super::check;
use crate::{FaultKind, Signature, SignatureTensor, parse};

fn tensor(name: &str, data_type: DataType, dims: &[i64]) -> SignatureTensor {
    SignatureTensor { name: name.into(), data_type, dims: Some(dims.to_vec()), optional: false }
}

fn signature() -> Signature {
    Signature {
        inputs: vec![tensor("x", DataType::Fp32, &[-1, 256])],
        outputs: vec![tensor("y", DataType::Fp32, &[-1, -1])],
    }
}

fn errors(text: &str, signature: &Signature) -> Vec<String> {
    let config =
        parse(&format!("name: \"m\" {text}"), "c").unwrap_or_else(|faults| panic!("{faults}")).config;
    let faults = check(&config, signature).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.message).collect()
}

fn batching(input: &str) -> Vec<String> {
    let text = format!(
        "max_batch_size: 8 input {{ {input} }} output {{ name: \"y\" data_type: TYPE_FP32 dims: -1 }}"
    );
    errors(&text, &signature())
}

#[test]
fn what_fits_is_fine() {
    assert_eq!(batching("name: \"x\" data_type: TYPE_FP32 dims: 256"), [""; 0]);
    assert_eq!(batching("name: \"x\" data_type: TYPE_FP32 dims: [ 16, 16 ] reshape { shape: 256 }"), [""; 0]);
    let whole = "input { name: \"x\" data_type: TYPE_FP32 dims: [ 7, 256 ] } output { name: \"y\" data_type: \
                 TYPE_FP32 dims: [ -1, -1 ] }";
    assert_eq!(errors(whole, &signature()), [""; 0]);
}

/// As the tutorial's tool for TensorRT Inference Server exports its network.
fn of_one() -> Signature {
    Signature {
        inputs: vec![tensor("x", DataType::Fp32, &[1, 3, 8])],
        outputs: vec![tensor("y", DataType::Fp32, &[1, 2])],
    }
}

#[test]
fn a_model_of_one_item_takes_a_batch_of_one_and_no_larger() {
    let config = |max: i32, x: &str| {
        format!(
            "max_batch_size: {max} input {{ name: \"x\" data_type: TYPE_FP32 {x} }} \
             output {{ name: \"y\" data_type: TYPE_FP32 dims: [ 1, 2 ] reshape {{ shape: 2 }} }}"
        )
    };
    assert_eq!(errors(&config(1, "dims: [ 3, 8 ]"), &of_one()), [""; 0]);
    assert_eq!(errors(&config(1, "dims: [ 1, 3, 8 ] reshape { shape: [ 3, 8 ] }"), &of_one()), [""; 0]);
    let twice = errors(&config(1, "dims: [ 1, 3, 8 ]"), &of_one());
    assert!(twice[0].contains("making complete shape [1,1,3,8])"), "{twice:?}");
    let larger = errors(&config(2, "dims: [ 3, 8 ]"), &of_one());
    assert!(larger.iter().all(|error| error.contains("the first dimension must be -1")), "{larger:?}");
    assert_eq!(larger.len(), 2);
}

#[test]
fn faults_say_what_would_be_right() {
    let kinds = |text: &str, signature: &Signature| {
        let config = parse(&format!("name: \"m\" {text}"), "c").unwrap().config;
        check(&config, signature).unwrap_err().into_iter().map(|fault| fault.kind).collect::<Vec<_>>()
    };
    let x = |max: i32, dims: &str| {
        format!("max_batch_size: {max} input {{ name: \"x\" data_type: TYPE_FP32 dims: {dims} }}")
    };
    let y = "output { name: \"y\" data_type: TYPE_FP32 dims: -1 }";
    let expected = |max: i32, dims: &str| kinds(&format!("{} {y}", x(max, dims)), &signature());
    assert_eq!(expected(8, "[ 16, 16 ]"), [FaultKind::DimsDiffer { provided: vec![256] }]);
    let one = FaultKind::Expected { field: "max_batch_size", value: "1".to_owned() };
    let y = "output { name: \"y\" data_type: TYPE_FP32 dims: 2 }";
    assert_eq!(kinds(&format!("{} {y}", x(4, "[ 3, 8 ]")), &of_one()), [one.clone(), one.clone()]);
    assert_eq!(
        kinds(&format!("{} {y}", x(4, "[ 1, 3, 8 ]")), &of_one()),
        [FaultKind::NotBatching, one],
        "its dims have the batch in them"
    );
}

#[test]
fn data_types_have_to_agree() {
    let model = Signature {
        inputs: vec![
            tensor("INPUT0", DataType::Int32, &[-1, 16]),
            tensor("INPUT1", DataType::Bytes, &[-1, 16]),
        ],
        outputs: vec![tensor("OUTPUT0", DataType::Int32, &[-1, 16])],
    };
    let text = "max_batch_size: 8 input [ { name: \"INPUT0\" data_type: TYPE_FP32 dims: 16 }, \
                { name: \"INPUT1\" data_type: TYPE_FP32 dims: 16 } ] \
                output { name: \"OUTPUT0\" data_type: TYPE_STRING dims: 16 }";
    assert_eq!(
        errors(text, &model),
        [
            "unable to load model 'm', configuration expects datatype TYPE_FP32 for input 'INPUT0', model provides \
             TYPE_INT32",
            "unable to load model 'm', configuration expects datatype TYPE_FP32 for input 'INPUT1', model provides \
             TYPE_BYTES",
            "unable to load model 'm', configuration expects datatype TYPE_STRING for output 'OUTPUT0', model provides \
             TYPE_INT32",
        ]
    );
}

#[test]
fn shapes_have_to_agree() {
    assert_eq!(
        batching("name: \"x\" data_type: TYPE_FP32 dims: 128"),
        [
            "model 'm', tensor 'x': the model expects 2 dimensions (shape [-1,256]) but the model configuration specifies 2 \
         dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, \
         making complete shape [-1,128])"
        ]
    );
    assert_eq!(batching("name: \"x\" data_type: TYPE_FP32 dims: -1").len(), 1, "a free size for a fixed one");
    let output = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 256 ] } output { name: \"y\" data_type: TYPE_FP32 \
                  dims: [ -1, 3 ] }";
    assert_eq!(
        errors(output, &signature()),
        [
            "model 'm', tensor 'y': the model expects 2 dimensions (shape [-1,-1]) but the model configuration specifies 2 \
         dimensions (shape [-1,3])"
        ]
    );
    let mut fixed = signature();
    fixed.inputs[0].dims = Some(vec![1, 256]);
    fixed.outputs[0].dims = None;
    let text = "max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: 256 } output { name: \"y\" data_type: \
                TYPE_FP32 dims: 5 }";
    assert_eq!(
        errors(text, &fixed),
        [
            "model 'm', tensor 'x': for the model to support batching the shape should have at least 1 dimension and the \
         first dimension must be -1; but shape expected by the model is [1,256]"
        ]
    );
}

#[test]
fn names_have_to_agree() {
    assert_eq!(
        batching("name: \"zz\" data_type: TYPE_FP32 dims: 256"),
        [
            "unexpected inference input 'zz', allowed inputs are: x",
            "unable to load model 'm', the model requires input 'x', but the configuration has none",
        ]
    );
    assert_eq!(
        errors("output { name: \"q\" data_type: TYPE_FP32 dims: 1 }", &signature()),
        [
            "unable to load model 'm', configuration expects 0 inputs, model provides 1",
            "unexpected inference output 'q', allowed outputs are: y",
            "unable to load model 'm', the model requires input 'x', but the configuration has none",
        ]
    );
}

#[test]
fn initializers_may_be_listed_as_optional() {
    let mut model = signature();
    model.inputs.push(SignatureTensor { optional: true, ..tensor("w", DataType::Fp32, &[2]) });
    let text = "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 256 ] }, { name: \"w\" data_type: TYPE_FP32 \
                dims: 2 optional: true } ] output { name: \"y\" data_type: TYPE_FP32 dims: [ -1, -1 ] }";
    assert_eq!(errors(text, &model), [""; 0]);
    assert_eq!(
        errors(&text.replace(" optional: true", ""), &model),
        ["unable to load model 'm', configuration expects 2 inputs, model provides 1"]
    );
    let batching = text.replace("-1, 256", "256").replace("-1, -1", "-1") + " max_batch_size: 8";
    assert_eq!(
        errors(&batching, &model)[0],
        "unable to load model 'm', optional input 'w' is not supported for models that support batching"
    );
}

#[test]
fn scalars_are_written_as_one() {
    let model = Signature {
        inputs: vec![tensor("x", DataType::Fp32, &[])],
        outputs: vec![tensor("y", DataType::Fp32, &[])],
    };
    let text = "input { name: \"x\" data_type: TYPE_FP32 dims: 1 } output { name: \"y\" data_type: TYPE_FP32 dims: 2 }";
    assert_eq!(
        errors(text, &model),
        [
            "unable to load model 'm', scalar tensor 'y', should only provide 1 in the model configuration when the model \
         doesn't support batching. Model configuration provided: [2]."
        ]
    );
}

#[test]
fn ragged_inputs_are_flat_in_the_model() {
    let ragged = "input { name: \"x\" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true } \
                  batch_input { target_name: \"n\" data_type: TYPE_INT32 source_input: \"x\" } \
                  batch_output { target_name: \"y\" source_input: \"x\" } \
                  output { name: \"y\" data_type: TYPE_FP32 dims: 9 } max_batch_size: 8";
    let mut model = Signature {
        inputs: vec![tensor("x", DataType::Fp32, &[-1]), tensor("n", DataType::Int32, &[-1])],
        outputs: vec![tensor("y", DataType::Fp32, &[-1])],
    };
    assert_eq!(errors(ragged, &model), [""; 0]);
    model.inputs[0].dims = Some(vec![-1, 4]);
    assert_eq!(
        errors(ragged, &model),
        [
            "unable to load model 'm', configuration expects model provides input with shape [-1]  for ragged input 'x', \
         model provides [-1,4]"
        ]
    );
}

#[test]
fn sequences_find_their_tensors() {
    let text = "max_batch_size: 8 sequence_batching { \
                control_input [ { name: \"start\" control { int32_false_true: [ 0, 1 ] } }, \
                { name: \"id\" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } } ] \
                state { input_name: \"in\" output_name: \"out\" data_type: TYPE_INT32 dims: 1 } }";
    let mut model = Signature {
        inputs: vec![
            tensor("start", DataType::Int32, &[-1, 1]),
            tensor("id", DataType::Uint64, &[-1, 1]),
            tensor("in", DataType::Int32, &[-1, 1]),
        ],
        outputs: vec![tensor("out", DataType::Int32, &[-1, 1])],
    };
    assert_eq!(errors(text, &model), [""; 0]);
    model.inputs[0] = tensor("start", DataType::Fp32, &[-1, 2]);
    model.inputs.remove(1);
    model.outputs[0].data_type = DataType::Int64;
    assert_eq!(
        errors(text, &model),
        [
            "unable to load model 'm', sequence control 'start' in model has dims [2] but dims [1] is expected",
            "unable to load model 'm', sequence control 'start', the model expects data-type TYPE_FP32 but the model \
             configuration specifies data-type TYPE_INT32",
            "configuration specified sequence control 'id', but model does not provide that input",
            "unable to load model 'm', configuration expects 3 inputs, model provides 2",
            "unable to load model 'm', configuration expects datatype TYPE_INT32 for output state 'out', model provides \
             TYPE_INT64",
        ]
    );
}
