//! What comes back for a request.
//!
//! The response channel has four parts, each in its own file: the [`ResponseSender`] that a backend holds
//! (`sender.rs`), the [`Outlet`] that its events go through (`delivery.rs`), the [`ResponseReceiver`] on which the
//! request's task waits (`receiver.rs`), and the reports to observers (`life.rs`).
//!
//! [`Outlet`]: crate::Outlet
//! [`ResponseReceiver`]: crate::ResponseReceiver
//! [`ResponseSender`]: crate::ResponseSender

use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::{Error, Parameters, Result};

/// One output of a response. Its name is that of the model's output at `index`, and so is its type, unless it has its own.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    /// The output's place in the model's list.
    pub index: usize,
    /// With the batch dimension, if the model has one.
    pub shape: Shape,
    /// In the wire form. Often a slice of a buffer shared by the whole batch, or an input that is handed on as it is.
    pub data: TensorData,
    /// The type, if it is another one than the config says: Triton's backends may answer so.
    pub data_type: Option<DataType>,
}

impl OutputTensor {
    /// The error for who can only take the type of the config; nothing if that is what it has.
    pub fn of_expected_type(&self, model: &str, name: &str, expected: DataType) -> Result<()> {
        match self.data_type.filter(|own| *own != expected) {
            None => Ok(()),
            Some(own) => Err(Error::invalid_arg(format!(
                "output '{name}' of model '{model}' has type {} in its config, its backend gives one of type {}",
                expected.protocol_name(),
                own.protocol_name()
            ))),
        }
    }
}

/// What a model answers to a request.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The outputs that were asked for, in the model's order; for an ensemble in reverse order.
    pub outputs: SmallVec<[OutputTensor; 2]>,
    /// The response parameters that the model sets.
    pub parameters: Parameters,
}

/// What comes back for a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub enum Event {
    /// A response.
    Response {
        /// What the model answered.
        response: Response,
        /// No event follows.
        last: bool,
    },
    /// One response of a decoupled model is an error. Others may follow.
    ResponseFailed(Error),
    /// The request failed. No event follows.
    Failed(Error),
    /// A decoupled model is done; its last response was sent before. No event follows.
    End,
}

impl Event {
    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Event::Response { last: false, .. } | Event::ResponseFailed(_))
    }
}
