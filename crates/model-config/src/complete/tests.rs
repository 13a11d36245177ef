use hippocamp_proto::inference::{ModelConfig, model_config::SchedulingChoice};
use hippocamp_tensor::DataType;

use super::{CompleteOptions, complete};
use crate::{Signature, SignatureTensor, parse};

fn tensor(name: &str, dims: &[i64]) -> SignatureTensor {
    SignatureTensor {
        name: name.into(),
        data_type: DataType::Fp32,
        dims: Some(dims.to_vec()),
        optional: false,
    }
}

fn signature(input: &[i64], output: &[i64]) -> Signature {
    Signature { inputs: vec![tensor("x", input)], outputs: vec![tensor("y", output)] }
}

fn completed(text: &str, signature: &Signature) -> Result<ModelConfig, Vec<String>> {
    let mut config = parse(&format!("name: \"m\" {text}"), "c").unwrap().config;
    let completed = complete(&mut config, signature, &CompleteOptions::default());
    completed.map_err(|faults| faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>())?;
    Ok(config)
}

fn dims(config: &ModelConfig) -> (&[i64], &[i64]) {
    (&config.input[0].dims, &config.output[0].dims)
}

fn preferred(config: &ModelConfig) -> Option<&[i32]> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => Some(&batching.preferred_batch_size),
        _ => None,
    }
}

#[test]
fn a_free_first_dimension_is_the_batch() {
    let config = completed("", &signature(&[-1, 3, -1], &[-1, 10])).unwrap();
    assert_eq!((config.max_batch_size, dims(&config)), (4, ([3, -1].as_slice(), [10].as_slice())));
    assert_eq!(preferred(&config), Some([4].as_slice()));
    assert_eq!(config.input[0].data_type, crate::config_value(DataType::Fp32));
}

/// A config's sizes are 1 and more, or free; a model may have tensors without elements.
#[test]
fn a_size_of_zero_is_free_in_a_config() {
    let model = signature(&[2, 0], &[-1, 0]);
    let config = completed("", &model).unwrap();
    assert_eq!(dims(&config), ([2, -1].as_slice(), [-1, -1].as_slice()));
    crate::check(&config, &model).unwrap();
}

#[test]
fn one_fixed_first_dimension_is_enough_against_it() {
    let config = completed("", &signature(&[-1, 3], &[1, 10])).unwrap();
    assert_eq!((config.max_batch_size, dims(&config)), (0, ([-1, 3].as_slice(), [1, 10].as_slice())));
    assert_eq!(preferred(&config), None);
    assert_eq!(
        completed("max_batch_size: 2", &signature(&[-1, 3], &[1, 10])).unwrap_err(),
        [
            "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is specified"
        ]
    );
}

#[test]
fn a_given_batch_size_is_kept() {
    let batched = signature(&[-1, 3], &[-1]);
    let config = completed("max_batch_size: 16", &batched).unwrap();
    assert_eq!((config.max_batch_size, preferred(&config)), (16, Some([16].as_slice())));
    // A batch of one needs no batcher.
    assert_eq!(preferred(&completed("max_batch_size: 1", &batched).unwrap()), None);
    let sequence = completed("sequence_batching { }", &batched).unwrap();
    assert_eq!((sequence.max_batch_size, preferred(&sequence)), (4, None));
    let mut plain = ModelConfig::default();
    complete(&mut plain, &batched, &CompleteOptions { default_max_batch_size: 0, disable: false }).unwrap();
    assert_eq!((plain.max_batch_size, dims(&plain).0), (0, [-1, 3].as_slice()));
}

#[test]
fn scalars_become_shape_one() {
    let config = completed("", &signature(&[-1, 3], &[-1])).unwrap();
    assert_eq!(config.output[0].dims, [1]);
    assert!(config.output[0].reshape.as_ref().is_some_and(|reshape| reshape.shape.is_empty()));
    let config = completed("", &signature(&[], &[2])).unwrap();
    assert_eq!((config.input[0].dims.as_slice(), &config.input[0].reshape), ([1].as_slice(), &None));
    let mut unknown = signature(&[-1, 3], &[]);
    unknown.outputs[0].dims = None;
    let config = completed("", &unknown).unwrap();
    assert_eq!((config.max_batch_size, dims(&config)), (0, ([-1, 3].as_slice(), [-1].as_slice())));
}

#[test]
fn the_dims_of_an_input_without_a_rank_are_asked_for() {
    let mut unknown = signature(&[], &[-1, 3]);
    unknown.inputs[0].dims = None;
    let message = "unable to load model 'm', the model file does not say how many dimensions input 'x' has: the config has \
                   to give its dims";
    assert_eq!(completed("", &unknown).unwrap_err(), [message]);
    assert_eq!(completed("input { name: \"x\" data_type: TYPE_FP32 }", &unknown).unwrap_err(), [message]);
    let config = completed("input { name: \"x\" data_type: TYPE_FP32 dims: [ 2, -1 ] }", &unknown).unwrap();
    assert_eq!(dims(&config), ([2, -1].as_slice(), [-1, 3].as_slice()));
}

#[test]
fn a_complete_config_is_left_alone() {
    let text = "input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 3 ] } output { name: \"y\" data_type: TYPE_FP32 \
                dims: [ -1, 10 ] }";
    let config = completed(text, &signature(&[-1, 3], &[-1, 10])).unwrap();
    assert_eq!((config.max_batch_size, preferred(&config)), (0, None));
}

#[test]
fn lists_are_completed_one_by_one_and_by_name() {
    let model = signature(&[-1, 3], &[-1, 10]);
    let config =
        completed("input { name: \"x\" dims: [ 3 ] label: 1 }".replace(" label: 1", "").as_str(), &model)
            .unwrap();
    assert_eq!((config.max_batch_size, dims(&config)), (4, ([3].as_slice(), [10].as_slice())));
    assert_eq!(config.input[0].data_type, config.output[0].data_type);

    // Whoever wrote all dimensions left none to batch by.
    let config = completed("input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 3 ] }", &model).unwrap();
    assert_eq!((config.max_batch_size, dims(&config)), (0, ([-1, 3].as_slice(), [-1, 10].as_slice())));

    let config = completed("output { name: \"y\" label_filename: \"l.txt\" }", &model).unwrap();
    assert_eq!((config.output[0].label_filename.as_str(), dims(&config).1), ("l.txt", [10].as_slice()));
}

#[test]
fn unknown_names_are_reported_all() {
    assert_eq!(
        completed(
            "input { name: \"zz\" } output [ { name: \"a\" }, { name: \"b\" } ]",
            &signature(&[1], &[1])
        )
        .unwrap_err(),
        [
            "unexpected inference input 'zz', allowed inputs are: x",
            "unexpected inference output 'a', allowed outputs are: y",
            "unexpected inference output 'b', allowed outputs are: y",
        ]
    );
}

#[test]
fn what_the_server_fills_is_not_asked_of_requests() {
    let mut model = signature(&[-1, 3], &[-1, 10]);
    model.inputs.push(SignatureTensor { optional: true, ..tensor("weights", &[3, 3]) });
    model.inputs.push(tensor("start", &[-1, 1]));
    model.inputs.push(tensor("state_in", &[-1, 2]));
    model.outputs.push(tensor("state_out", &[-1, 2]));
    let text = "sequence_batching { control_input { name: \"start\" control { fp32_false_true: [ 0, 1 ] } } \
                state { input_name: \"state_in\" output_name: \"state_out\" data_type: TYPE_FP32 dims: 2 } }";
    let config = completed(text, &model).unwrap();
    let names: Vec<_> = config.input.iter().map(|input| input.name.as_str()).collect();
    assert_eq!((names.as_slice(), config.max_batch_size), (["x"].as_slice(), 4));
    assert_eq!(config.output.len(), 1);
    crate::check(&config, &model).unwrap();
}

#[test]
fn it_can_be_switched_off() {
    let mut config = ModelConfig::default();
    let options = CompleteOptions { disable: true, ..Default::default() };
    complete(&mut config, &signature(&[-1], &[-1]), &options).unwrap();
    assert_eq!(config, ModelConfig::default());
    let ensemble = completed("platform: \"ensemble\"", &signature(&[-1], &[-1])).unwrap();
    assert_eq!(ensemble.input.len(), 0);
}
