//! How many threads do what. Pure functions of the number of cores, so that they can be read and tested.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// As much as an instance's own thread has: short models are executed here, too. Only touched pages count.
const STACK_SIZE: usize = 8 << 20;

/// The processors that this process may use: the machine's, or fewer in a container with a quota.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Threads that read, decode, encode and write. Instances do the heavy work on threads of their own, so a few are
/// enough; on a small machine a second one costs more in wake-ups than it brings.
pub(crate) fn io_threads(cores: usize) -> usize {
    (cores / 4).clamp(1, 8)
}

/// What the I/O runs on. One thread needs no machinery to share its work with others, which costs a tenth of a small
/// request; it is the main thread then.
pub(crate) fn runtime(cores: usize) -> io::Result<Runtime> {
    let mut builder = match io_threads(cores) {
        1 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.thread_name("io").thread_stack_size(STACK_SIZE).enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_have_one_io_thread_and_large_ones_not_too_many() {
        let table = [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (32, 8), (256, 8)];
        for (cores, threads) in table {
            assert_eq!(io_threads(cores), threads, "{cores} cores");
        }
        assert!(cores() >= 1);
    }
}
