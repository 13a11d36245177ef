//! What Prometheus scrapes: a histogram, the exposition page, and the host's own figures.
//!
//! Counters live where they are counted and are written to a [`Page`] when one is asked for; nothing is looked up by
//! label while requests run.

mod histogram;
mod host;
mod page;
mod sizes;

pub use histogram::{DURATION_BOUNDS_US, Histogram};
pub use host::{CpuTimes, HostMemory};
pub use page::{Family, Kind, Page};
pub use sizes::SizeHistogram;
