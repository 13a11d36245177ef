//! A tensor as its rows, each a slice.

use bytes::Bytes;
use hippocamp_backend::{Error, InputTensor, Result};
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{BytesElements, DataType, IntoIter, LENGTH_PREFIX, Shape, TensorData, count_elements};

use super::Cut;
use crate::boundary::Value;

/// The rows of one tensor that are not taken yet.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    /// The shape of a row's input.
    shape: Shape,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// Rows of one size.
    Sized { data: TensorData, size: usize },
    /// BYTES: rows of as many elements.
    Elements { data: Bytes, count: usize },
    /// Each row is a segment, as a fan-out before has gathered them.
    Segments(IntoIter),
}

impl Rows {
    /// The rows of a tensor for an input. Fails if it has none, or if its bytes are not what its shape says.
    pub(crate) fn new(value: Value, cut: Cut, spec: &TensorSpec, batches: bool) -> Result<Rows> {
        let Value { mut shape, data, batch_size } = value;
        if let Some(size) = batch_size
            && !cut.of_batch
        {
            if size != 1 {
                return Err(Error::invalid_arg(format!(
                    "expected a request of batch size 1, as each of its rows may have another number of items, got {size}"
                )));
            }
            shape = shape.iter().skip(1).copied().collect();
        }
        let Some((&count, row)) = shape.split_first() else {
            return Err(Error::invalid_arg("expected a tensor with a first dimension, got a scalar"));
        };
        let count = usize::try_from(count).unwrap_or(0);
        let row = Shape::from(row);
        let wrong = || {
            let len = data.len();
            Error::internal(format!(
                "a tensor of shape {shape} has {len} bytes, which is not what that takes"
            ))
        };
        let elements = row.element_count().ok_or_else(wrong)?;
        let rest = if let Some(size) = spec.data_type.byte_size() {
            let size = elements.checked_mul(size).ok_or_else(wrong)?;
            if size.checked_mul(count) != Some(data.len()) {
                return Err(wrong());
            }
            sized(data, size, count)?
        } else {
            if spec.data_type != DataType::Bytes {
                return Err(wrong());
            }
            of_elements(&data, elements, count)?.ok_or_else(wrong)?
        };
        let shape = if batches || cut.keeps_one { row.with_batch(1) } else { row };
        Ok(Rows { count, shape, rest })
    }

    /// The next row. There have to be as many as were counted.
    pub(crate) fn take(&mut self) -> InputTensor {
        let data = match &mut self.rest {
            Rest::Sized { data, size } => data.split_to(*size),
            Rest::Elements { data, count } => {
                let elements = BytesElements::new(data).take(*count);
                let size = elements.flatten().map(|element| LENGTH_PREFIX + element.len()).sum();
                data.split_to(size).into()
            }
            Rest::Segments(segments) => segments.next().unwrap_or_default().into(),
        };
        InputTensor { shape: self.shape.clone(), data }
    }
}

fn sized(data: TensorData, size: usize, count: usize) -> Result<Rest> {
    match data.as_segments() {
        Some(segments) if segments.len() > 1 => {
            if segments.len() == count && segments.iter().all(|segment| segment.len() == size) {
                return Ok(Rest::Segments(data.into_host()?.into_iter()));
            }
            Ok(Rest::Sized { data: data.to_host()?.into(), size })
        }
        _ => Ok(Rest::Sized { data, size }),
    }
}

/// `None` if there are not as many elements as that.
fn of_elements(data: &TensorData, elements: usize, count: usize) -> Result<Option<Rest>> {
    if let Some(segments) = data.as_segments()
        && segments.len() == count
        && segments.iter().all(|segment| count_elements(segment) == Ok(elements))
    {
        return Ok(Some(Rest::Segments(data.clone().into_host()?.into_iter())));
    }
    let data = data.to_host()?;
    let fits = elements.checked_mul(count).is_some_and(|all| count_elements(&data) == Ok(all));
    Ok(fits.then_some(Rest::Elements { data, count: elements }))
}
