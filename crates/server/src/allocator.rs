//! The allocator of the executable.
//!
//! The kernel zeroes every page that it hands out, which costs more for a tensor of some megabytes than all copies of
//! it. The C library's allocator returns large blocks to the kernel at once; this one keeps them for ten seconds, and
//! then returns them from a background thread, even when the server is idle. It keeps blocks of any size: see
//! `.cargo/config.toml`. ONNX Runtime still uses the C library's allocator.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
