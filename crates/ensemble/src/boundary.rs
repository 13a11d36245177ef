//! Adapts shapes between models with and without a batch dimension.

use hippocamp_tensor::{Shape, TensorData};

/// A tensor between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The shape in the producer's response.
    pub(crate) shape: Shape,
    pub(crate) data: TensorData,
    /// The batch size of the producer's request; `None` if the producer has no batch dimension.
    pub(crate) batch_size: Option<usize>,
}

impl Value {
    /// The shape for a consumer that expects `dims`, after a batch dimension if `batches` is true.
    ///
    /// If only one of the two models has a batch dimension, a batch dimension of 1 is added or removed where the rest
    /// is what the consumer expects. Any other shape is passed on unchanged; the consumer's own check decides whether
    /// it fits.
    pub(crate) fn shape_for(&self, dims: &Shape, batches: bool) -> Shape {
        match self.batch_size {
            None if batches && dims.admits(&self.shape) => self.shape.with_batch(1),
            Some(1) if !batches && !dims.admits(&self.shape) => self.shape.iter().skip(1).copied().collect(),
            _ => self.shape.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(given: &[i64], batch_size: Option<usize>, dims: &[i64], batches: bool) -> Vec<i64> {
        let value = Value { shape: given.into(), data: TensorData::default(), batch_size };
        value.shape_for(&dims.into(), batches).to_vec()
    }

    #[test]
    fn gives_a_batching_model_a_batch_of_one() {
        assert_eq!(shape(&[1, 3, 8, 8], None, &[1, 3, 8, 8], true), [1, 1, 3, 8, 8]);
        assert_eq!(shape(&[4, 16], None, &[16], true), [4, 16], "it is a batch already");
        assert_eq!(shape(&[2, 16], Some(2), &[16], true), [2, 16], "both batch");
    }

    #[test]
    fn strips_a_batch_of_one_for_a_model_that_does_not_batch() {
        assert_eq!(shape(&[1, 1, 3, 8, 8], Some(1), &[1, 3, 8, 8], false), [1, 3, 8, 8]);
        assert_eq!(shape(&[1, 16], Some(1), &[-1, 16], false), [1, 16], "it takes the whole batch");
        assert_eq!(shape(&[3, 16], Some(3), &[16], false), [3, 16], "left to the model's check to refuse");
        assert_eq!(shape(&[5], None, &[7], false), [5], "neither batches");
    }
}
