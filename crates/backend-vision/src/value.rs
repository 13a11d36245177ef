//! The values that steps pass to each other.

mod affine;
mod image;
mod kind;
mod tensor;

use bytes::Bytes;
use hippocamp_backend::{Error, Result};

use hippocamp_detection::Detections;

pub(crate) use affine::Affine;
pub(crate) use image::{Color, Frame, Image, Pixels, Size};
pub(crate) use kind::{DetectionsKind, ImageKind, Kind, Sample, TensorKind};
pub(crate) use tensor::{Element, Tensor};

/// A value of one image.
#[derive(Debug, Default)]
pub(crate) enum Value {
    /// Not set yet.
    #[default]
    Empty,
    /// One element of a BYTES tensor: an encoded image or a text.
    Encoded(Bytes),
    Image(Image),
    Tensor(Tensor),
    Matrix(Affine),
    Size(Size),
    /// The detections in the image. They are passed between steps only.
    Detections(Detections),
}

/// The index of a value in an instance's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) usize);

/// The values of the current image. Their memory is reused for the next image.
#[derive(Debug, Default)]
pub(crate) struct Values {
    slots: Vec<Value>,
    /// Why the image could not be decoded and was replaced by a black one.
    replaced: Option<String>,
}

impl Values {
    pub(crate) fn new(slots: usize) -> Values {
        Values { slots: std::iter::repeat_with(Value::default).take(slots).collect(), replaced: None }
    }

    pub(crate) fn get(&self, slot: Slot) -> &Value {
        self.slots.get(slot.0).unwrap_or(&Value::Empty)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Value> {
        self.slots.get_mut(slot.0)
    }

    pub(crate) fn set(&mut self, slot: Slot, value: Value) {
        if let Some(place) = self.slots.get_mut(slot.0) {
            *place = value;
        }
    }

    /// Sets an optional value if the file names it.
    pub(crate) fn set_if_named(&mut self, slot: Option<Slot>, value: Value) {
        if let Some(slot) = slot {
            self.set(slot, value);
        }
    }

    /// Records that the image was replaced by a black one, and why. The first reason counts.
    pub(crate) fn replace_picture(&mut self, reason: impl Into<String>) {
        self.replaced.get_or_insert_with(|| reason.into());
    }

    /// Takes the reason recorded for the current image.
    pub(crate) fn take_replaced(&mut self) -> Option<String> {
        self.replaced.take()
    }

    pub(crate) fn encoded(&self, slot: Slot) -> Result<&Bytes> {
        let Value::Encoded(bytes) = self.get(slot) else { return Err(mixed_up()) };
        Ok(bytes)
    }

    pub(crate) fn image(&self, slot: Slot) -> Result<&Image> {
        let Value::Image(image) = self.get(slot) else { return Err(mixed_up()) };
        Ok(image)
    }

    pub(crate) fn tensor(&self, slot: Slot) -> Result<&Tensor> {
        let Value::Tensor(tensor) = self.get(slot) else { return Err(mixed_up()) };
        Ok(tensor)
    }

    pub(crate) fn matrix(&self, slot: Slot) -> Result<Affine> {
        let Value::Matrix(matrix) = self.get(slot) else { return Err(mixed_up()) };
        Ok(*matrix)
    }

    pub(crate) fn size(&self, slot: Slot) -> Result<Size> {
        let Value::Size(size) = self.get(slot) else { return Err(mixed_up()) };
        Ok(*size)
    }

    pub(crate) fn detections(&self, slot: Slot) -> Result<&Detections> {
        let Value::Detections(found) = self.get(slot) else { return Err(mixed_up()) };
        Ok(found)
    }

    /// Takes the previous image out of a slot to reuse its memory; an empty image the first time.
    pub(crate) fn take_image(&mut self, slot: Slot) -> Image {
        match self.get_mut(slot).map(std::mem::take) {
            Some(Value::Image(image)) => image,
            _ => Image::default(),
        }
    }

    /// Takes a tensor out of a slot, to be written by [`Tensor::begin`]. It has to be set again in any case, because an
    /// output's tensor holds the rows of the previous images.
    pub(crate) fn take_tensor(&mut self, slot: Slot) -> Tensor {
        match self.get_mut(slot).map(std::mem::take) {
            Some(Value::Tensor(tensor)) => tensor,
            _ => Tensor::default(),
        }
    }
}

/// The error for a value of the wrong kind. Kinds are checked when the file is parsed, so this is a bug.
#[cold]
fn mixed_up() -> Error {
    Error::internal("a value is not of the kind that the pipeline promised")
}
