//! Batches of requests of different lengths: padded when they are gathered, cut when they are scattered.

use bytes::{Bytes, BytesMut};
use hippocamp_interface::{PaddedInput, Padding, TensorSpec};
use hippocamp_tensor::{AlignedBuffer, DataType, Shape};
use smallvec::SmallVec;

use hippocamp_backend::{Error, Request, Result};

/// The length of a request: the size of the dimension that is padded. 0 if no input tells it.
pub(crate) fn length(padding: &Padding, request: &Request) -> usize {
    let size = |input: &PaddedInput| {
        let tensor = request.inputs.get(input.index)?.as_ref()?;
        usize::try_from(*tensor.shape.get(input.dim)?).ok()
    };
    padding.inputs.iter().find_map(size).unwrap_or(0)
}

/// The lengths of a batch.
#[derive(Debug)]
pub(crate) struct Lengths {
    /// Of each request.
    each: SmallVec<[usize; 8]>,
    /// What all of them are padded to.
    pub(crate) padded: usize,
}

impl Lengths {
    pub(crate) fn of(padding: &Padding, requests: &[Request]) -> Lengths {
        let each: SmallVec<[usize; 8]> = requests.iter().map(|request| length(padding, request)).collect();
        let longest = each.iter().copied().max().unwrap_or(0);
        Lengths { padded: padding.padded_length(longest), each }
    }

    /// Whether that input has to be written anew: some request does not fill it, or leaves it to the server.
    pub(crate) fn need_padding(&self, input: &PaddedInput, requests: &[Request]) -> bool {
        let given = |request: &Request| request.inputs.get(input.index).is_some_and(Option::is_some);
        self.each.iter().any(|length| *length != self.padded)
            || (input.fill.is_some() && !requests.iter().all(given))
    }

    /// Writes one input of the whole batch: each row up to its length, then the value to pad with. Returns its shape,
    /// or `None` if no request has it and the server does not make it.
    pub(crate) fn gather(
        &self,
        input: &PaddedInput,
        spec: &TensorSpec,
        requests: &[Request],
        buffer: &mut AlignedBuffer,
    ) -> Option<Shape> {
        let tensors = requests.iter().map(|request| request.inputs.get(input.index)?.as_ref());
        let given = tensors.clone().flatten().next();
        if given.is_none() && input.fill.is_none() {
            return None;
        }
        let mut shape = given.map_or_else(|| spec.dims.with_batch(0), |tensor| tensor.shape.clone());
        let rows: usize = requests.iter().map(|request| request.batch_size).sum();
        let sizes = shape.iter().enumerate();
        shape = sizes
            .map(|(dim, size)| match dim {
                0 => rows as i64,
                _ if dim == input.dim => self.padded as i64,
                _ => *size,
            })
            .collect();
        // Of one row, how often its length comes, and how many bytes each step of it has.
        let product = |sizes: &[i64]| sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).product();
        let runs: usize = product(shape.get(1..input.dim).unwrap_or_default());
        let steps: usize = product(shape.get(input.dim + 1..).unwrap_or_default());
        let elements = rows.saturating_mul(runs).saturating_mul(self.padded).saturating_mul(steps);
        buffer.restart(elements.saturating_mul(input.value.len()));
        let fill = input.fill.as_deref().unwrap_or(&input.value);
        for ((request, tensor), length) in requests.iter().zip(tensors).zip(&self.each) {
            let runs = request.batch_size * runs;
            let content = tensor.map(|tensor| tensor.data.to_contiguous());
            let run_size = length * steps * input.value.len();
            for run in 0..runs {
                match &content {
                    Some(content) => {
                        let begin = run * run_size;
                        buffer.push(content.get(begin..begin + run_size).unwrap_or_default());
                    }
                    None => push_elements(buffer, fill, length * steps),
                }
                push_elements(buffer, &input.value, (self.padded - length) * steps);
            }
        }
        Some(shape)
    }

    /// Cuts the rows that request number `n` has of an output back to its own length.
    pub(crate) fn cut(
        &self,
        n: usize,
        dim: usize,
        spec: (&str, DataType),
        (mut shape, data): (Shape, Bytes),
    ) -> Result<(Shape, Bytes)> {
        let (name, data_type) = spec;
        let length = self.each.get(n).copied().unwrap_or(self.padded);
        if shape.get(dim) != Some(&(self.padded as i64)) {
            return Err(Error::internal(format!(
                "output '{name}' was expected to have the padded length {} in dimension {dim}, the model gave shape \
                 {shape}",
                self.padded
            )));
        }
        if length == self.padded {
            return Ok((shape, data));
        }
        let product = |sizes: &[i64]| sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).product();
        let runs: usize = product(&shape[..dim]);
        let step: usize = product(&shape[dim + 1..]);
        let step = step * data_type.byte_size().unwrap_or(0);
        let mut kept = BytesMut::with_capacity(runs * length * step);
        for run in 0..runs {
            let begin = run * self.padded * step;
            kept.extend_from_slice(data.get(begin..begin + length * step).unwrap_or_default());
        }
        shape =
            shape.iter().enumerate().map(|(d, size)| if d == dim { length as i64 } else { *size }).collect();
        Ok((shape, kept.freeze()))
    }
}

fn push_elements(buffer: &mut AlignedBuffer, element: &[u8], count: usize) {
    if element.iter().all(|byte| *byte == 0) {
        buffer.push_zeros(element.len() * count);
    } else {
        for _ in 0..count {
            buffer.push(element);
        }
    }
}
