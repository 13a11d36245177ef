//! What the config is completed from and compared with.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Fault, FaultKind, Faults, ModelConfig, Signature, SignatureTensor};

use crate::plan::{Plan, PlanTensor};

/// The signature of a plan. Where the model batches, the first value of a shape tensor is the batch, which no request brings:
/// the config then has one value less.
pub(crate) fn signature(plan: &Plan, is_batching: bool) -> Signature {
    let tensor = |tensor: &PlanTensor| SignatureTensor {
        name: tensor.name.clone(),
        data_type: tensor.data_type,
        dims: Some(dims(tensor, is_batching)),
        optional: false,
    };
    Signature {
        inputs: plan.inputs.iter().map(tensor).collect(),
        outputs: plan.outputs.iter().map(tensor).collect(),
    }
}

fn dims(tensor: &PlanTensor, is_batching: bool) -> Vec<i64> {
    match tensor.dims.as_slice() {
        [values] if tensor.is_shape_tensor && is_batching && *values > 0 => vec![-1, values - 1],
        dims => dims.to_vec(),
    }
}

/// Says in the config which tensors are shape tensors, where the config was made from the plan.
pub(crate) fn mark_shape_tensors(config: &mut ModelConfig, plan: &Plan) {
    let is_shape = |tensors: &[PlanTensor], name: &str| {
        tensors.iter().any(|tensor| tensor.name == name && tensor.is_shape_tensor && tensor.on_host)
    };
    for input in &mut config.input {
        input.is_shape_tensor |= is_shape(&plan.inputs, &input.name);
    }
    for output in &mut config.output {
        output.is_shape_tensor |= is_shape(&plan.outputs, &output.name);
    }
}

/// Compares what only TensorRT's configs have with the plan.
pub(crate) fn check(config: &ModelConfig, plan: &Plan) -> Result<()> {
    let unable = |why: String| Error::invalid_arg(format!("unable to load model '{}', {why}", config.name));
    let most = if plan.takes_one() { 1 } else { plan.max_batch_size() };
    if i64::from(config.max_batch_size) > most.max(0) {
        let error = unable(format!(
            "configuration specified max-batch {} but TensorRT engine only supports max-batch {most}",
            config.max_batch_size
        ));
        let right = FaultKind::Expected { field: "max_batch_size", value: most.to_string() };
        let kind = if most > 0 { right } else { FaultKind::NotBatching };
        let fault = Fault::new("max_batch_size", error.message(), kind);
        return Err(error.with_source(Faults::one("config", fault)));
    }
    let inputs = config.input.iter().map(|input| (&input.name, input.is_shape_tensor, &plan.inputs));
    let outputs = config.output.iter().map(|output| (&output.name, output.is_shape_tensor, &plan.outputs));
    for (name, is_shape, tensors) in inputs.chain(outputs) {
        let Some(tensor) = tensors.iter().find(|tensor| tensor.name == *name) else { continue };
        if is_shape && !tensor.is_shape_tensor {
            return Err(unable(format!(
                "tensor '{name}' has is_shape_tensor in the config, and is none in the plan"
            )));
        }
        if !is_shape && tensor.is_shape_tensor && tensor.on_host && config.max_batch_size > 0 {
            return Err(unable(format!(
                "tensor '{name}' is a shape tensor in the plan: a model that batches has to say 'is_shape_tensor: true' of it"
            )));
        }
    }
    if let Some(input) = config.input.iter().find(|input| input.is_non_linear_format_io) {
        return Err(unable(format!(
            "input '{}' is said to be of a non-linear format, which is not supported: build the plan with linear inputs and outputs",
            input.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hippocamp_model_config::parse;
    use hippocamp_tensor::DataType;

    use super::*;
    use crate::plan::Range;

    fn tensor(name: &str, dims: &[i64], max: &[i64], is_shape_tensor: bool) -> PlanTensor {
        let range = Range { min: dims.to_vec(), opt: dims.to_vec(), max: max.to_vec(), values: None };
        PlanTensor {
            name: name.to_owned(),
            data_type: DataType::Int32,
            dims: dims.to_vec(),
            is_shape_tensor,
            on_host: is_shape_tensor,
            ranges: vec![range],
        }
    }

    fn plan() -> Plan {
        Plan {
            inputs: vec![tensor("x", &[-1, 3], &[8, 3], false), tensor("s", &[2], &[2], true)],
            outputs: vec![tensor("y", &[-1, -1], &[], false)],
            profile_count: 1,
        }
    }

    fn fault(config: &str) -> Option<String> {
        let text = format!("name: \"m\" {config}");
        check(&parse(&text, "c").unwrap().config, &plan()).err().map(|e| e.message().to_owned())
    }

    #[test]
    fn the_batch_is_the_first_value_of_a_shape_tensor() {
        let dims = |is_batching| signature(&plan(), is_batching).inputs[1].dims.clone().unwrap();
        assert_eq!((dims(true), dims(false)), (vec![-1, 1], vec![2]));
        assert_eq!(plan().max_batch_size(), 8);
    }

    #[test]
    fn configs_are_held_against_the_plan() {
        let shape = "input { name: \"s\" is_shape_tensor: true }";
        assert_eq!(fault(&format!("max_batch_size: 8 {shape}")), None);
        assert_eq!(
            fault(&format!("max_batch_size: 9 {shape}")).unwrap(),
            "unable to load model 'm', configuration specified max-batch 9 but TensorRT engine only supports max-batch 8"
        );
        assert_eq!(
            fault("max_batch_size: 8 input { name: \"s\" }").unwrap(),
            "unable to load model 'm', tensor 's' is a shape tensor in the plan: a model that batches has to say \
             'is_shape_tensor: true' of it"
        );
        assert_eq!(
            fault("input { name: \"x\" is_shape_tensor: true }").unwrap(),
            "unable to load model 'm', tensor 'x' has is_shape_tensor in the config, and is none in the plan"
        );
    }
}
