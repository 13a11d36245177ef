//! The allocator of the executable.
//!
//! The system zeroes every page that it hands out, which costs more for a tensor of some megabytes than all copies of it.
//! The C library's allocator gives large blocks back at once; this one keeps them for ten seconds, and then gives them back
//! by a thread of its own, also when nothing else happens. Tensors of any size are kept: see `.cargo/config.toml`.
//! ONNX Runtime goes on to use the C library's.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
