//! What the tests and benches of backends have in common: a model in a temporary folder, loaded as the server does, requests to it,
//! examples for the conformance kit, and turns of a bench.
//!
//! Nothing here knows any backend, and nothing here is in a server. What goes wrong panics: a test fails where it cannot go on.

mod examples;
mod model;
mod requests;
mod tensors;
mod turns;

pub use examples::{content, pass, sums_and_differences, verify};
pub use model::{Folder, Loaded, load, load_source, refused};
pub use requests::{execute, execute_together, execute_wanted, only_output};
pub use tensors::{Number, input, numbers, strings};
pub use turns::{Rate, measure, median, report};
