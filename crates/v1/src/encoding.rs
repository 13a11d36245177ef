//! The trait by which an encoding brings the raw tensors of a request.

use hippocamp_backend::Result;
use hippocamp_tensor::TensorData;

/// The raw tensors of a request as an encoding brings them, and the texts of errors in which the encodings differ. `model` is
/// the model's name for the text of an error.
pub trait Encoding {
    /// Takes the next input's bytes: exactly `size` of them. Called for each input that is not in shared memory, in the order
    /// of the header.
    fn take(&mut self, input: &str, size: usize, model: &str) -> Result<TensorData>;

    /// Returns an error if there are more bytes than all inputs have taken.
    fn end(&self, model: &str) -> Result<()>;

    /// The bytes that were not taken yet.
    fn left(&self) -> usize;

    /// The text for an input whose part of shared memory has another size than its shape says.
    fn wrong_shared_size(input: &str, got: u64, expected: u64, model: &str) -> String;

    /// The text for an output of `size` bytes whose part of shared memory has only `room` bytes.
    fn too_small(output: &str, size: u64, room: u64) -> String;
}
