//! The machine's own figures.

use std::time::{Duration, Instant};

use hippocamp_machine::{CpuTimes, HostMemory};
use hippocamp_metrics::{Kind, Page};

use crate::InferenceServer;

/// How busy the processors are, over at least one interval: two scrapers do not shorten each other's.
#[derive(Debug)]
pub(crate) struct Processors {
    /// When the reading was made from which the next utilization is computed; `None` if there is no reading.
    last: Option<(Instant, CpuTimes)>,
    utilization: f64,
}

impl Processors {
    /// Reads what the next utilization is computed from.
    pub(crate) fn new() -> Processors {
        let last = CpuTimes::now().map(|times| (Instant::now(), times));
        Processors { last, utilization: 0.0 }
    }

    /// The share of processor time, 0 to 1, that was busy in the time up to this call, or up to an earlier one if that was less
    /// than an interval ago; `None` where it cannot be read.
    fn utilization(&mut self, interval: Duration) -> Option<f64> {
        let (at, earlier) = self.last?;
        if at.elapsed() >= interval {
            let now = CpuTimes::now()?;
            self.utilization = now.utilization_since(earlier);
            self.last = Some((Instant::now(), now));
        }
        Some(self.utilization)
    }
}

impl InferenceServer {
    /// What cannot be read on this machine is left out.
    pub(super) fn processors_and_memory(&self, page: &mut Page) {
        if let Some(utilization) = self.processors.lock().utilization(self.settings().metrics.interval) {
            let help = "CPU utilization rate [0.0 - 1.0]";
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
