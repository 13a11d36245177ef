//! Joins the inputs of a batch's requests to one tensor for each input.

use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{
    ALIGNMENT, Allocator, DataType, MemoryError, Place, PlacedSlice, RefillBuffer, Shape, TensorData,
};
use smallvec::SmallVec;

use crate::batch_facts;
use crate::padded::Lengths;
use hippocamp_backend::{Error, Request, Result};

/// An input of a whole batch, in the shape that the model itself expects.
#[derive(Clone, Debug)]
pub struct InputView<'a> {
    pub data_type: DataType,
    pub shape: Shape,
    /// The elements, in the memory that the backend wants. Aligned to 64 bytes, or at least to the element if a
    /// request's own bytes are borrowed.
    pub data: PlacedSlice<'a>,
}

impl<'a> InputView<'a> {
    /// The bytes, for a backend that reads host memory.
    ///
    /// # Errors
    /// Fails if the bytes are in the memory of a device, for which the backend asked.
    pub fn bytes(&self) -> Result<&'a [u8]> {
        self.data.as_host().ok_or_else(|| {
            Error::internal(format!("an input was expected in host memory, it is in {}", self.data.place()))
        })
    }
}

/// The inputs of a batch, in the model's order; `None` where an optional one was not given.
pub type Inputs<'a> = [Option<InputView<'a>>];

/// Assembles batches. Keeps one buffer an input, so that nothing is allocated once the largest batch was seen.
#[derive(Debug, Default)]
pub struct Gather {
    buffers: Vec<RefillBuffer>,
}

impl Gather {
    /// Joins the inputs of `requests` along the first dimension: one copy a request, to host memory or to where `memory`
    /// makes buffers for the input at that place of the model's list. Copies nothing when there is only one request and its
    /// bytes lie there in one aligned piece. All requests give the same inputs with the same shapes, but
    /// for the first dimension and for what the config allows; the batcher sees to that.
    ///
    /// # Errors
    /// If there is no memory for a batch, or a transfer failed.
    pub fn gather<'a, 'm>(
        &'a mut self,
        interface: &Interface,
        requests: &'a [Request],
        memory: impl Fn(usize) -> Option<&'m dyn Allocator>,
    ) -> Result<SmallVec<[Option<InputView<'a>>; 4]>, MemoryError> {
        self.buffers.resize_with(interface.all_inputs().len(), RefillBuffer::default);
        let lengths = interface.padding.as_ref().map(|padding| (padding, Lengths::of(padding, requests)));
        let places = interface.all_inputs().zip(&mut self.buffers).enumerate();
        places
            .map(|(i, (spec, buffer))| {
                let (data_type, memory) = (spec.data_type, memory(i));
                if let Some(fact) = interface.batch_input(i) {
                    let shape = batch_facts::write(*fact, spec, interface, requests, (buffer, memory))?;
                    return Ok(Some(InputView { data_type, shape, data: buffer.finish()? }));
                }
                if let Some((padding, lengths)) = &lengths
                    && let Some(padded) = padding.input(i)
                    && lengths.need_padding(padded, requests)
                {
                    let shape = lengths.gather(padded, spec, requests, (buffer, memory))?;
                    let Some(shape) = shape else { return Ok(None) };
                    return Ok(Some(InputView { data_type, shape, data: buffer.finish()? }));
                }
                let Some(shape) = joined_shape(i, spec, interface, requests) else { return Ok(None) };
                Ok(Some(InputView { data_type, shape, data: join(i, spec, requests, (buffer, memory))? }))
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

/// A buffer to gather into, and what makes its memory if that is not host memory.
pub(crate) type Target<'a, 'm> = (&'a mut RefillBuffer, Option<&'m dyn Allocator>);

/// Joins the bytes of one input of all requests.
fn join<'a>(
    input: usize,
    spec: &TensorSpec,
    requests: &'a [Request],
    (buffer, memory): Target<'a, '_>,
) -> Result<PlacedSlice<'a>, MemoryError> {
    let parts = || requests.iter().filter_map(|r| r.inputs.get(input)?.as_ref()).map(|t| &t.data);
    if let [_only] = requests
        && let Some(data) = parts().next().and_then(|data| in_place(data, memory.map(Allocator::place)))
        && is_aligned(data, spec.data_type)
    {
        return Ok(data);
    }
    buffer.restart(parts().map(TensorData::len).sum(), memory)?;
    for data in parts() {
        buffer.push_tensor(data)?;
        if spec.is_shape_tensor {
            break;
        }
    }
    buffer.finish()
}

/// A tensor that is in one piece where it is wanted: in host memory that may be borrowed, or at that place.
fn in_place(data: &TensorData, wanted: Option<Place>) -> Option<PlacedSlice<'_>> {
    match wanted {
        None => data.as_contiguous().map(PlacedSlice::Host),
        Some(place) => data.as_placed().filter(|data| data.place() == place),
    }
}

/// Whether an engine may read elements of that type in place. A device's buffers begin at addresses that are aligned for
/// every type.
fn is_aligned(data: PlacedSlice<'_>, data_type: DataType) -> bool {
    let alignment = data_type.byte_size().unwrap_or(1).min(ALIGNMENT);
    let address = match data {
        PlacedSlice::Host(bytes) => bytes.as_ptr() as usize,
        PlacedSlice::Placed { start, .. } => start,
    };
    address.is_multiple_of(alignment)
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
