//! Which requests can be joined into one batch.

use hippocamp_backend::Request;
use hippocamp_model_config::Interface;

/// Whether any two requests to a model fit together, so that they need no comparing.
pub(crate) fn is_uniform(interface: &Interface) -> bool {
    interface
        .inputs
        .iter()
        .all(|input| !input.optional && !input.is_shape_tensor && !input.dims.contains(&-1))
}

/// Whether two requests can be joined along the first dimension: the same inputs, equal in every other dimension, and
/// shape tensors of the same content.
pub(crate) fn fit_together(interface: &Interface, a: &Request, b: &Request) -> bool {
    let pairs = interface.inputs.iter().zip(a.inputs.iter().zip(&b.inputs));
    pairs.into_iter().all(|(spec, pair)| match pair {
        (Some(a), Some(b)) if spec.is_shape_tensor => {
            a.shape == b.shape && a.data.to_contiguous() == b.data.to_contiguous()
        }
        (Some(a), Some(b)) => a.shape.get(1..) == b.shape.get(1..),
        (None, None) => true,
        _ => false,
    })
}
