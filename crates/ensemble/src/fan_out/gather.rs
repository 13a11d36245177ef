//! The rows' outputs as one tensor.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{Shape, TensorData};

use super::pad;
use crate::boundary::Value;

/// An output of one row.
pub(crate) type Row = (Shape, TensorData);

/// How the rows of an output become one tensor.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    pub(crate) spec: &'a TensorSpec,
    /// The model has a batch dimension, which is 1 in each row.
    pub(crate) batches: bool,
    /// The output has no batch dimension, but the dimension of its rows in front, which is 1 in each.
    pub(crate) joins: bool,
    pub(crate) pads: bool,
}

impl Gather<'_> {
    /// Puts the rows together, in their order. Their memory is only referred to, unless they are padded or on a device.
    pub(crate) fn run(&self, mut rows: Vec<Row>) -> Result<Value> {
        let shape = self.row_shape(&mut rows)?;
        let count = rows.len();
        let is_even = rows.iter().all(|(row, _)| *row == shape);
        let data = if is_even { join(rows)? } else { pad::padded(rows, &shape, self.spec.data_type)? };
        let shape = shape.with_batch(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(Value { shape, data, batch_size: None })
    }

    /// The shape that each row has in the end, without the batch dimension, which is taken off the rows.
    fn row_shape(&self, rows: &mut [Row]) -> Result<Shape> {
        if self.batches || self.joins {
            for (at, (shape, _)) in rows.iter_mut().enumerate() {
                if shape.first() != Some(&1) {
                    let shape = shape.clone();
                    return Err(
                        self.error(at, &format!("has shape {shape}, expected a first dimension of 1"))
                    );
                }
                *shape = shape.iter().skip(1).copied().collect();
            }
        }
        let Some(((first, _), others)) = rows.split_first() else {
            // There is no row that tells the dims which the config leaves open.
            let dims = self.spec.dims.iter().skip(usize::from(self.joins));
            return Ok(dims.map(|&dim| dim.max(0)).collect());
        };
        let mut largest = first.clone();
        for (at, (shape, _)) in others.iter().enumerate() {
            if shape == first {
                continue;
            }
            if !self.pads {
                return Err(self.error(
                    at + 1,
                    &format!(
                        "has shape {shape}, where item 1 has {first}: items of different shapes cannot be one tensor unless \
                         fan_out.MODEL.ragged is \"pad\""
                    ),
                ));
            }
            if shape.len() != first.len() {
                return Err(self.error(
                    at + 1,
                    &format!(
                        "has shape {shape}, where item 1 has {first}: these cannot be padded to one shape"
                    ),
                ));
            }
            largest = largest.iter().zip(shape.iter()).map(|(&a, &b)| a.max(b)).collect();
        }
        Ok(largest)
    }

    #[cold]
    fn error(&self, at: usize, text: &str) -> Error {
        Error::invalid_arg(format!("output '{}' of item {} {text}", self.spec.name, at + 1))
    }
}

/// All rows of one shape, as they follow each other.
fn join(mut rows: Vec<Row>) -> Result<TensorData> {
    if rows.len() == 1
        && let Some((_, data)) = rows.pop()
    {
        return Ok(data);
    }
    let mut segments: Vec<Bytes> = Vec::new();
    segments
        .try_reserve_exact(rows.len())
        .map_err(|_| Error::unavailable("there is no memory for the items"))?;
    for (_, data) in rows {
        segments.extend(data.into_host()?);
    }
    Ok(segments.into_iter().collect())
}
