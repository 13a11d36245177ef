//! Processor time of the machine.

use std::fs;

/// Processor time of the whole machine since it was booted, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTimes {
    busy: u64,
    total: u64,
}

impl CpuTimes {
    pub fn now() -> Option<CpuTimes> {
        CpuTimes::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The share of processor time, 0 to 1, that was busy between `earlier` and this reading.
    pub fn utilization_since(self, earlier: CpuTimes) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        if total == 0 { 0.0 } else { self.busy.saturating_sub(earlier.busy) as f64 / total as f64 }
    }

    /// Parses the first line: `cpu user nice system idle iowait irq softirq steal ...`; guest time is part of user
    /// time.
    fn parse(stat: &str) -> Option<CpuTimes> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
        let total = ticks.iter().sum();
        let idle: u64 = ticks.get(3..=4)?.iter().sum();
        Some(CpuTimes { busy: total - idle, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_busy_and_total_ticks() {
        let earlier = CpuTimes::parse("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(earlier, CpuTimes { busy: 20, total: 100 });
        let later = CpuTimes::parse("cpu  60 0 10 110 20 0 0 0 0 0\n").unwrap();
        assert!((later.utilization_since(earlier) - 0.5).abs() < 1e-9);
        assert!(earlier.utilization_since(earlier).abs() < 1e-9, "no time, no load");
        assert_eq!(CpuTimes::parse("cpu  1 2 3\n"), None);
    }
}
