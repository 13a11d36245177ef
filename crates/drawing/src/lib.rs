//! Draws what was found on a picture: boxes, landmarks, and a line of text at each box.
//!
//! The server's pipelines and the command line draw alike, so it is here once. A picture is 8-bit RGB, row by row.
//! Nothing outside of the picture is drawn, and what is not a finite number is passed over.

mod canvas;
mod encode;
mod marks;

pub use canvas::{Canvas, Rgb};
pub use encode::{Format, encode};
pub use marks::{Mark, draw};
