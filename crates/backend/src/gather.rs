//! From the requests of a batch to one tensor an input.

use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{ALIGNMENT, AlignedBuffer, DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::Request;

/// An input of a whole batch, in the shape that the model itself expects.
#[derive(Clone, Debug)]
pub struct InputView<'a> {
    pub data_type: DataType,
    pub shape: Shape,
    /// Aligned to 64 bytes, or to the element at least where a request's own bytes are borrowed.
    pub data: &'a [u8],
}

/// The inputs of a batch, in the model's order; `None` where an optional one was not given.
pub type Inputs<'a> = [Option<InputView<'a>>];

/// Assembles batches. Keeps one buffer an input, so that nothing is allocated once the largest batch was seen.
#[derive(Debug, Default)]
pub struct Gather {
    buffers: Vec<AlignedBuffer>,
}

impl Gather {
    /// Joins the inputs of `requests` along the first dimension: one copy a request. Copies nothing when there is only
    /// one request and its bytes lie in one aligned piece. All requests give the same inputs with the same shapes, but
    /// for the first dimension; the batcher sees to that.
    pub fn gather<'a>(
        &'a mut self,
        interface: &Interface,
        requests: &'a [Request],
    ) -> SmallVec<[Option<InputView<'a>>; 4]> {
        self.buffers.resize_with(interface.all_inputs().len(), AlignedBuffer::default);
        let batched = interface.max_batch_size > 0;
        let total: usize = requests.iter().map(|r| r.batch_size).sum();
        let places = interface.all_inputs().zip(&mut self.buffers).enumerate();
        places
            .map(|(i, (spec, buffer))| {
                let first = requests.first()?.inputs.get(i)?.as_ref()?;
                let mut shape = first.shape.clone();
                if batched && !spec.is_shape_tensor {
                    shape.set_batch(total as i64);
                }
                let shape = model_shape(spec, shape, batched);
                Some(InputView { data_type: spec.data_type, shape, data: join(i, spec, requests, buffer) })
            })
            .collect()
    }
}

/// One input's bytes of all requests.
fn join<'a>(
    input: usize,
    spec: &TensorSpec,
    requests: &'a [Request],
    buffer: &'a mut AlignedBuffer,
) -> &'a [u8] {
    let parts = || requests.iter().filter_map(|r| r.inputs.get(input)?.as_ref()).map(|t| &t.data);
    if let [_only] = requests
        && let Some(bytes) = parts().next().and_then(|data| data.as_contiguous())
        && is_aligned(bytes, spec.data_type)
    {
        return bytes;
    }
    buffer.restart(parts().map(TensorData::len).sum());
    for data in parts() {
        data.copy_to(buffer);
        if spec.is_shape_tensor {
            break;
        }
    }
    buffer.as_slice()
}

/// Whether an engine may read elements of that type in place.
fn is_aligned(bytes: &[u8], data_type: DataType) -> bool {
    let alignment = data_type.byte_size().unwrap_or(1).min(ALIGNMENT);
    (bytes.as_ptr() as usize).is_multiple_of(alignment)
}

/// The shape that the model expects where the config reshapes the input: each -1 of the model's shape takes the next
/// size that the config leaves open.
pub fn model_shape(spec: &TensorSpec, shape: Shape, batched: bool) -> Shape {
    let Some(target) = &spec.reshape else { return shape };
    let skip = usize::from(batched);
    let given = shape.get(skip..).unwrap_or_default();
    let mut open = spec.dims.iter().zip(given).filter(|(want, _)| **want == -1).map(|(_, got)| *got);
    let inner = target.iter().map(|&d| if d == -1 { open.next().unwrap_or(1) } else { d });
    shape.iter().copied().take(skip).chain(inner).collect()
}
