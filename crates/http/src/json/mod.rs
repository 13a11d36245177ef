//! The JSON of v2 requests: which members there are, and what they mean.
//!
//! Whatever is wrong with a text is its sender's fault, so the status is 400, where Triton says 500.

mod generate;
mod infer;
mod input;
mod output;
mod parameters;
mod tensor_parameters;
#[cfg(test)]
mod tests;

pub(crate) use generate::{GenerateRequest, parse_generate};
pub use infer::{JsonRequest, parse_infer};
pub use input::{Content, JsonInput};
pub use output::JsonOutput;
pub use parameters::RequestParameters;
pub use tensor_parameters::Place;
