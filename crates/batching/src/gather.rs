//! Joins the inputs of a batch's requests to one tensor for each input.

use hippocamp_interface::{Interface, TensorSpec};
use hippocamp_tensor::{
    ALIGNMENT, Allocator, DataType, MemoryError, Place, PlacedBufferMut, PlacedSlice, RefillBuffer, Shape,
    TensorData,
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

/// Where an input of a batch has to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct InputMemory<'a> {
    /// What allocates memory there; `None` stands for host memory.
    pub allocator: Option<&'a dyn Allocator>,
    /// Whether the engine reads the input from the buffer of [`Gather`] only, at whose address it has prepared a run. Otherwise
    /// the tensor of a single request is read where it is, if that is a suitable place.
    pub fixed: bool,
    /// Whether the engine works on the stream that the allocator's memory belongs to, so that it reads a buffer behind the copies to
    /// it. Otherwise they are complete when the batch is handed over.
    pub in_order: bool,
}

impl<'a> From<Option<&'a dyn Allocator>> for InputMemory<'a> {
    fn from(allocator: Option<&'a dyn Allocator>) -> Self {
        InputMemory { allocator, ..InputMemory::default() }
    }
}

impl InputMemory<'_> {
    /// What was written to the buffer, as the engine may read it.
    fn filled<'b>(&self, buffer: &'b mut RefillBuffer) -> Result<PlacedSlice<'b>, MemoryError> {
        if self.in_order { Ok(buffer.queued()) } else { buffer.finish() }
    }
}

/// Assembles batches. Keeps one buffer an input, so that nothing is allocated once the largest batch was seen.
#[derive(Debug, Default)]
pub struct Gather {
    buffers: Vec<RefillBuffer>,
}

impl Gather {
    /// Gathers into given buffers, in the order of the model's inputs: those for which an engine has prepared its runs. A
    /// buffer that a batch does not fit into is replaced by a larger one at another address. Where there is no buffer, one is
    /// made when it is needed.
    pub fn with_buffers(buffers: impl IntoIterator<Item = Option<Box<dyn PlacedBufferMut>>>) -> Gather {
        let buffers =
            buffers.into_iter().map(|buffer| buffer.map_or_else(RefillBuffer::default, RefillBuffer::from));
        Gather { buffers: buffers.collect() }
    }

    /// Joins the inputs of `requests` along the first dimension: one copy a request, to where `memory` says for the input at
    /// that place of the model's list. Copies nothing when there is only one request and its bytes lie there in one
    /// aligned piece. All requests give the same inputs with the same shapes, but
    /// for the first dimension and for what the config allows; the batcher sees to that.
    ///
    /// Where `rows` is more than the requests have, the last row is repeated within the buffer until there are as many. That
    /// is an input that the model takes, and the least and the greatest value of the batch stay what they are, for models that
    /// derive a scale from these; neither can be said of zeros. [`Outputs`](crate::Outputs) drops what comes of it. Inputs
    /// that are not made of rows stay as they are.
    ///
    /// # Errors
    /// If there is no memory for a batch, or a transfer failed.
    pub fn gather<'a, 'm>(
        &'a mut self,
        interface: &Interface,
        requests: &'a [Request],
        rows: usize,
        memory: impl Fn(usize) -> InputMemory<'m>,
    ) -> Result<SmallVec<[Option<InputView<'a>>; 4]>, MemoryError> {
        self.buffers.resize_with(interface.all_inputs().len(), RefillBuffer::default);
        let lengths = interface.padding.as_ref().map(|padding| (padding, Lengths::of(padding, requests)));
        let rows = RowCount::of(interface, requests, rows);
        let places = interface.all_inputs().zip(&mut self.buffers).enumerate();
        places
            .map(|(i, (spec, buffer))| {
                let (data_type, memory) = (spec.data_type, memory(i));
                if let Some(fact) = interface.batch_input(i) {
                    let shape =
                        batch_facts::write(*fact, spec, interface, requests, (buffer, memory.allocator))?;
                    return Ok(Some(InputView { data_type, shape, data: memory.filled(buffer)? }));
                }
                if let Some((padding, lengths)) = &lengths
                    && let Some(padded) = padding.input(i)
                    && lengths.need_padding(padded, requests)
                {
                    let shape = lengths.gather(padded, spec, requests, rows, (buffer, memory.allocator))?;
                    let Some(shape) = shape else { return Ok(None) };
                    return Ok(Some(InputView { data_type, shape, data: memory.filled(buffer)? }));
                }
                let rows = rows.for_input(spec);
                let Some(shape) = joined_shape(i, spec, interface, requests, rows) else { return Ok(None) };
                Ok(Some(InputView {
                    data_type,
                    shape,
                    data: join(i, spec, requests, rows, (buffer, memory))?,
                }))
            })
            .collect()
    }
}

/// How many rows a batch has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowCount {
    /// Those of its requests.
    pub(crate) given: usize,
    /// Those that it is padded to: as many, or more.
    pub(crate) padded: usize,
}

impl RowCount {
    pub(crate) fn of(interface: &Interface, requests: &[Request], padded: usize) -> RowCount {
        let given = requests.iter().map(|request| request.batch_size).sum();
        let can_be = interface.max_batch_size > 0 && given > 0;
        RowCount { given, padded: if can_be { padded.max(given) } else { given } }
    }

    /// Those of an input, which is not padded unless it is made of rows of a common size.
    fn for_input(self, spec: &TensorSpec) -> RowCount {
        let has_rows = !spec.is_shape_tensor && !spec.allow_ragged_batch && spec.data_type != DataType::Bytes;
        if has_rows { self } else { RowCount { padded: self.given, ..self } }
    }

    pub(crate) fn missing(self) -> usize {
        self.padded - self.given
    }

    /// The bytes of all rows, of which the given ones have `size`.
    fn padded_size(self, size: usize) -> usize {
        let row = size.checked_div(self.given).unwrap_or(0);
        size.saturating_add(row.saturating_mul(self.missing()))
    }

    /// Repeats the last row that was pushed to the buffer, whose rows have `size` bytes together, until there are enough.
    pub(crate) fn repeat_last(self, buffer: &mut RefillBuffer, size: usize) -> Result<(), MemoryError> {
        if self.missing() == 0 { Ok(()) } else { buffer.repeat_last(size / self.given, self.missing()) }
    }
}

/// The shape of an input of all requests; `None` if they leave it out.
fn joined_shape(
    input: usize,
    spec: &TensorSpec,
    interface: &Interface,
    requests: &[Request],
    rows: RowCount,
) -> Option<Shape> {
    let batched = interface.max_batch_size > 0;
    let mut given = requests.iter().filter_map(|r| r.inputs.get(input)?.as_ref());
    if spec.allow_ragged_batch {
        let elements: usize = given.by_ref().map(|t| t.shape.element_count().unwrap_or(0)).sum();
        return requests.first()?.inputs.get(input)?.as_ref().map(|_| Shape::from([elements as i64]));
    }
    let mut shape = given.next()?.shape.clone();
    if batched && !spec.is_shape_tensor {
        shape.set_batch(rows.padded as i64);
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
    rows: RowCount,
    (buffer, memory): (&'a mut RefillBuffer, InputMemory<'_>),
) -> Result<PlacedSlice<'a>, MemoryError> {
    let parts = || requests.iter().filter_map(|r| r.inputs.get(input)?.as_ref()).map(|t| &t.data);
    if let [_only] = requests
        && !memory.fixed
        && rows.missing() == 0
        && let Some(data) =
            parts().next().and_then(|data| in_place(data, memory.allocator.map(Allocator::place)))
        && is_aligned(data, spec.data_type)
    {
        return Ok(data);
    }
    let size = parts().map(TensorData::len).sum();
    buffer.restart(rows.padded_size(size), memory.allocator)?;
    buffer.push_tensors(parts().take(if spec.is_shape_tensor { 1 } else { usize::MAX }))?;
    rows.repeat_last(buffer, size)?;
    memory.filled(buffer)
}

/// A tensor that is in one piece where it is wanted: in host memory that may be borrowed, or at that place.
fn in_place(data: &TensorData, wanted: Option<Place>) -> Option<PlacedSlice<'_>> {
    match wanted {
        None => data.as_contiguous().map(PlacedSlice::Host),
        Some(place) => data.as_placed().filter(|data| data.place() == place),
    }
}

/// Whether an engine may read elements of that type in place. A device's buffers begin at addresses that are aligned for
/// every type, but for parts of what a client shares: a kernel that reads vectors there would end the device for the process.
fn is_aligned(data: PlacedSlice<'_>, data_type: DataType) -> bool {
    let alignment = data_type.byte_size().unwrap_or(1).min(ALIGNMENT);
    match data {
        PlacedSlice::Host(bytes) => (bytes.as_ptr() as usize).is_multiple_of(alignment),
        PlacedSlice::Placed { buffer, start, .. } => {
            start.is_multiple_of(alignment) && buffer.misalignment().is_multiple_of(DEVICE_ALIGNMENT)
        }
    }
}

/// The alignment of memory that a client shares from which on kernels read it in place: that of their widest vectors.
const DEVICE_ALIGNMENT: usize = 16;

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hippocamp_device::Devices;
    use hippocamp_device::testing::TestDriver;

    use super::*;

    #[test]
    fn what_a_client_shares_is_read_in_place_where_it_is_aligned_for_vectors() {
        let driver = TestDriver::new(1, 1 << 20);
        let (_client, handle) = driver.export(0, &[0; 256]);
        let memory = Devices::of(driver).open_exported(0, &handle).unwrap();
        for (start, is_read_in_place) in
            [(0, true), (1, false), (4, false), (8, false), (16, true), (100, false)]
        {
            let part = Arc::clone(&memory).part(start, 16, Box::new(()));
            let slice = PlacedSlice::Placed { buffer: &*part, start: 0, len: 16 };
            assert_eq!(is_aligned(slice, DataType::Fp32), is_read_in_place, "offset {start}");
        }
    }
}
