//! The mathematics of post-processing: decodes a network's outputs to detections or classes.
//!
//! Nothing here knows a pipeline or a request. Every function takes slices with their sizes and checks that they fit
//! each other; numbers that are not finite never cause a panic.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "the numbers of these tests are exact"))]

mod affine;
mod best;
mod centernet;
mod detections;
mod json;
mod nms;
mod softmax;
mod text;
mod yolo;

pub use affine::{Matrix, clip, map_detections, map_points, to_ratio};
pub use best::top_k;
pub use centernet::{Axes, CenterNet, Maps, Origin};
pub use detections::Detections;
pub use json::{Form, classes_text, named_classes_text, text};
pub use nms::Nms;
pub use softmax::softmax;
pub use text::{LineWidths, Quad, Read, TextBoxes, ctc_decode, line_size};
pub use yolo::{Level, Yolo5, Yolo8};

/// 1 / (1 + e^-x).
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
