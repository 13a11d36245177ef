//! Text: the lines of a probability map as rotated boxes, their order, and the text of a line.
//!
//! The numbers are those of `PaddleOCR`'s and `RapidOCR`'s Python, which leaves the geometry to OpenCV and Clipper. What these do in single
//! precision is done in single precision here, as coordinates are cut to whole numbers in between.

mod boxes;
mod ctc;
mod grow;
mod order;
mod rectangle;
mod regions;
mod score;

pub use boxes::{Quad, TextBoxes};
pub use ctc::{Read, ctc_decode};
pub use order::{LineWidths, line_size};
