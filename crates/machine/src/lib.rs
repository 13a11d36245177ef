//! What this machine and the control groups around this process have, read from the kernel's files each time: memory, and
//! processor time.
//!
//! What cannot be read is `None`.

mod cgroup;
mod cpu;
mod memory;
mod processors;

pub use cpu::CpuTimes;
pub use memory::{HostMemory, available_memory, usable_memory};
pub use processors::{Processors, TICKS};
