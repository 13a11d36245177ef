//! Refuses requests that would crash the process within the engine.
//!
//! Some operators of ONNX Runtime crash or never return when a tensor that they read has no elements, or a number that
//! they cannot divide. Which of these operators a model uses is known when it is loaded; whether a request has such a
//! tensor is checked when it comes. Tensors computed within the model are not checked.

mod division;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::{DataType, Shape};

use crate::model_file::{ModelFile, Node};

/// An operator that cannot process an empty tensor.
#[derive(Debug)]
pub(crate) struct Guarded {
    domain: &'static str,
    pub(crate) operator: &'static str,
    /// The inputs that matter. If none of them can depend on a request, the operator is safe.
    inputs: &'static [usize],
}

const STANDARD: &str = "";
const MICROSOFT: &str = "com.microsoft";

const fn guarded(domain: &'static str, operator: &'static str, inputs: &'static [usize]) -> Guarded {
    Guarded { domain, operator, inputs }
}

/// The operators known to fail in 1.31.1 and 1.32.0, if both have them. To guard another operator, add it here.
pub(crate) const OPERATORS: &[Guarded] = &[
    guarded(STANDARD, "Attention", &[0, 1, 2, 3, 4, 5]),
    guarded(STANDARD, "Conv", &[1]),
    guarded(STANDARD, "ConvTranspose", &[0, 1]),
    guarded(STANDARD, "GRU", &[0, 1, 2, 3, 4, 5]),
    guarded(STANDARD, "LSTM", &[0, 1, 2, 3, 4, 5, 6, 7]),
    // The only recurrent operator that was not seen to fail; it shares its implementation with the others.
    guarded(STANDARD, "RNN", &[0, 1, 2, 3, 4, 5]),
    guarded(STANDARD, "STFT", &[0, 1, 2, 3]),
    guarded(STANDARD, "Unique", &[0]),
    guarded(MICROSOFT, "DynamicQuantizeLSTM", &[0, 1, 2, 3, 4, 5, 6, 7]),
    guarded(MICROSOFT, "FusedConv", &[1]),
    guarded(MICROSOFT, "GroupQueryAttention", &[0, 1, 2, 3, 4, 5, 6]),
    guarded(MICROSOFT, "Inverse", &[0]),
    guarded(MICROSOFT, "MultiHeadAttention", &[0, 1, 2, 3, 4, 5, 6, 7]),
    guarded(MICROSOFT, "QAttention", &[0, 1]),
    guarded(MICROSOFT, "RotaryEmbedding", &[0, 1, 2, 3]),
    guarded(MICROSOFT, "SkipLayerNormalization", &[0, 1]),
    guarded(MICROSOFT, "SkipSimplifiedLayerNormalization", &[0, 1]),
];

/// What must not occur in the inputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    /// An operator of the model that cannot process empty tensors.
    operator: Option<&'static str>,
    /// The inputs that must not contain the smallest number of their type.
    divided: Arc<BTreeSet<String>>,
}

impl Guard {
    pub(crate) fn of(file: &ModelFile) -> Guard {
        Guard::by(OPERATORS, file)
    }

    fn by(operators: &'static [Guarded], file: &ModelFile) -> Guard {
        let find = |node: &Node| operators.iter().find(|guarded| guarded.is(node));
        let fixed = fixed(file);
        let harmful = |node: &&Node| {
            let depends = |index: &usize| {
                node.inputs.get(*index).is_some_and(|name| !name.is_empty() && !fixed.contains(name.as_str()))
            };
            find(node).is_some_and(|guarded| node.is_opaque || guarded.inputs.iter().any(depends))
        };
        let operator = file.nodes.iter().find(harmful).and_then(find).map(|guarded| guarded.operator);
        Guard { operator, divided: Arc::new(division::divided(file, &fixed)) }
    }

    /// The checks for the input of that name.
    pub(crate) fn for_input(&self, name: &str) -> InputGuard {
        InputGuard { operator: self.operator, is_divided: self.divided.contains(name) }
    }
}

/// The checks for one input of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InputGuard {
    operator: Option<&'static str>,
    is_divided: bool,
}

impl InputGuard {
    /// An error if the model cannot process the tensor as its input of that name.
    pub(crate) fn check(
        self,
        model: &str,
        input: impl FnOnce() -> String,
        tensor: (DataType, &Shape, &[u8]),
    ) -> Result<()> {
        let (data_type, shape, data) = tensor;
        match self.operator {
            Some(operator) if shape.contains(&0) => Err(empty(model, &input(), shape, operator)),
            _ if self.is_divided && division::has_smallest(data_type, data) => {
                Err(smallest(model, &input(), data_type))
            }
            _ => Ok(()),
        }
    }
}

#[cold]
fn smallest(model: &str, input: &str, data_type: DataType) -> Error {
    Error::invalid_arg(format!(
        "input '{input}' of model '{model}' has the smallest number that there is in {data_type}, which the model cannot divide"
    ))
}

#[cold]
fn empty(model: &str, input: &str, shape: &Shape, operator: &str) -> Error {
    Error::invalid_arg(format!(
        "input '{input}' of model '{model}' was expected to have elements, got shape {shape}: the model's operator \
         {operator} does not take an empty tensor"
    ))
}

impl Guarded {
    fn is(&self, node: &Node) -> bool {
        let domain = match node.domain.as_str() {
            "ai.onnx" => STANDARD,
            domain => domain,
        };
        // In the engine's own file format domains are not known.
        self.operator == node.operator && (self.domain == domain || node.is_opaque)
    }
}

/// The names of tensors that no request can change: initializers, and what is computed from these alone.
fn fixed(file: &ModelFile) -> HashSet<&str> {
    let mut fixed: HashSet<&str> = file.initializers.iter().map(String::as_str).collect();
    // The initializer of an input is only its default.
    for input in &file.inputs {
        fixed.remove(input.as_str());
    }
    // Nodes are in topological order.
    for node in file.nodes.iter().filter(|node| !node.is_opaque && !node.has_graphs) {
        if node.inputs.iter().all(|name| name.is_empty() || fixed.contains(name.as_str())) {
            fixed.extend(node.outputs.iter().map(String::as_str).filter(|name| !name.is_empty()));
        }
    }
    fixed
}
