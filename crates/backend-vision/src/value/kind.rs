//! What is known of a value at load time.

use std::fmt;

use hippocamp_tensor::{DataType, Shape};
use serde::Deserialize;

use super::{Color, Size};

/// The kind of a value: which steps may use it, and its tensor as an input or output of the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// BYTES `[1]`
    Encoded,
    /// UINT8 or FP32 `[height, width, channels]`
    Image(ImageKind),
    Tensor(TensorKind),
    /// FP32 `[2, 3]`
    Matrix,
    /// INT32 `[2]`: height and width
    Size,
    /// Passed between steps only; never an input or output of the model.
    Detections(DetectionsKind),
}

/// The type of an image's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Sample {
    #[default]
    #[serde(rename = "UINT8")]
    Uint8,
    #[serde(rename = "FP32")]
    Fp32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageKind {
    /// The size; `None` if it depends on the image.
    pub(crate) size: Option<Size>,
    pub(crate) color: Color,
    pub(crate) sample: Sample,
}

/// What is known of detections at load time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DetectionsKind {
    /// The number of landmarks of a detection; `None` if it depends on the tensors.
    pub(crate) points: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorKind {
    pub(crate) data_type: DataType,
    /// Dims of one image's tensor, without a batch dimension; -1 if a size depends on the image.
    pub(crate) dims: Shape,
}

impl TensorKind {
    pub(crate) fn new(data_type: DataType, dims: impl Into<Shape>) -> TensorKind {
        TensorKind { data_type, dims: dims.into() }
    }
}

impl Kind {
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Kind::Encoded => DataType::Bytes,
            Kind::Image(ImageKind { sample: Sample::Uint8, .. }) => DataType::Uint8,
            Kind::Image(ImageKind { sample: Sample::Fp32, .. }) | Kind::Matrix | Kind::Detections(_) => {
                DataType::Fp32
            }
            Kind::Tensor(tensor) => tensor.data_type,
            Kind::Size => DataType::Int32,
        }
    }

    /// Dims of one image's tensor, without a batch dimension; -1 if a size depends on the image.
    pub(crate) fn dims(&self) -> Shape {
        match self {
            Kind::Encoded => Shape::from([1]),
            Kind::Image(image) => {
                let [height, width] = image.size.map_or([-1; 2], |s| [s.height as i64, s.width as i64]);
                Shape::from([height, width, image.color.channels() as i64])
            }
            Kind::Tensor(tensor) => tensor.dims.clone(),
            Kind::Matrix => Shape::from([2, 3]),
            Kind::Size => Shape::from([2]),
            Kind::Detections(_) => Shape::default(),
        }
    }
}

impl fmt::Display for Kind {
    /// Formats the kind for messages: `a picture`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Encoded => f.write_str("encoded bytes"),
            Kind::Image(_) => f.write_str("a picture"),
            Kind::Tensor(tensor) => write!(f, "a tensor {} {}", tensor.data_type, tensor.dims),
            Kind::Matrix => f.write_str("a matrix"),
            Kind::Size => f.write_str("a size"),
            Kind::Detections(_) => f.write_str("detections"),
        }
    }
}
