//! Requests as backends see them.

pub(crate) mod correlation;
pub(crate) mod facts;
pub(crate) mod input;
pub(crate) mod parameters;
pub(crate) mod release;
mod request_object;
pub(crate) mod state;
pub(crate) mod tensors;

pub(crate) use input::Input;
pub(crate) use request_object::{RequestObject, Rescheduled};
