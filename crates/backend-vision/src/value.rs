//! What passes from step to step.

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

/// A value, for one picture.
#[derive(Debug, Default)]
pub(crate) enum Value {
    /// Not set yet.
    #[default]
    Empty,
    /// One element of a BYTES tensor: a picture as it came or as it shall leave, or a text.
    Encoded(Bytes),
    Image(Image),
    Tensor(Tensor),
    Matrix(Affine),
    Size(Size),
    /// What was found in the picture. Passes between steps only.
    Detections(Detections),
}

/// Where a value is: its place in the list of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) usize);

/// The values of the picture that is being worked on. Between pictures their memory stays, to be written again.
#[derive(Debug, Default)]
pub(crate) struct Values {
    slots: Vec<Value>,
    /// Why a black picture stands in for what is none.
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

    /// Sets a value that a step emits only where the file names it.
    pub(crate) fn set_if_named(&mut self, slot: Option<Slot>, value: Value) {
        if let Some(slot) = slot {
            self.set(slot, value);
        }
    }

    /// Notes that a black picture stands in for one that cannot be read, and why not. Of several the first counts.
    pub(crate) fn replace_picture(&mut self, reason: impl Into<String>) {
        self.replaced.get_or_insert_with(|| reason.into());
    }

    /// Takes the note about the picture that was worked on.
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

    /// Takes the image of the picture before out of a slot, so that its memory can be written again. An empty one the
    /// first time.
    pub(crate) fn take_image(&mut self, slot: Slot) -> Image {
        match self.get_mut(slot).map(std::mem::take) {
            Some(Value::Image(image)) => image,
            _ => Image::default(),
        }
    }

    /// Takes a tensor out of a slot, so that it can be written: [`Tensor::begin`]. To be set again, also by a step that
    /// has nothing to say: an output keeps the rows of the pictures before in it.
    pub(crate) fn take_tensor(&mut self, slot: Slot) -> Tensor {
        match self.get_mut(slot).map(std::mem::take) {
            Some(Value::Tensor(tensor)) => tensor,
            _ => Tensor::default(),
        }
    }
}

/// Kinds are checked when the file is read, so this tells of a fault of ours.
#[cold]
fn mixed_up() -> Error {
    Error::internal("a value is not of the kind that the pipeline promised")
}
