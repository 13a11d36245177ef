//! Main memory: of the machine, and what the limits of control groups leave of it.

use std::fs;

use crate::cgroup::Cgroups;

/// Main memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMemory {
    pub total: u64,
    pub used: u64,
}

impl HostMemory {
    pub fn now() -> Option<HostMemory> {
        HostMemory::parse(&fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn parse(meminfo: &str) -> Option<HostMemory> {
        let field = |name: &str| {
            let line = meminfo.lines().find_map(|l| l.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
        };
        let total = field("MemTotal")? * 1024;
        Some(HostMemory { total, used: total.saturating_sub(field("MemAvailable")? * 1024) })
    }
}

/// The bytes of memory that this process may use: those of the machine, or the least limit of its control groups.
pub fn usable_memory() -> Option<u64> {
    least(HostMemory::now().map(|memory| memory.total), Cgroups::own().memory_limit())
}

/// The bytes that can still be used: what the kernel estimates to be available in the machine, or what the limits of the process's control
/// groups leave, if that is less. `u64::MAX` if neither is known.
///
/// The kernel ends processes that use more. It refuses a larger block only to those who ask it with accounting, which the allocator of the
/// executable does not.
pub fn available_memory() -> u64 {
    let machine = HostMemory::now().map(|memory| memory.total - memory.used);
    least(machine, Cgroups::own().memory_left()).unwrap_or(u64::MAX)
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_what_is_not_available() {
        let text = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(HostMemory::parse(text), Some(HostMemory { total: 1_024_000, used: 614_400 }));
        assert_eq!(HostMemory::parse("MemTotal: x kB\n"), None);
    }

    #[test]
    fn the_machine_has_memory() {
        let usable = usable_memory().unwrap();
        assert!(usable > 1 << 20);
        assert!((1..=usable).contains(&available_memory()));
    }
}
