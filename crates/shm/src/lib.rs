//! Shared memory that clients register: which regions there are, who uses them, and how they are read and written.
//!
//! A region is mapped once, when it is registered. A request holds a [`Lease`] of each part that it names, so that a
//! region stays until its last request is done. Tensors are copied straight out of the client's memory into a batch and
//! straight back into it, once each.
//!
//! The memory belongs to the client, who may write to it at any time, and may cut the object short while it is being
//! read. So no slice is ever made of it, and every access is a copy during which a fault is survived: see
//! [`fault`](self). A region that lost its memory is of no use from then on; its requests get an error.

mod fault;
mod lease;
mod mapping;
mod object;
mod region;
mod registry;
mod tensors;
#[cfg(test)]
mod tests;

pub use lease::Lease;
pub use registry::{SharedMemory, SystemRegion};
pub use tensors::SharedTensors;
