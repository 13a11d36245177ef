//! The inputs and outputs of a model as requests use them, computed from the config when the model is loaded.

use std::sync::Arc;

use hippocamp_proto::inference::{ModelConfig, ModelTensorReshape};
use hippocamp_tensor::{DataType, Shape};

use crate::batch_tensors::{self, BatchInput, BatchOutput};
use crate::data_type::data_type;
use crate::fan_out::{FanOut, fan_outs};
use crate::fault::Faults;
use crate::padding::{self, Padding};
use crate::sequence_tensors::{added_inputs, added_outputs};

/// Which tensors a request brings and a response carries, in the order of the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The model's name, for messages.
    pub model: Arc<str>,
    /// The inputs that clients send.
    pub inputs: Vec<TensorSpec>,
    /// The outputs that clients receive.
    pub outputs: Vec<TensorSpec>,
    /// What the server itself gives the model, behind `inputs`: controls and states of sequences, facts of a batch.
    pub added_inputs: Vec<TensorSpec>,
    /// What the server keeps to itself, behind `outputs`: the next states of sequences.
    pub added_outputs: Vec<TensorSpec>,
    /// What describes a batch: the last of `added_inputs`, in their order. No request brings them.
    pub batch_inputs: Vec<BatchInput>,
    /// The outputs whose share of a batch an input's shape tells.
    pub batch_outputs: Vec<BatchOutput>,
    /// How requests of different lengths share a batch, if the config says so.
    pub padding: Option<Padding>,
    /// The steps of an ensemble that run once for each row of a tensor, in the order of the config.
    pub fan_outs: Vec<FanOut>,
    /// 0: there is no batch dimension, and shapes are complete.
    pub max_batch_size: u32,
    /// A request has any number of responses.
    pub decoupled: bool,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: Arc<str>,
    pub data_type: DataType,
    /// As in the config, without the batch dimension; -1 is a size that each request chooses.
    pub dims: Shape,
    /// What the model itself sees instead of `dims`, without the batch dimension.
    pub reshape: Option<Shape>,
    /// A request may leave it out.
    pub optional: bool,
    /// The values are a shape; there is no batch dimension even if the model batches.
    pub is_shape_tensor: bool,
    /// Requests of different shapes may share a batch.
    pub allow_ragged_batch: bool,
    /// File with the labels of an output, relative to the model directory; empty for none.
    pub label_filename: String,
}

impl Interface {
    /// Of a config that went through `validate` of `model-config`. Faults if it did not.
    pub fn new(config: &ModelConfig) -> Result<Interface, Faults> {
        let mut faults = Faults::new(&config.name);
        let max_batch_size = u32::try_from(config.max_batch_size).unwrap_or_else(|_| {
            faults.push(None, "max_batch_size", "'max_batch_size' must be non-negative value");
            0
        });
        let mut inputs = Vec::with_capacity(config.input.len());
        for (index, input) in config.input.iter().enumerate() {
            inputs.push(TensorSpec {
                name: input.name.as_str().into(),
                data_type: known(input.data_type, &format!("input[{index}]"), &mut faults),
                dims: Shape::from(input.dims.as_slice()),
                reshape: shape(input.reshape.as_ref()),
                optional: input.optional,
                is_shape_tensor: input.is_shape_tensor,
                allow_ragged_batch: input.allow_ragged_batch,
                label_filename: String::new(),
            });
        }
        let mut outputs = Vec::with_capacity(config.output.len());
        for (index, output) in config.output.iter().enumerate() {
            outputs.push(TensorSpec {
                name: output.name.as_str().into(),
                data_type: known(output.data_type, &format!("output[{index}]"), &mut faults),
                dims: Shape::from(output.dims.as_slice()),
                reshape: shape(output.reshape.as_ref()),
                optional: false,
                is_shape_tensor: output.is_shape_tensor,
                allow_ragged_batch: false,
                label_filename: output.label_filename.clone(),
            });
        }
        let decoupled = config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
        let (added_inputs, added_outputs) = (added_inputs(config), added_outputs(config));
        let mut interface = Interface {
            model: config.name.as_str().into(),
            inputs,
            outputs,
            added_inputs,
            added_outputs,
            max_batch_size,
            decoupled,
            ..Interface::default()
        };
        batch_tensors::add(&mut interface, config, &mut faults);
        interface.padding = padding::read(&interface, config, &mut faults);
        interface.fan_outs = fan_outs(config, &mut faults);
        faults.into_result(interface)
    }

    /// What the input at that place of [`Interface::all_inputs`] tells of the batch; `None` for one that requests bring.
    pub fn batch_input(&self, index: usize) -> Option<&BatchInput> {
        let requested = self.all_inputs().len() - self.batch_inputs.len();
        self.batch_inputs.get(index.checked_sub(requested)?)
    }

    /// The input whose shape tells the share that a request has of an output.
    pub fn scatter_source(&self, output: usize) -> Option<usize> {
        self.batch_outputs.iter().find(|batch_output| batch_output.output == output).map(|found| found.source)
    }

    /// Every input of the model itself, in the order of a request's list.
    pub fn all_inputs(&self) -> impl ExactSizeIterator<Item = &TensorSpec> + Clone {
        Both::new(&self.inputs, &self.added_inputs)
    }

    /// Every output of the model itself, in the order that outputs are counted in.
    pub fn all_outputs(&self) -> impl ExactSizeIterator<Item = &TensorSpec> + Clone {
        Both::new(&self.outputs, &self.added_outputs)
    }
}

/// One list behind the other. A plain chain does not know its length.
#[derive(Clone)]
struct Both<'a>(std::iter::Chain<std::slice::Iter<'a, TensorSpec>, std::slice::Iter<'a, TensorSpec>>, usize);

impl<'a> Both<'a> {
    fn new(first: &'a [TensorSpec], second: &'a [TensorSpec]) -> Both<'a> {
        Both(first.iter().chain(second), first.len() + second.len())
    }
}

impl<'a> Iterator for Both<'a> {
    type Item = &'a TensorSpec;

    fn next(&mut self) -> Option<Self::Item> {
        self.1 = self.1.saturating_sub(1);
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl ExactSizeIterator for Both<'_> {}

/// A placeholder behind a fault, which then keeps the interface from being made.
fn known(config_value: i32, path: &str, faults: &mut Faults) -> DataType {
    data_type(config_value).unwrap_or_else(|| {
        faults.push(None, path, "must specify 'data_type'");
        DataType::Bytes
    })
}

fn shape(reshape: Option<&ModelTensorReshape>) -> Option<Shape> {
    reshape.map(|reshape| Shape::from(reshape.shape.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hippocamp_model_config::parse;

    #[test]
    fn holds_what_the_config_says() {
        let text = r#"
            name: "m" max_batch_size: 8
            input { name: "a" data_type: TYPE_FP32 dims: [ -1, 3 ] optional: true allow_ragged_batch: true }
            input { name: "s" data_type: TYPE_STRING dims: 1 reshape { } }
            output { name: "b" data_type: TYPE_BF16 dims: 4 reshape { shape: [ 2, 2 ] } label_filename: "l.txt" }
            model_transaction_policy { decoupled: true }"#;
        let interface = Interface::new(&parse(text, "config.pbtxt").unwrap().config).unwrap();
        assert_eq!((interface.max_batch_size, interface.decoupled), (8, true));
        let [a, s] = interface.inputs.as_slice() else { panic!("two inputs") };
        assert_eq!((&*a.name, a.data_type, a.optional), ("a", DataType::Fp32, true));
        assert_eq!((&a.dims, &a.reshape, a.allow_ragged_batch), (&Shape::from([-1, 3]), &None, true));
        assert_eq!((s.data_type, &s.reshape), (DataType::Bytes, &Some(Shape::default())));
        let [b] = interface.outputs.as_slice() else { panic!("one output") };
        assert_eq!((b.data_type, &b.reshape), (DataType::Bf16, &Some(Shape::from([2, 2]))));
        assert_eq!(b.label_filename, "l.txt");
    }

    #[test]
    fn refuses_what_was_not_validated() {
        let text = "name: \"m\" max_batch_size: -1 input { name: \"a\" } output { name: \"b\" }";
        let faults = Interface::new(&parse(text, "config.pbtxt").unwrap().config).unwrap_err();
        let paths: Vec<_> = faults.faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["max_batch_size", "input[0]", "output[0]"]);
    }
}
