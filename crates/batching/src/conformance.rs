//! The conformance checks that every backend has to pass.
//!
//! A backend's test loads a model, gives inputs and expected responses as an [`Example`], and calls
//! [`Subject::verify`]. Nothing here knows any backend, and nothing here is in a server: the feature `conformance` is
//! for tests alone.
//!
//! Checks that the model cannot exercise are skipped: without a batch dimension there are no batches, and without
//! [`Subject::failing`] nothing fails. To cover all promises, a backend runs the kit with several models.

mod compare;
mod device_model;
mod planned_model;
mod promises;
#[cfg(test)]
mod tests;
mod trial;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use hippocamp_interface::{Interface, ModelConfig};
use hippocamp_tensor::Shape;

use hippocamp_backend::{Device, InputTensor, Model};
use promises::PROMISES;

pub use device_model::DeviceBackend;
pub use planned_model::{Act, Planned, PlannedBackend};

/// The inputs of a request and the expected responses.
#[derive(Clone, Debug)]
pub struct Example {
    /// In the model's order; `None` where an optional input is left out.
    pub inputs: Vec<Option<InputTensor>>,
    /// One response for a model that answers once, any number for a decoupled one. In each all outputs in the model's
    /// order, as they are if every output is asked for; `None` where this response does not have an output.
    pub responses: Vec<Vec<Option<(Shape, Bytes)>>>,
}

/// Makes example number `n` with a first dimension of `rows`; different numbers should have different content, or a
/// mix-up would not show. `rows` is 1 for a model without a batch dimension.
pub type MakeExample<'a> = dyn Fn(usize, usize) -> Example + Sync + 'a;

/// A loaded model under test.
pub struct Subject<'a> {
    pub model: &'a dyn Model,
    /// The completed and checked config.
    pub config: Arc<ModelConfig>,
    pub interface: Arc<Interface>,
    /// The device of its instances.
    pub device: Device,
    /// Ordinary requests.
    pub example: &'a MakeExample<'a>,
    /// Requests with a dimension of 0, for a model that can take them.
    pub empty: Option<&'a MakeExample<'a>>,
    /// Inputs that the model's shapes admit and that make an execution fail.
    pub failing: Option<Vec<Option<InputTensor>>>,
    /// Inputs of one row that the model refuses before it executes anything, and which may share a batch with examples.
    pub refused: Option<Vec<Option<InputTensor>>>,
}

/// A failed check.
#[derive(Clone, Debug)]
pub struct Broken {
    pub promise: &'static str,
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken promise: {}\n  {}", self.promise, self.detail)
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("model", &self.config.name).finish_non_exhaustive()
    }
}

impl<'a> Subject<'a> {
    /// A subject on the CPU that has usual requests only.
    pub fn new(
        model: &'a dyn Model,
        config: Arc<ModelConfig>,
        interface: Arc<Interface>,
        example: &'a MakeExample<'a>,
    ) -> Self {
        Subject {
            model,
            config,
            interface,
            device: Device::Cpu,
            example,
            empty: None,
            failing: None,
            refused: None,
        }
    }

    /// Checks every promise.
    ///
    /// # Panics
    /// If one is broken; the text names all that are.
    pub fn verify(&self) {
        let broken = self.broken_promises();
        let texts: Vec<String> = broken.iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "model '{}':\n{}", self.config.name, texts.join("\n"));
    }

    /// The promises that are broken. Runs the model, on this thread and on others.
    pub fn broken_promises(&self) -> Vec<Broken> {
        let check = |(promise, check): &(&'static str, promises::Check)| {
            let outcome = catch_unwind(AssertUnwindSafe(|| check(self)));
            let outcome = outcome.unwrap_or_else(|_| Err("it panicked, see above".to_owned()));
            outcome.err().map(|detail| Broken { promise, detail })
        };
        PROMISES.iter().filter_map(check).collect()
    }

    /// The most rows that one execution may have.
    fn max_rows(&self) -> usize {
        self.interface.max_batch_size.max(1) as usize
    }
}
