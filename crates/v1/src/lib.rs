//! V1, the protocol of TensorRT Inference Server 19.12 to 20.03: what its encodings over HTTP and gRPC share.
//!
//! Both encodings have the same messages. A request is a header and the raw tensors that belong to it; [`Encoding`] says how
//! an encoding brings these. `request` makes a request of the server's one call of that, `response` makes the header and the
//! raw tensors of the response, and the other modules answer the calls that are not inference. Everything a client hears of
//! an error is made in `errors`. No rule of serving lives here: what is checked here is what V1 leaves out of its messages,
//! such as types, and with them the sizes of tensors.

#![warn(missing_docs)]

mod config;
mod control;
mod encoding;
mod errors;
mod guard;
mod health;
mod infer;
mod inputs;
mod outputs;
mod request;
mod response;
mod server_status;
mod shared_memory;
mod state;

pub use encoding::Encoding;
pub use errors::refusal;
pub use guard::{check, check_model};
pub use infer::Submitted;
pub use response::Answer;
pub use state::{Call, CallKind, V1};
