//! Which requests can share a batch.

use hippocamp_backend::{InputTensor, Request};
use hippocamp_model_config::{Interface, TensorSpec};

/// Compares the inputs of requests. Knows beforehand which inputs can differ at all.
#[derive(Debug)]
pub(super) struct Alike(Vec<Compared>);

#[derive(Debug)]
struct Compared {
    index: usize,
    /// The values of a shape tensor hold for the whole batch.
    values_too: bool,
}

impl Alike {
    pub(super) fn new(interface: &Interface) -> Alike {
        let can_differ = |spec: &TensorSpec| {
            let free_size = spec.dims.contains(&-1) && !spec.allow_ragged_batch;
            spec.optional || spec.is_shape_tensor || free_size
        };
        let inputs = interface.inputs.iter().enumerate().filter(|(_, spec)| can_differ(spec));
        Alike(inputs.map(|(index, spec)| Compared { index, values_too: spec.is_shape_tensor }).collect())
    }

    /// Whether two requests give the same inputs, equal in every dimension but the first.
    pub(super) fn are_alike(&self, a: &Request, b: &Request) -> bool {
        let input = |request: &Request, index: usize| request.inputs.get(index).cloned().flatten();
        self.0.iter().all(|compared| match (input(a, compared.index), input(b, compared.index)) {
            (Some(a), Some(b)) if compared.values_too => {
                a.shape == b.shape && a.data.to_contiguous() == b.data.to_contiguous()
            }
            (Some(a), Some(b)) => same_row(&a, &b),
            (None, None) => true,
            _ => false,
        })
    }
}

/// Whether two tensors have rows of the same shape.
pub(super) fn same_row(a: &InputTensor, b: &InputTensor) -> bool {
    a.shape.get(1..) == b.shape.get(1..)
}
