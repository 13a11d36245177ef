//! Batches of requests of different lengths: padded when they are gathered, cut when they are scattered.

use hippocamp_interface::{PaddedInput, Padding, TensorSpec};
use hippocamp_tensor::{MemoryError, Place, PlacedSlice, Shape, TensorData};
use smallvec::SmallVec;

use hippocamp_backend::{Error, Request, Result};

use crate::gather::{RowCount, Target};

/// The length of a request: the size of the dimension that is padded. 0 if no input tells it.
pub(crate) fn length(padding: &Padding, request: &Request) -> usize {
    let size = |input: &PaddedInput| {
        let tensor = request.inputs.get(input.index)?.as_ref()?;
        usize::try_from(*tensor.shape.get(input.dim)?).ok()
    };
    padding.inputs.iter().find_map(size).unwrap_or(0)
}

/// The lengths of a batch's requests.
#[derive(Debug)]
pub(crate) struct Lengths {
    /// The length of each request.
    each: SmallVec<[usize; 8]>,
    /// The length to which all are padded.
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
        rows: RowCount,
        (buffer, memory): Target<'_, '_>,
    ) -> Result<Option<Shape>, MemoryError> {
        let tensors = requests.iter().map(|request| request.inputs.get(input.index)?.as_ref());
        let given = tensors.clone().flatten().next();
        if given.is_none() && input.fill.is_none() {
            return Ok(None);
        }
        let mut shape = given.map_or_else(|| spec.dims.with_batch(0), |tensor| tensor.shape.clone());
        let sizes = shape.iter().enumerate();
        shape = sizes
            .map(|(dim, size)| match dim {
                0 => rows.padded as i64,
                _ if dim == input.dim => self.padded as i64,
                _ => *size,
            })
            .collect();
        // Of one row, how often its length comes, and how many bytes each step of it has.
        let product = |sizes: &[i64]| sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).product();
        let runs: usize = product(shape.get(1..input.dim).unwrap_or_default());
        let steps: usize = product(shape.get(input.dim + 1..).unwrap_or_default());
        let elements = rows.padded.saturating_mul(runs).saturating_mul(self.padded).saturating_mul(steps);
        buffer.restart(elements.saturating_mul(input.value.len()), memory)?;
        let fill = input.fill.as_deref().unwrap_or(&input.value);
        for ((request, tensor), length) in requests.iter().zip(tensors).zip(&self.each) {
            let runs = request.batch_size * runs;
            let host;
            let content = match tensor.map(|tensor| &tensor.data) {
                Some(data) if is_copied_in_runs(data, buffer.place()) => data.as_one_slice(),
                Some(data) => {
                    host = data.to_host()?;
                    Some(PlacedSlice::Host(&host))
                }
                None => None,
            };
            let run_size = length * steps * input.value.len();
            for run in 0..runs {
                match content {
                    Some(content) => buffer.push(content.part(run * run_size, run_size))?,
                    None => buffer.push_repeated(fill, length * steps)?,
                }
                buffer.push_repeated(&input.value, (self.padded - length) * steps)?;
            }
        }
        rows.repeat_last(buffer, rows.given * runs * self.padded * steps * input.value.len())?;
        Ok(Some(shape))
    }

    /// Cuts the rows that request number `n` has of an output back to its own length.
    pub(crate) fn cut(
        &self,
        n: usize,
        dim: usize,
        (model, spec): (&str, &TensorSpec),
        (mut shape, data): (Shape, TensorData),
    ) -> Result<(Shape, TensorData)> {
        let name = &spec.name;
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
        let step = step * spec.data_type.byte_size().unwrap_or(0);
        let kept = data.strided(runs, self.padded * step, length * step);
        let kept = kept.map_err(|error| Error::of_memory(model, error))?;
        shape =
            shape.iter().enumerate().map(|(d, size)| if d == dim { length as i64 } else { *size }).collect();
        Ok((shape, kept))
    }
}

/// Whether the runs of a tensor are copied one by one from where it is. From a device to host memory it is transferred as a
/// whole instead, and several segments are joined first.
fn is_copied_in_runs(data: &TensorData, target: Place) -> bool {
    let leaves_device = matches!(data.place(), Place::Device(_)) && data.place() != target;
    !leaves_device && data.as_one_slice().is_some()
}
