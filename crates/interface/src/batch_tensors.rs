//! Tensors whose content depends on the whole batch: `batch_input` and `batch_output`.

use hippocamp_proto::inference::{ModelConfig, batch_input::Kind};
use hippocamp_tensor::Shape;

use crate::fault::Faults;
use crate::{Interface, TensorSpec, data_type};

/// The kind of a batch input.
pub type BatchInputKind = Kind;

/// An input that describes a batch. The server makes it once the batch is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInput {
    pub kind: BatchInputKind,
    /// The client's input that it describes.
    pub source: usize,
}

/// An output of which each request gets what an input's shape says, instead of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOutput {
    pub output: usize,
    /// The input whose sizes stand for those that the output's dims leave open.
    pub source: usize,
}

/// Adds what the config has of both, behind all other added inputs.
pub(crate) fn add(interface: &mut Interface, config: &ModelConfig, faults: &mut Faults) {
    let source = |interface: &Interface, names: &[String]| {
        let name = names.first()?;
        interface.inputs.iter().position(|input| *input.name == **name)
    };
    for (index, batch_input) in config.batch_input.iter().enumerate() {
        let path = format!("batch_input[{index}]");
        let Some(source) = source(interface, &batch_input.source_input) else {
            faults.push(None, &path, "must have one of the inputs as 'source_input'");
            continue;
        };
        let (Some(data_type), Ok(kind)) =
            (data_type(batch_input.data_type), Kind::try_from(batch_input.kind))
        else {
            faults.push(None, &path, "must specify 'data_type' and 'kind'");
            continue;
        };
        for name in &batch_input.target_name {
            interface.batch_inputs.push(BatchInput { kind, source });
            interface.added_inputs.push(TensorSpec {
                name: name.as_str().into(),
                data_type,
                dims: Shape::from([-1]),
                reshape: None,
                optional: false,
                is_shape_tensor: false,
                allow_ragged_batch: false,
                label_filename: String::new(),
            });
        }
    }
    for (index, batch_output) in config.batch_output.iter().enumerate() {
        let source = source(interface, &batch_output.source_input);
        for name in &batch_output.target_name {
            let output = interface.outputs.iter().position(|output| *output.name == **name);
            let (Some(output), Some(source)) = (output, source) else {
                let path = format!("batch_output[{index}]");
                faults.push(
                    None,
                    &path,
                    "must have one of the outputs as target and one of the inputs as source",
                );
                continue;
            };
            interface.batch_outputs.push(BatchOutput { output, source });
        }
    }
}
