//! Serves requests: from a model's name to the loaded version, and from a decoded request to its responses.
//!
//! It holds the routes, the loaded models, the checks of a request, the look-up in the response cache and the
//! classification of outputs. It knows no protocol, and it loads nothing.

#![warn(missing_docs)]

mod cache;
mod call;
mod classification;
mod forwarding;
mod last_use;
mod limits;
mod model;
mod model_ref;
mod models;
mod outputs;
mod ready_check;
mod request;
mod request_check;
mod routes;
mod sequence;
mod shown_tensors;

pub use cache::{ModelCache, ResponseCache};
pub use call::{Accepted, IncomingRequest, Responses, Running, Then, accept};
pub use classification::{Class, best_classes, can_be_classified, class_count};
pub use forwarding::HeaderForwarding;
pub use last_use::LastUse;
pub use limits::{check_parameter_count, check_tensor_count};
pub use model::{Drained, Executor, LoadedModel, observers};
pub use model_ref::ModelRef;
pub use models::Models;
pub use outputs::{Delivered, OutputPlan};
pub use ready_check::ReadyCheck;
pub use request::{InferInput, InferRequest, Origin};
pub use routes::Routes;
