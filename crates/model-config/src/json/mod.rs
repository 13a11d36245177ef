//! The JSON form of a configuration: what clients send as an override, and what they get as an answer.

mod read;
mod scalar;
mod write;

#[cfg(test)]
mod tests;

pub use read::from_json;
pub use write::to_json;
