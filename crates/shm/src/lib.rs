//! Shared memory that clients register: the registry of regions, their use by requests, reading and writing.
//!
//! A region is an object of the system, or memory of a device that its client has exported. It is mapped once, when it is registered. A request holds a [`Lease`] of each part that it names, so that the
//! region stays mapped until its last request is done. Tensors are copied from the client's memory directly into a
//! batch and back, once each.
//!
//! The memory belongs to the client, who may write to it or truncate the object at any time. So there are never slices
//! of it; every access is a copy that survives the fault: see [`fault`](self). A region that has lost its memory stays
//! unusable, and requests that use it get an error.

mod device_region;
#[cfg(test)]
mod device_tests;
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
pub use registry::{CudaRegion, Part, SharedMemory, SystemRegion};
pub use tensors::SharedTensors;
