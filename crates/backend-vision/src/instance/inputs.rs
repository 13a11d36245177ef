//! Splits the inputs of a request into rows, one for each image.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Error, Request, Result};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{BytesElements, Shape};

use crate::model::has_leading_one;
use crate::outputs::fill;
use crate::pipeline::Pipeline;
use crate::value::{Affine, Color, ImageKind, Kind, Size, Slot, Tensor, Value, Values};

/// An input of the model, and its rows in the current request.
#[derive(Debug)]
pub(super) struct Input {
    spec: TensorSpec,
    /// Its index among the inputs of a request.
    index: usize,
    slot: Slot,
    kind: Kind,
    has_leading_one: bool,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    /// The elements of a BYTES tensor.
    Elements(Vec<Bytes>),
    /// Rows of `size` bytes and of shape `dims`.
    Numbers { dims: Shape, size: usize, data: Bytes },
}

impl Input {
    pub(super) fn new(pipeline: &Pipeline, slot: Slot, interface: &Interface) -> Result<Input> {
        let value = pipeline.value(slot).ok_or_else(|| Error::internal("an input has no slot"))?;
        let place = interface.inputs.iter().enumerate().find(|(_, spec)| *spec.name == value.name);
        let (index, spec) = place
            .ok_or_else(|| Error::internal(format!("the configuration has no input '{}'", value.name)))?;
        let declared = spec.reshape.as_ref().unwrap_or(&spec.dims);
        let has_leading_one = interface.max_batch_size == 0 && has_leading_one(declared, &value.kind.dims());
        Ok(Input {
            spec: spec.clone(),
            index,
            slot,
            kind: value.kind.clone(),
            has_leading_one,
            rows: Rows::Elements(Vec::new()),
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// Splits a request's tensor into rows, without a copy if its bytes are contiguous.
    pub(super) fn begin(&mut self, request: &Request, is_batched: bool) -> Result<()> {
        let given = request.inputs.get(self.index).and_then(Option::as_ref);
        let tensor = given.ok_or_else(|| Error::invalid_arg("it was not given"))?;
        let data = tensor.data.to_host()?;
        let given = tensor.shape.get(usize::from(is_batched)..).unwrap_or_default();
        let mut dims = match &self.spec.reshape {
            Some(reshape) => fill(&self.spec.dims, given, reshape),
            None => Shape::from(given),
        };
        if self.has_leading_one {
            dims = Shape::from(dims.get(1..).unwrap_or_default());
        }
        if !self.kind.dims().admits(&dims) {
            let wanted = self.kind.dims();
            return Err(Error::invalid_arg(format!("a row was expected to have shape {wanted}, got {dims}")));
        }
        if self.kind == Kind::Encoded {
            let Rows::Elements(elements) = &mut self.rows else {
                return Err(Error::internal("rows are mixed up"));
            };
            elements.clear();
            for element in BytesElements::new(&data) {
                elements
                    .push(data.slice_ref(element.map_err(|fault| Error::invalid_arg(fault.to_string()))?));
            }
        } else {
            let size = data.len() / request.batch_size.max(1);
            self.rows = Rows::Numbers { dims, size, data };
        }
        Ok(())
    }

    /// Sets the value of an image.
    pub(super) fn set(&mut self, row: usize, values: &mut Values) -> Result<()> {
        let value = match &mut self.rows {
            Rows::Elements(elements) => {
                let element = elements.get_mut(row).map(std::mem::take);
                Value::Encoded(element.ok_or_else(|| Error::invalid_arg("it has too few elements"))?)
            }
            Rows::Numbers { dims, size, data } => {
                let row = (row * *size..).start..(row * *size + *size).min(data.len());
                let bytes = data.slice(row);
                match &self.kind {
                    Kind::Tensor(kind) => {
                        Value::Tensor(Tensor::from_wire(kind.data_type, dims.clone(), bytes))
                    }
                    Kind::Matrix => Value::Matrix(matrix(&bytes)?),
                    Kind::Size => Value::Size(size_of(&bytes)?),
                    Kind::Image(kind) => return image(*kind, self.slot, dims, &bytes, values),
                    Kind::Encoded | Kind::Detections(_) => return Err(Error::internal("rows are mixed up")),
                }
            }
        };
        values.set(self.slot, value);
        Ok(())
    }
}

fn matrix(bytes: &[u8]) -> Result<Affine> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f64> = numbers.iter().map(|n| f64::from(f32::from_le_bytes(*n))).collect();
    let numbers = numbers.try_into().map_err(|_| Error::invalid_arg("a matrix has 2 rows of 3"))?;
    Ok(Affine(numbers))
}

fn size_of(bytes: &[u8]) -> Result<Size> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let sides = numbers.iter().map(|n| usize::try_from(i32::from_le_bytes(*n)).ok().filter(|n| *n > 0));
    match sides.collect::<Option<Vec<_>>>().as_deref() {
        Some([height, width]) => Ok(Size::new(*width, *height)),
        _ => Err(Error::invalid_arg("a size was expected to be a height and a width of 1 or more")),
    }
}

fn image(kind: ImageKind, slot: Slot, dims: &Shape, bytes: &[u8], values: &mut Values) -> Result<()> {
    let sides: Option<Vec<usize>> =
        dims.iter().map(|d| usize::try_from(*d).ok().filter(|d| *d > 0)).collect();
    let Some([height, width, _]) = sides.as_deref() else {
        return Err(Error::invalid_arg(format!("a picture has at least one pixel, got shape {dims}")));
    };
    let size = Size::new(*width, *height);
    let mut image = values.take_image(slot);
    let color: Color = kind.color;
    image.begin_u8(size, color)?.copy_from_slice(bytes);
    image.came_from(size, Affine::IDENTITY);
    values.set(slot, Value::Image(image));
    Ok(())
}
