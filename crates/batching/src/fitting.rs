//! Which requests may share a batch.

use hippocamp_interface::{Interface, Padding, TensorSpec};

use crate::padded::length;
use hippocamp_backend::{InputTensor, Request};

/// Decides which requests of a model can be joined along the first dimension. Made once when the model is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// Any two requests fit, so that nothing needs comparing.
    uniform: bool,
    /// The rules of the inputs, in the model's order.
    rules: Vec<Rule>,
    padding: Option<Padding>,
}

/// The condition on one input of two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Equal in every dimension but the first.
    Equal,
    /// A shape tensor, which has no batch dimension: equal in content. It is compared where it lies, under the queue's lock, and
    /// never copied or transferred: one that is not in host memory fits no other. Requests bring theirs there before they queue.
    Same,
    /// Any shapes fit: the contents are concatenated.
    Ragged,
    /// Equal but for that dimension, which is padded. It may be left out if the server makes it.
    Padded { dim: usize, made: bool },
}

impl Fitting {
    pub fn new(interface: &Interface) -> Fitting {
        let requested = interface.all_inputs().len() - interface.batch_inputs.len();
        let padding = interface.padding.clone();
        let rule = |index: usize, input: &TensorSpec| match padding.as_ref().and_then(|p| p.input(index)) {
            Some(input) => Rule::Padded { dim: input.dim, made: input.fill.is_some() },
            None if input.is_shape_tensor => Rule::Same,
            None if input.allow_ragged_batch => Rule::Ragged,
            None => Rule::Equal,
        };
        let mut inputs = interface.all_inputs().take(requested);
        let rules = inputs.clone().enumerate().map(|(index, input)| rule(index, input));
        let rules = rules.collect();
        let uniform = padding.is_none()
            && inputs.all(|input| {
                let is_fixed = input.allow_ragged_batch || !input.dims.contains(&-1);
                is_fixed && !input.optional && !input.is_shape_tensor
            });
        Fitting { uniform, rules, padding }
    }

    /// Whether any two requests fit, so that none ends a batch by its shape.
    pub fn is_uniform(&self) -> bool {
        self.uniform
    }

    /// The rule of a model of which any two requests fit.
    pub fn any() -> Fitting {
        Fitting { uniform: true, rules: Vec::new(), padding: None }
    }

    /// Whether two requests can be joined: the same inputs, and equal in every dimension but the first, as far as the
    /// config does not allow more.
    pub fn together(&self, a: &Request, b: &Request) -> bool {
        if self.uniform {
            return true;
        }
        if let Some(padding) = &self.padding
            && !padding.fit_together(length(padding, a), length(padding, b))
        {
            return false;
        }
        let mut inputs = a.inputs.iter().zip(&b.inputs).enumerate();
        inputs.all(|(index, pair)| {
            let rule = self.rules.get(index).copied().unwrap_or(Rule::Equal);
            match pair {
                (Some(a), Some(b)) => rule.holds(a, b),
                (None, None) => true,
                _ => matches!(rule, Rule::Padded { made: true, .. }),
            }
        })
    }
}

impl Rule {
    fn holds(self, a: &InputTensor, b: &InputTensor) -> bool {
        match self {
            Rule::Ragged => true,
            Rule::Same => a.shape == b.shape && a.data.equals_in_host(&b.data) == Some(true),
            Rule::Equal => a.shape.get(1..) == b.shape.get(1..),
            Rule::Padded { dim: padded, .. } => {
                a.shape.len() == b.shape.len()
                    && a.shape
                        .iter()
                        .zip(b.shape.iter())
                        .enumerate()
                        .skip(1)
                        .all(|(d, (a, b))| d == padded || a == b)
            }
        }
    }
}
