//! Image pre- and post-processing for networks in pure Rust, without Python.
//!
//! A model version is one readable file, `pipeline.toml`: a list of typed steps that read and write named values. A
//! name that no step writes is an input of the model; a value that no step reads is an output. `docs/vision.md`
//! describes all steps.
//!
//! A step has three forms, which a new step has to define (`steps.rs` lists all steps): its parameters as written
//! (`StepFile`, a serde struct), their binding (`Ports`: names become slots, kinds
//! are checked), and the step itself (`Step`), of which each instance has a copy with scratch memory.
//!
//! Images are processed one at a time, so that an invalid one only fails its own request.

mod backend;
mod file;
mod instance;
mod model;
mod outputs;
mod pipeline;
mod replaced;
mod resample;
mod step;
mod steps;
mod value;

pub use backend::VisionBackend;
pub use model::VisionModel;

/// Decodes the file of a picture as a pipeline's step `decode` does: its width and height, and its pixels in rows, three bytes
/// each, RGB. An alpha channel is dropped, and the orientation that a camera noted is not looked at. The error says what is wrong with
/// the file, which may be anything.
pub fn decode_rgb(file: &[u8]) -> hippocamp_backend::Result<(usize, usize, Vec<u8>)> {
    let (size, pixels) = steps::decode_rgb(file)?;
    Ok((size.width, size.height, pixels))
}

/// Entry points of the fuzz targets.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// Decodes an image as the step `decode` does; returns width and height, or `None` if it is refused.
    pub fn decode(bytes: &[u8], max_pixels: u64) -> Option<(usize, usize)> {
        let image = crate::steps::decode_alone(bytes, max_pixels).ok()?;
        Some((image.size.width, image.size.height))
    }
}
