//! Pictures to tensors and back, in pure Rust: what comes before and after a network, without Python.
//!
//! A version of a model is one readable file, `pipeline.toml`: a list of typed steps that read and write named values.
//! A name that no step writes is an input of the model, a value that no step reads an output. `docs/vision.md` has all
//! steps.
//!
//! A step of the list goes through three forms, which is where to look when one is to be added (`steps.rs` has the list):
//! its parameters as they are written ([`StepFile`](step::StepFile), a serde struct), what they bind to
//! ([`Ports`](pipeline::Ports): names become slots, kinds are checked), and the step itself ([`Step`](step::Step)), of
//! which each instance has its own, scratch memory included.
//!
//! Pictures are handled one at a time, so that one that cannot be read fails its own request alone.

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

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// Decodes a picture as the step does; its width and height, or `None` if it is refused.
    pub fn decode(bytes: &[u8], max_pixels: u64) -> Option<(usize, usize)> {
        let image = crate::steps::decode_alone(bytes, max_pixels).ok()?;
        Some((image.size.width, image.size.height))
    }
}
