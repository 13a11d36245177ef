//! Model repositories in object stores: S3 and what speaks its protocol, Google's and Azure's.
//!
//! [`Stores`] opens a [`StoreRepository`] by its location. It lists models by the etags of their objects, and fetches a
//! model into a local cache: only objects that changed, several at once, each whole or not at all. What is served from is
//! a snapshot, a folder that does not change and stays for as long as somebody holds it.

mod aws;
mod aws_profile;
mod azure;
mod cache;
mod client;
mod credentials;
mod download;
mod error;
mod gcp;
mod listing;
mod location;
mod repository;
mod runtime;

pub use credentials::Variables;
pub use error::StoreError;
pub use location::{Bucket, StoreLocation};
pub use repository::{StoreRepository, Stores};
