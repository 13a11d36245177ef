//! The machine's and the process's figures.

use std::fs;

use hippocamp_machine::{HostMemory, Processors};

/// At one moment; what cannot be read here is 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Host {
    /// The share of the processor time that the server may use that was busy since the sample before, 0 to 1.
    pub(crate) busy: f32,
    pub(crate) memory_used: u64,
    pub(crate) memory_total: u64,
    /// The resident memory of this process in bytes.
    pub(crate) resident: u64,
}

impl Host {
    /// Reads the figures; `last` is the reading of the processors before, and becomes this one.
    pub(crate) fn now(last: &mut Option<Processors>) -> Host {
        let times = Processors::now();
        let busy = times.zip(*last).map_or(0.0, |(now, before)| now.busy_since(&before));
        *last = times;
        let memory = HostMemory::now();
        Host {
            busy: busy as f32,
            memory_used: memory.map_or(0, |memory| memory.used),
            memory_total: memory.map_or(0, |memory| memory.total),
            resident: resident().unwrap_or(0),
        }
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
