//! The inputs that describe a batch: how many elements each request has, where they end, and their shapes.

use hippocamp_interface::{BatchInput, BatchInputKind, Interface, TensorSpec};
use hippocamp_tensor::{DataType, MemoryError, PlacedSlice, Shape};
use smallvec::SmallVec;

use hippocamp_backend::Request;

use crate::gather::Target;

/// Writes what `fact` tells of the batch. Returns its shape.
pub(crate) fn write(
    fact: BatchInput,
    spec: &TensorSpec,
    interface: &Interface,
    requests: &[Request],
    (buffer, memory): Target<'_, '_>,
) -> Result<Shape, MemoryError> {
    let sources = requests.iter().map(|request| request.inputs.get(fact.source).and_then(Option::as_ref));
    let counts = sources.clone().map(|source| source.map_or(0, |s| s.shape.element_count().unwrap_or(0)));
    let mut numbers: SmallVec<[i64; 16]> = SmallVec::new();
    match fact.kind {
        BatchInputKind::BatchElementCount => numbers.extend(counts.map(|count| count as i64)),
        BatchInputKind::BatchAccumulatedElementCount => numbers.extend(accumulated(counts)),
        BatchInputKind::BatchAccumulatedElementCountWithZero => {
            numbers.push(0);
            numbers.extend(accumulated(counts));
        }
        BatchInputKind::BatchMaxElementCountAsShape => {
            // Only its size tells something.
            let longest = counts.max().unwrap_or(0);
            buffer.restart(longest * NUMBER_SIZE, memory)?;
            buffer.push_zeros(longest * NUMBER_SIZE)?;
            return Ok(Shape::from([longest as i64]));
        }
        BatchInputKind::BatchItemShape | BatchInputKind::BatchItemShapeFlatten => {
            let batched = usize::from(interface.max_batch_size > 0);
            for (request, source) in requests.iter().zip(sources) {
                let item = source.and_then(|s| s.shape.get(batched..)).unwrap_or_default();
                let items = if batched == 1 { request.batch_size } else { 1 };
                (0..items).for_each(|_| numbers.extend_from_slice(item));
            }
        }
    }
    let count = numbers.len() as i64;
    let shape = if fact.kind == BatchInputKind::BatchItemShape {
        // The rank is the same for all: a request with another is refused.
        let rank = interface.inputs.get(fact.source).map_or(0, |source| source.dims.len() as i64);
        Shape::from([if rank == 0 { 0 } else { count / rank }, rank])
    } else {
        Shape::from([count])
    };
    write_numbers(&numbers, spec.data_type, (buffer, memory))?;
    Ok(shape)
}

/// Both types that a batch input can have are as large.
const NUMBER_SIZE: usize = 4;

fn accumulated(counts: impl Iterator<Item = usize>) -> impl Iterator<Item = i64> {
    counts.scan(0, |total, count| {
        *total += count as i64;
        Some(*total)
    })
}

fn write_numbers(
    numbers: &[i64],
    data_type: DataType,
    (buffer, memory): Target<'_, '_>,
) -> Result<(), MemoryError> {
    let wire = |number: &i64| match data_type {
        DataType::Fp32 => (*number as f32).to_le_bytes(),
        _ => (*number as i32).to_le_bytes(),
    };
    let content: SmallVec<[u8; 128]> = numbers.iter().flat_map(wire).collect();
    buffer.restart(content.len(), memory)?;
    buffer.push(PlacedSlice::Host(&content))
}
