//! A cache of values by the digest of their key, within a budget of bytes.
//!
//! It knows nothing of models and tensors. One lock is held for a few steps in memory that is already allocated,
//! whatever the number of entries. The digest is cryptographic, so that no client can construct two keys with the same
//! digest and receive a wrong answer.

mod digest;
mod lru;
mod store;

pub use digest::{Digest, Digester};
pub use store::{Inserted, Owner, Store};
