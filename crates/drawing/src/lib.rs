//! Draws detections on an image: boxes, landmarks, and a line of text at each box.
//!
//! The server's pipelines and the command line share it. An image is 8-bit RGB, row by row. Drawing is clipped to the
//! image; marks whose numbers are not finite are skipped.

mod canvas;
mod encode;
mod marks;

pub use canvas::{Canvas, Rgb};
pub use encode::{Format, encode};
pub use marks::{Mark, draw};
