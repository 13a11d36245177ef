//! From the requests of a batch to one tensor an input.

use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{ALIGNMENT, AlignedBuffer, DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::batch_facts;
use crate::padded::Lengths;
use hippocamp_backend::Request;

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
    /// for the first dimension and for what the config allows; the batcher sees to that.
    pub fn gather<'a>(
        &'a mut self,
        interface: &Interface,
        requests: &'a [Request],
    ) -> SmallVec<[Option<InputView<'a>>; 4]> {
        self.buffers.resize_with(interface.all_inputs().len(), AlignedBuffer::default);
        let lengths = interface.padding.as_ref().map(|padding| (padding, Lengths::of(padding, requests)));
        let places = interface.all_inputs().zip(&mut self.buffers).enumerate();
        places
            .map(|(i, (spec, buffer))| {
                if let Some(fact) = interface.batch_input(i) {
                    let shape = batch_facts::write(*fact, spec, interface, requests, buffer);
                    return Some(InputView { data_type: spec.data_type, shape, data: buffer.as_slice() });
                }
                if let Some((padding, lengths)) = &lengths
                    && let Some(padded) = padding.input(i)
                    && lengths.need_padding(padded, requests)
                {
                    let shape = lengths.gather(padded, spec, requests, buffer)?;
                    return Some(InputView { data_type: spec.data_type, shape, data: buffer.as_slice() });
                }
                let shape = joined_shape(i, spec, interface, requests)?;
                Some(InputView { data_type: spec.data_type, shape, data: join(i, spec, requests, buffer) })
            })
            .collect()
    }
}

/// The shape of an input of all requests; `None` if they leave it out.
fn joined_shape(
    input: usize,
    spec: &TensorSpec,
    interface: &Interface,
    requests: &[Request],
) -> Option<Shape> {
    let batched = interface.max_batch_size > 0;
    let mut given = requests.iter().filter_map(|r| r.inputs.get(input)?.as_ref());
    if spec.allow_ragged_batch {
        let elements: usize = given.by_ref().map(|t| t.shape.element_count().unwrap_or(0)).sum();
        return requests.first()?.inputs.get(input)?.as_ref().map(|_| Shape::from([elements as i64]));
    }
    let mut shape = given.next()?.shape.clone();
    if batched && !spec.is_shape_tensor {
        shape.set_batch(requests.iter().map(|r| r.batch_size).sum::<usize>() as i64);
    }
    Some(model_shape(spec, shape, batched))
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
