//! How much memory the machine has left.

use std::fs;

/// Bytes that can still be used: what the kernel estimates to be available, or the limit of the container if that is less. `u64::MAX` if
/// neither is known.
///
/// The kernel ends processes that use more. It refuses a larger block only to those who ask it with accounting, which the allocator of the
/// executable does not.
pub fn available_memory() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_in(&text));
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    [machine, container].into_iter().flatten().min().unwrap_or(u64::MAX)
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemFree:         1000 kB\nMemAvailable:   2000 kB\n";
        assert_eq!(available_in(text), Some(2000 * 1024));
        assert_eq!(available_in("MemTotal: 1 kB\n"), None);
        assert!((1..1 << 50).contains(&available_memory()));
    }
}
