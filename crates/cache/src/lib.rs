//! Keeps values by a digest of what they are the answer to, within a budget of bytes.
//!
//! Knows no model and no tensor. One short lock: a look-up or an insertion takes a few steps in memory that is there
//! already, whatever the number of entries. The digest is cryptographic, so that two different questions never have the
//! same: a wrong answer is not a matter of luck or of a client's intentions.

mod digest;
mod lru;
mod store;

pub use digest::{Digest, Digester};
pub use store::{Inserted, Owner, Store};
