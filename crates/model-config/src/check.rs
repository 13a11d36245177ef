//! Compares the config with the model file and reports every contradiction, with the texts of Triton's ONNX Runtime backend.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{
    ModelConfig, ModelSequenceBatching, ModelTensorReshape, model_config::SchedulingChoice,
};
use hippocamp_tensor::{DataType, Shape};

use crate::signature::{Signature, SignatureTensor, server_inputs};
use hippocamp_interface::control_data_type;
use hippocamp_interface::made_inputs;
use hippocamp_interface::{Fault, FaultKind};
use hippocamp_interface::{config_name, data_type};

/// Compares a completed config with what the model file says. The first message is the one that Triton would give.
pub fn check(config: &ModelConfig, signature: &Signature) -> Result<(), Vec<Fault>> {
    let mut check = Check { config, signature, errors: Vec::new() };
    if let Some(SchedulingChoice::SequenceBatching(batching)) = &config.scheduling_choice {
        check.controls(batching);
    }
    check.input_count();
    check.inputs();
    check.batch_inputs();
    check.outputs();
    if let Some(SchedulingChoice::SequenceBatching(batching)) = &config.scheduling_choice {
        check.states(batching);
    }
    check.missing_inputs();
    if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
}

struct Check<'a> {
    config: &'a ModelConfig,
    signature: &'a Signature,
    errors: Vec<Fault>,
}

/// One tensor of the config.
struct Configured<'a> {
    /// The field of the config, such as `input[0]`.
    path: String,
    kind: &'static str,
    name: &'a str,
    data_type: i32,
    dims: &'a [i64],
    reshape: Option<&'a ModelTensorReshape>,
}

impl Configured<'_> {
    /// The shape that the model sees.
    fn model_dims(&self) -> &[i64] {
        self.reshape.map_or(self.dims, |reshape| &reshape.shape)
    }
}

impl Check<'_> {
    fn input_count(&mut self) {
        let config = self.config;
        let made = made_inputs(config);
        let listed: BTreeSet<&str> = config
            .input
            .iter()
            .filter(|input| !input.optional || made.contains(input.name.as_str()))
            .map(|input| input.name.as_str())
            .chain(server_inputs(config))
            .collect();
        let provided = self.signature.required_inputs().count();
        if listed.len() != provided {
            let message = format!("configuration expects {} inputs, model provides {provided}", listed.len());
            self.unable("input", &message);
        }
    }

    /// Names what the count alone does not tell.
    fn missing_inputs(&mut self) {
        let (config, signature) = (self.config, self.signature);
        let filled = server_inputs(config);
        let listed: BTreeSet<&str> = config.input.iter().map(|input| input.name.as_str()).collect();
        for tensor in signature.required_inputs() {
            let name = tensor.name.as_str();
            if !listed.contains(name) && !filled.contains(name) {
                self.unable(
                    "input",
                    &format!("the model requires input '{name}', but the configuration has none"),
                );
            }
        }
    }

    fn inputs(&mut self) {
        let (config, signature) = (self.config, self.signature);
        let made = made_inputs(config);
        for (index, input) in config.input.iter().enumerate() {
            let path = format!("input[{index}]");
            let Some(tensor) = signature.input(&input.name) else {
                self.fault(&format!("{path}.name"), unexpected_input(&input.name, signature));
                continue;
            };
            let is_made = made.contains(input.name.as_str());
            if input.optional && !is_made && config.max_batch_size != 0 {
                let message = format!(
                    "optional input '{}' is not supported for models that support batching",
                    input.name
                );
                self.unable(&format!("{path}.optional"), &message);
            }
            let configured = Configured {
                path: path.clone(),
                kind: "input",
                name: &input.name,
                data_type: input.data_type,
                dims: &input.dims,
                reshape: input.reshape.as_ref(),
            };
            self.data_type(&configured, tensor);
            if input.allow_ragged_batch {
                self.ragged(&path, &input.name, input.optional, tensor);
            } else {
                self.dims(&configured, tensor, false);
            }
        }
    }

    /// Checks that the model has the inputs that describe a batch. Their shapes are not compared, as the server makes them.
    fn batch_inputs(&mut self) {
        let (config, signature) = (self.config, self.signature);
        for (index, batch_input) in config.batch_input.iter().enumerate() {
            let path = format!("batch_input[{index}]");
            for (target, name) in batch_input.target_name.iter().enumerate() {
                let Some(tensor) = signature.input(name) else {
                    let path = format!("{path}.target_name[{target}]");
                    self.fault(&path, unexpected_input(name, signature));
                    continue;
                };
                let (kind, data_type) = ("batch input", batch_input.data_type);
                let path = path.clone();
                self.data_type(&Configured { path, kind, name, data_type, dims: &[], reshape: None }, tensor);
            }
        }
    }

    fn outputs(&mut self) {
        let (config, signature) = (self.config, self.signature);
        let scattered: BTreeSet<&str> =
            config.batch_output.iter().flat_map(|batch| &batch.target_name).map(String::as_str).collect();
        for (index, output) in config.output.iter().enumerate() {
            let path = format!("output[{index}]");
            let Some(tensor) = signature.output(&output.name) else {
                self.fault(&format!("{path}.name"), unexpected_output(&output.name, signature));
                continue;
            };
            let configured = Configured {
                path,
                kind: "output",
                name: &output.name,
                data_type: output.data_type,
                dims: &output.dims,
                reshape: output.reshape.as_ref(),
            };
            self.data_type(&configured, tensor);
            // The shape of a scattered output is that of an input, whatever the model says.
            if !scattered.contains(output.name.as_str()) {
                self.dims(&configured, tensor, true);
            }
        }
    }

    fn data_type(&mut self, configured: &Configured<'_>, tensor: &SignatureTensor) {
        if data_type(configured.data_type) != Some(tensor.data_type) {
            let message = format!(
                "configuration expects datatype {} for {} '{}', model provides TYPE_{}",
                config_name(configured.data_type),
                configured.kind,
                configured.name,
                tensor.data_type.protocol_name()
            );
            let kind = FaultKind::DataTypeDiffers { provided: tensor.data_type.config_name() };
            self.unable_of(kind, &format!("{}.data_type", configured.path), &message);
        }
    }

    fn ragged(&mut self, path: &str, name: &str, optional: bool, tensor: &SignatureTensor) {
        if optional {
            let message = format!(
                "configuration expects model provides input with shape [-1] for ragged input '{name}', which is \
                 not supported for optional input"
            );
            self.unable(&format!("{path}.optional"), &message);
        }
        if let Some(dims) = &tensor.dims
            && dims.as_slice() != [-1]
        {
            let message = format!(
                "configuration expects model provides input with shape [-1]  for ragged input '{name}', model \
                 provides {}",
                Shape::from(dims.as_slice())
            );
            self.unable(&format!("{path}.allow_ragged_batch"), &message);
        }
    }

    /// Every size has to be the same; where the model leaves one free, an input may have any. A size of 0 cannot be written in a
    /// config: it is free there.
    fn dims(&mut self, configured: &Configured<'_>, tensor: &SignatureTensor, exact: bool) {
        let Some(model) = tensor.dims.as_deref() else { return };
        let dims = configured.model_dims();
        let path = format!("{}.dims", configured.path);
        if model.is_empty() {
            self.scalar(&path, configured.name, dims);
            return;
        }
        let (model_name, name) = (&self.config.name, configured.name);
        let is_batching = self.config.max_batch_size > 0;
        let model_shape = Shape::from(model);
        if is_batching && !takes_the_batch(model[0], self.config.max_batch_size) {
            let message = format!(
                "model '{model_name}', tensor '{name}': for the model to support batching the shape should have at \
                 least 1 dimension and the first dimension must be -1; but shape expected by the model is \
                 {model_shape}"
            );
            let takes_one = model[0] == 1 && model.len() == dims.len() + 1;
            let one = FaultKind::Expected { field: "max_batch_size", value: "1".to_owned() };
            let kind = if takes_one { one } else { FaultKind::NotBatching };
            self.errors.push(Fault::new("max_batch_size", message, kind));
            return;
        }
        let full = if is_batching { Shape::from(dims).with_batch(model[0]) } else { Shape::from(dims) };
        let fits = |(model, config): (&i64, &i64)| {
            model == config || (!exact && *model == -1) || (*model == 0 && *config == -1)
        };
        if model.len() == full.len() && model.iter().zip(full.iter()).all(fits) {
            return;
        }
        let how = if is_batching {
            "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making \
             complete shape"
        } else {
            "shape"
        };
        let message = format!(
            "model '{model_name}', tensor '{name}': the model expects {} dimensions (shape {model_shape}) but the \
             model configuration specifies {} dimensions ({how} {full})",
            model.len(),
            full.len()
        );
        let provided = model[usize::from(is_batching)..].to_vec();
        self.errors.push(Fault::new(path, message, FaultKind::DimsDiffer { provided }));
    }

    fn scalar(&mut self, path: &str, name: &str, dims: &[i64]) {
        if dims.iter().any(|dim| *dim != 1) {
            let message = format!(
                "scalar tensor '{name}', should only provide 1 in the model configuration when the model doesn't \
                 support batching. Model configuration provided: {}.",
                Shape::from(dims)
            );
            self.unable(path, &message);
        }
    }

    fn controls(&mut self, batching: &ModelSequenceBatching) {
        for (index, input) in batching.control_input.iter().enumerate() {
            let path = format!("sequence_batching.control_input[{index}]");
            for control in &input.control {
                self.control(&path, &input.name, control_data_type(control));
            }
        }
    }

    fn control(&mut self, path: &str, name: &str, wanted: Option<DataType>) {
        let Some(tensor) = self.signature.input(name) else {
            let message = format!(
                "configuration specified sequence control '{name}', but model does not provide that input"
            );
            self.fault(&format!("{path}.name"), message);
            return;
        };
        let first = usize::from(self.config.max_batch_size > 0);
        if let Some(dims) = &tensor.dims {
            let dims = dims.get(first..).unwrap_or_default();
            if dims != [1] {
                let message = format!(
                    "sequence control '{name}' in model has dims {} but dims [1] is expected",
                    Shape::from(dims)
                );
                self.unable(path, &message);
            }
        }
        if wanted != Some(tensor.data_type) {
            let message = format!(
                "sequence control '{name}', the model expects data-type {} but the model configuration specifies \
                 data-type {}",
                tensor.data_type.config_name(),
                wanted.map_or("TYPE_INVALID", DataType::config_name)
            );
            self.unable(path, &message);
        }
    }

    fn states(&mut self, batching: &ModelSequenceBatching) {
        let signature = self.signature;
        for (index, state) in batching.state.iter().enumerate() {
            let path = format!("sequence_batching.state[{index}]");
            let sides = [
                ("input state", &state.input_name, signature.input(&state.input_name)),
                ("output state", &state.output_name, signature.output(&state.output_name)),
            ];
            for (kind, name, tensor) in sides {
                let Some(tensor) = tensor else {
                    let (field, message) = if kind == "input state" {
                        ("input_name", unexpected_input(name, signature))
                    } else {
                        ("output_name", unexpected_output(name, signature))
                    };
                    self.fault(&format!("{path}.{field}"), message);
                    continue;
                };
                let (path, data_type) = (path.clone(), state.data_type);
                let configured = Configured { path, kind, name, data_type, dims: &state.dims, reshape: None };
                self.data_type(&configured, tensor);
            }
        }
    }

    fn unable(&mut self, path: &str, message: &str) {
        self.unable_of(FaultKind::Other, path, message);
    }

    fn unable_of(&mut self, kind: FaultKind, path: &str, message: &str) {
        let message = format!("unable to load model '{}', {message}", self.config.name);
        self.errors.push(Fault::new(path, message, kind));
    }

    fn fault(&mut self, path: &str, message: String) {
        self.errors.push(Fault::new(path, message, FaultKind::Other));
    }
}

/// Whether a batch fits the first dimension of a model: it is free, or the model takes one item and so does the config. The
/// latter is what TensorRT Inference Server asked for, whose shapes had no batch in them.
fn takes_the_batch(first: i64, max_batch_size: i32) -> bool {
    first == -1 || (first == 1 && max_batch_size == 1)
}

/// Triton sorts the names that there are.
pub(crate) fn unexpected_input(name: &str, signature: &Signature) -> String {
    format!("unexpected inference input '{name}', allowed inputs are: {}", sorted(&signature.inputs))
}

pub(crate) fn unexpected_output(name: &str, signature: &Signature) -> String {
    format!("unexpected inference output '{name}', allowed outputs are: {}", sorted(&signature.outputs))
}

fn sorted(tensors: &[SignatureTensor]) -> String {
    let names: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
