//! The number of threads for each kind of work, as functions of the number of cores.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// The same stack as an instance's own thread, because short models are executed on these threads, too. Only touched
/// pages take memory.
const STACK_SIZE: usize = 8 << 20;

/// The number of processors that this process may use; fewer than the machine's in a container with a quota.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The number of threads that read, decode, encode and write. A few are enough, because instances compute on their own
/// threads; on a small machine a second one costs more in wake-ups than it gains.
pub(crate) fn io_threads(cores: usize) -> usize {
    (cores / 4).clamp(1, 8)
}

/// Builds the runtime for I/O. With one thread it is a current-thread runtime on the main thread: work stealing costs a
/// tenth of a small request.
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
