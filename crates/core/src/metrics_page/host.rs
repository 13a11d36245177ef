//! The machine's own figures.

use hippocamp_metrics::{CpuTimes, HostMemory, Kind, Page};

use crate::InferenceServer;

impl InferenceServer {
    /// What cannot be read on this machine is left out.
    pub(super) fn processors_and_memory(&self, page: &mut Page) {
        if let Some(now) = CpuTimes::now() {
            let mut last = self.cpu_times.lock();
            let utilization = last.map_or(0.0, |earlier| now.utilization_since(earlier));
            *last = Some(now);
            let help = "CPU utilization rate [0.0 - 1.0], since the last scrape";
            page.family("nv_cpu_utilization", help, Kind::Gauge).sample(&[], format!("{utilization:.4}"));
        }
        if let Some(memory) = HostMemory::now() {
            let help = "CPU total memory (RAM), in bytes";
            page.family("nv_cpu_memory_total_bytes", help, Kind::Gauge).sample(&[], memory.total);
            let help = "CPU used memory (RAM), in bytes";
            page.family("nv_cpu_memory_used_bytes", help, Kind::Gauge).sample(&[], memory.used);
        }
    }
}

/// There is no pool: it is for copies to GPUs, and Triton without one tells zeros, too.
pub(super) fn pinned_memory(page: &mut Page) {
    let help = "Pinned memory pool total memory size, in bytes";
    page.family("nv_pinned_memory_pool_total_bytes", help, Kind::Gauge).sample(&[], 0);
    let help = "Pinned memory pool used memory size, in bytes";
    page.family("nv_pinned_memory_pool_used_bytes", help, Kind::Gauge).sample(&[], 0);
}
