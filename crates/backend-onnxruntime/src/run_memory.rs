//! Memory for the runs of large models, which all sessions of the process share.
//!
//! The engine's own arena takes its memory in blocks of which each is as large as all before it, and a tensor lies within one
//! of them: a run whose tensors take 49 MB at once holds 84. Here each run that is under way has a lane, the lowest that is
//! free: a range of addresses in which large tensors lie at the lowest place that is free, and what is free beside each other is
//! one place. So runs of all sessions use the same pages again, and pages that none needs any more are returned to the
//! system ([`arena`](crate::arena) says when). What belongs to no run, such as weights, comes from the program's allocator.

mod extents;
mod lanes;

pub(crate) use extents::Extents;
pub(crate) use lanes::{LANES, Lanes, Running};

/// Blocks from this size on, in bytes, lie in lanes; smaller ones come from the program's allocator, which takes no lock for them.
pub(crate) const LARGE: usize = 256 << 10;
