//! Calls of backends to other models in their process.
//!
//! [`call()`] is for a thread that waits for the responses, [`call_back`] for one that goes on: what comes back is given to
//! a callback, in order, on a thread that may block. Nothing of this is needed to be a backend.
//!
//! ```no_run
//! use hippocamp_backend::{InProcessRequest, Result, ServerHandle};
//! # use hippocamp_in_process::call;
//!
//! fn call_another(server: &ServerHandle, request: InProcessRequest) -> Result<usize> {
//!     let response = call(&*server.get()?, request)?.only()?;
//!     Ok(response.outputs.len())
//! }
//! ```

#![warn(missing_docs)]

mod call;
mod callback;
mod mailbox;
mod threads;

pub use call::{Call, call};
pub use callback::{Cancel, call_back};
pub use mailbox::Mailbox;
pub use threads::CallbackThreads;
