//! Inputs, outputs, and the tensors that describe a batch.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{
    BatchInput, BatchOutput, DataType, ModelInput, ModelOutput, ModelTensorReshape, batch_input,
    batch_output, model_input::Format,
};

use super::{Check, reshape};
use crate::triton_backends::TENSORRT_PLAN;
use crate::{FaultKind, data_type};

/// A tensor of the config: what inputs and outputs have in common.
struct Declared<'a> {
    name: &'a str,
    data_type: i32,
    dims: &'a [i64],
    reshape: Option<&'a ModelTensorReshape>,
    is_shape_tensor: bool,
    is_non_linear_format_io: bool,
}

/// The names of a config's tensors, and whether those are all that there will be.
struct Known<'a> {
    inputs: BTreeSet<&'a str>,
    outputs: BTreeSet<&'a str>,
    all_inputs: bool,
    all_outputs: bool,
}

impl<'a> From<&'a ModelInput> for Declared<'a> {
    fn from(input: &'a ModelInput) -> Self {
        Declared {
            name: &input.name,
            data_type: input.data_type,
            dims: &input.dims,
            reshape: input.reshape.as_ref(),
            is_shape_tensor: input.is_shape_tensor,
            is_non_linear_format_io: input.is_non_linear_format_io,
        }
    }
}

impl<'a> From<&'a ModelOutput> for Declared<'a> {
    fn from(output: &'a ModelOutput) -> Self {
        Declared {
            name: &output.name,
            data_type: output.data_type,
            dims: &output.dims,
            reshape: output.reshape.as_ref(),
            is_shape_tensor: output.is_shape_tensor,
            is_non_linear_format_io: output.is_non_linear_format_io,
        }
    }
}

impl Check<'_> {
    pub(super) fn tensors(&mut self) {
        let mut names = BTreeSet::new();
        for (index, input) in self.config.input.iter().enumerate() {
            let path = format!("input[{index}]");
            self.tensor(&path, "input", &input.into(), names.insert(&input.name));
            let has_image_format = matches!(input.format(), Format::Nhwc | Format::Nchw);
            if has_image_format && input.dims.len() != 3 && self.given(&input.dims) {
                self.fault_for(&format!("{path}.format"), "model input NHWC/NCHW require 3 dims");
            }
        }
        let mut names = BTreeSet::new();
        for (index, output) in self.config.output.iter().enumerate() {
            let path = format!("output[{index}]");
            self.tensor(&path, "output", &output.into(), names.insert(&output.name));
        }
    }

    fn tensor(&mut self, path: &str, kind: &str, tensor: &Declared<'_>, is_first: bool) {
        if tensor.name.is_empty() {
            self.fault_for(path, &format!("model {kind} must specify 'name'"));
            return;
        }
        let prefix = format!("model {kind} '{}'", tensor.name);
        if !is_first {
            self.fault_for(&format!("{path}.name"), &format!("{prefix} is specified more than once"));
        }
        let is_unknown = tensor.data_type != 0 || self.complete;
        if data_type(tensor.data_type).is_none() && is_unknown {
            self.fault_for(&format!("{path}.data_type"), &format!("{prefix} must specify 'data_type'"));
        }
        if tensor.dims.is_empty() && self.complete {
            self.fault_for(path, &format!("{prefix} must specify 'dims'"));
        }
        for (index, dim) in tensor.dims.iter().enumerate() {
            if *dim < 1 && *dim != -1 {
                let message = format!(
                    "{prefix} dimension must be integer >= 1, or -1 to indicate a variable-size dimension"
                );
                self.fault_for(&format!("{path}.dims[{index}]"), &message);
            }
        }
        if let Some(reshape) = tensor.reshape
            && self.given(tensor.dims)
            && let Err(message) = reshape::check(tensor.dims, &reshape.shape)
        {
            let message = format!("{prefix} {message} for {}", self.name);
            self.fault_of(FaultKind::ReshapeDiffers, &format!("{path}.reshape"), message);
        }
        self.tensorrt_only(path, kind, tensor);
    }

    fn tensorrt_only(&mut self, path: &str, kind: &str, tensor: &Declared<'_>) {
        let is_tensorrt = self.config.platform == TENSORRT_PLAN || self.config.backend == "tensorrt";
        if tensor.is_shape_tensor && !is_tensorrt {
            let message = "shape tensors are only supported for TensorRT platform";
            self.fault_for(&format!("{path}.is_shape_tensor"), message);
        }
        if tensor.is_non_linear_format_io {
            let path = format!("{path}.is_non_linear_format_io");
            if !is_tensorrt {
                let message = "Non-linear IO format is only supported for the TensorRT platform";
                self.fault_for(&path, message);
            } else if tensor.dims.len() != 3 && self.given(tensor.dims) {
                self.fault_for(&path, &format!("Non-linear IO format {kind} requires 3 dims"));
            }
        }
    }

    /// Whether the dims are known well enough to be held against something else.
    fn given(&self, dims: &[i64]) -> bool {
        self.complete || !dims.is_empty()
    }

    pub(super) fn batch_tensors(&mut self) {
        let config = self.config;
        let known = Known {
            inputs: config.input.iter().map(|input| input.name.as_str()).collect(),
            outputs: config.output.iter().map(|output| output.name.as_str()).collect(),
            all_inputs: self.complete || !config.input.is_empty(),
            all_outputs: self.complete || !config.output.is_empty(),
        };
        for (index, batch_input) in config.batch_input.iter().enumerate() {
            self.batch_input(&format!("batch_input[{index}]"), batch_input, &known);
        }
        for (index, batch_output) in config.batch_output.iter().enumerate() {
            self.batch_output(&format!("batch_output[{index}]"), batch_output, &known);
        }
    }

    fn batch_input(&mut self, path: &str, batch_input: &BatchInput, known: &Known<'_>) {
        match batch_input::Kind::try_from(batch_input.kind) {
            Ok(kind) if batch_input.source_input.len() != 1 => {
                let message = format!(
                    "batch input kind '{}' expects 1 source input, got {}",
                    kind.as_str_name(),
                    batch_input.source_input.len()
                );
                self.fault_for(path, &message);
            }
            Ok(_) => {}
            Err(unknown) => {
                self.fault_for(&format!("{path}.kind"), &format!("unknown batch input kind '{unknown}'"));
            }
        }
        if !matches!(batch_input.data_type(), DataType::TypeInt32 | DataType::TypeFp32) {
            let message = "batch input data type must be TYPE_INT32 or TYPE_FP32";
            self.fault_for(&format!("{path}.data_type"), message);
        }
        self.source_inputs(path, &batch_input.source_input, known);
        for (index, target) in batch_input.target_name.iter().enumerate() {
            if known.inputs.contains(target.as_str()) {
                let path = format!("{path}.target_name[{index}]");
                self.fault_for(&path, &format!("batch input '{target}' is an input of requests as well"));
            }
        }
    }

    fn batch_output(&mut self, path: &str, batch_output: &BatchOutput, known: &Known<'_>) {
        match batch_output::Kind::try_from(batch_output.kind) {
            Ok(kind) if batch_output.source_input.len() != 1 => {
                let message = format!(
                    "batch output kind '{}' expects 1 source input, got {}",
                    kind.as_str_name(),
                    batch_output.source_input.len()
                );
                self.fault_for(path, &message);
            }
            Ok(_) => {}
            Err(unknown) => {
                self.fault_for(&format!("{path}.kind"), &format!("unknown batch output kind '{unknown}'"));
            }
        }
        self.source_inputs(path, &batch_output.source_input, known);
        let mut seen = BTreeSet::new();
        for (index, target) in batch_output.target_name.iter().enumerate() {
            let path = format!("{path}.target_name[{index}]");
            if known.all_outputs && !known.outputs.contains(target.as_str()) {
                self.fault_for(&path, &format!("unknown target output name '{target}'"));
            }
            if !seen.insert(target) {
                let message = format!("target output name '{target}' can only be specified once");
                self.fault_for(&path, &message);
            }
        }
    }

    fn source_inputs(&mut self, path: &str, sources: &[String], known: &Known<'_>) {
        for (index, source) in sources.iter().enumerate() {
            if known.all_inputs && !known.inputs.contains(source.as_str()) {
                let path = format!("{path}.source_input[{index}]");
                self.fault_for(&path, &format!("unknown source input name '{source}'"));
            }
        }
    }
}
