//! TorchServe's model archives as a model repository.
//!
//! [`Archives`] is a [`RemoteRepository`](hippocamp_repository::RemoteRepository): it lists the models that the archives of
//! model stores become, and unpacks one when it is loaded, into a folder that is deleted when nothing uses it any more. Archives
//! that lie in a store have the name of their manifest; others are registered by clients, under any name and with settings of
//! their own. Nothing is loaded here.

#![warn(missing_docs)]

mod archives;
mod converted;
mod registration;
mod remote;
mod served;
mod stamp;
mod unpacked;

#[cfg(test)]
mod tests;

pub use archives::{Archives, Named, RegisterFault};
pub use hippocamp_archive::{Keys, MAX_WORKERS, MODEL_KEYS, ModelSettings, Options, Setting, Usual};
pub use registration::Registration;
