//! Decodes the heads of YOLOv5 and YOLOv8 to detections.

mod rows;
mod v5;
mod v8;

pub use v5::{Level, Yolo5};
pub use v8::Yolo8;
