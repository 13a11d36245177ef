//! Finds out how many files and how much memory the machine or the container allows, for the default limits.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The highest default limit of connections.
const MOST_CONNECTIONS: usize = 16_384;

/// Raises this process's limit of open files to its maximum, and returns that.
pub fn open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return count(maximum);
    }
    count(current)
}

fn count(limit: Option<u64>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// The default limit of connections, which leaves file descriptors for models, logs, shared-memory regions, health and
/// metrics.
pub(crate) fn connections() -> usize {
    leave_some(count(getrlimit(Resource::Nofile).current))
}

fn leave_some(files: usize) -> usize {
    let others = (files / 4).clamp(64, 1024);
    files.saturating_sub(others).clamp(16, MOST_CONNECTIONS)
}

/// The bytes of memory that the process may use.
pub(crate) fn memory() -> Option<usize> {
    usize::try_from(hippocamp_machine::usable_memory()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_left_for_others() {
        let table = [(256, 192), (1024, 768), (20_000, 16_384), (usize::MAX, 16_384), (10, 16)];
        for (files, connections) in table {
            assert_eq!(leave_some(files), connections, "{files} files");
        }
    }

    #[test]
    fn the_machine_has_memory_and_files() {
        assert!(memory().unwrap() > 1 << 20);
        assert!(open_files() >= 64);
    }
}
