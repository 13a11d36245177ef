//! Collects the outputs of a request, image by image.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, OutputTensor, Result};
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{Allocator, Place, Shape, push_element};

use crate::model::has_leading_one;
use crate::pipeline::Pipeline;
use crate::value::{Kind, Pixels, Slot, Value, Values};

/// An output of the model, and its content for the current request so far.
#[derive(Debug)]
pub(crate) struct Output {
    spec: TensorSpec,
    /// Its index among the model's outputs.
    index: usize,
    slot: Slot,
    has_leading_one: bool,
    is_tensor: bool,
    is_wanted: bool,
    /// The shape of the request's first image, without a batch dimension.
    dims: Option<Shape>,
    /// The rows of values that are not tensors; tensors collect their rows themselves.
    data: Vec<u8>,
}

impl Output {
    pub(crate) fn new(
        pipeline: &Pipeline,
        index: usize,
        spec: &TensorSpec,
        is_batched: bool,
    ) -> Result<Output> {
        let slot = pipeline.written(&spec.name);
        let value = slot.and_then(|slot| Some((slot, pipeline.value(slot)?)));
        let (slot, value) =
            value.ok_or_else(|| Error::internal(format!("no step writes the output '{}'", spec.name)))?;
        let declared = spec.reshape.as_ref().unwrap_or(&spec.dims);
        Ok(Output {
            has_leading_one: !is_batched && has_leading_one(declared, &value.kind.dims()),
            is_tensor: matches!(value.kind, Kind::Tensor(_)),
            spec: spec.clone(),
            index,
            slot,
            is_wanted: false,
            dims: None,
            data: Vec::new(),
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// Begins a request of `rows` images, which wants the output at that place, if at all. A tensor for a device is written to
    /// `pinned` memory, if there is some.
    pub(crate) fn begin(
        &mut self,
        values: &mut Values,
        rows: usize,
        place: Option<Place>,
        pinned: Option<&Arc<dyn Allocator>>,
    ) {
        self.is_wanted = place.is_some();
        self.dims = None;
        self.data.clear();
        if self.is_tensor {
            let mut tensor = values.take_tensor(self.slot);
            let pinned = pinned.filter(|_| matches!(place, Some(Place::Pinned | Place::Device(_))));
            tensor.expect_rows(if self.is_wanted { rows } else { 1 }, pinned);
            values.set(self.slot, Value::Tensor(tensor));
        }
    }

    /// Appends the value of the current image.
    pub(crate) fn keep(&mut self, values: &mut Values) -> Result<()> {
        if !self.is_wanted {
            return Ok(());
        }
        let Some(value) = values.get_mut(self.slot) else { return Err(unset()) };
        let dims = self.shape_of(value)?;
        match &self.dims {
            None => self.dims = Some(dims),
            Some(first) if *first == dims => {}
            Some(first) => {
                return Err(Error::invalid_arg(format!(
                    "the pictures of a request were expected to give the same shape, got {first} and {dims}; send them in \
                     requests of their own"
                )));
            }
        }
        match value {
            Value::Empty | Value::Detections(_) => return Err(unset()),
            Value::Tensor(tensor) => tensor.keep_row(),
            Value::Encoded(bytes) => push_element(&mut self.data, bytes),
            Value::Matrix(matrix) => self.data.extend(matrix.rows().iter().flat_map(|n| n.to_le_bytes())),
            Value::Size(size) => {
                let numbers = [size.height as i32, size.width as i32];
                self.data.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
            }
            Value::Image(image) => match &image.pixels {
                Pixels::U8(samples) => self.data.extend_from_slice(samples),
                Pixels::F32(samples) => self.data.extend_from_slice(bytemuck::cast_slice(samples)),
            },
        }
        Ok(())
    }

    /// The output for the response; `None` if the request did not ask for it.
    pub(crate) fn finish(
        &mut self,
        values: &mut Values,
        rows: usize,
        is_batched: bool,
    ) -> Option<OutputTensor> {
        let shape = self.dims.take().filter(|_| self.is_wanted)?;
        let shape = if is_batched { shape.with_batch(rows as i64) } else { shape };
        let data = match values.get_mut(self.slot) {
            Some(Value::Tensor(tensor)) => tensor.take_rows(),
            _ => Bytes::from(std::mem::take(&mut self.data)).into(),
        };
        Some(OutputTensor { index: self.index, shape, data, data_type: None })
    }

    /// The shape of a value in the response, without the batch dimension.
    fn shape_of(&self, value: &Value) -> Result<Shape> {
        let mut dims = match value {
            Value::Empty | Value::Detections(_) => return Err(unset()),
            Value::Tensor(tensor) => tensor.dims().clone(),
            Value::Encoded(_) => Shape::from([1]),
            Value::Matrix(_) => Shape::from([2, 3]),
            Value::Size(_) => Shape::from([2]),
            Value::Image(image) => {
                let (size, channels) = (image.size, image.channels());
                Shape::from([size.height as i64, size.width as i64, channels as i64])
            }
        };
        if self.has_leading_one {
            dims = dims.with_batch(1);
        }
        let declared = self.spec.reshape.as_ref().unwrap_or(&self.spec.dims);
        if !declared.admits(&dims) {
            return Err(Error::invalid_arg(format!(
                "it is declared with the shape {declared}, this picture gives {dims}"
            )));
        }
        let reshaped = self.spec.reshape.as_ref();
        Ok(reshaped.map_or_else(|| dims.clone(), |from| fill(from, &dims, &self.spec.dims)))
    }
}

/// Fills the -1s of `to` with the sizes that `given` has where `from` is -1, in order.
pub(crate) fn fill(from: &[i64], given: &[i64], to: &[i64]) -> Shape {
    let mut open = from.iter().zip(given).filter(|(declared, _)| **declared == -1).map(|(_, size)| *size);
    to.iter().map(|&size| if size == -1 { open.next().unwrap_or(1) } else { size }).collect()
}

#[cold]
fn unset() -> Error {
    Error::internal("the pipeline set no value")
}
