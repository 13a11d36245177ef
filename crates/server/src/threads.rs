//! The number of I/O threads, as a function of the number of cores, and the runtimes of all threads.

use std::io;

use hippocamp_net::IoThreads;
use tokio::runtime::{Builder, Runtime};

/// The same stack as an instance's own thread, because short models are executed on these threads, too. Only touched
/// pages take memory.
const STACK_SIZE: usize = 8 << 20;

/// The number of cores up to which all I/O is done by the main thread. With two, a second thread costs more in wake-ups than
/// it gains.
const FEW_CORES: usize = 2;

/// The highest number of I/O threads that is chosen by default.
const MAX_THREADS: usize = 64;

/// The number of processors that this process may use; fewer than the machine's in a container with a quota.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The number of threads that read, decode, encode and write, by default: one on a small machine, otherwise one a core.
/// Requests to short models are executed on them, too.
fn default_io_threads(cores: usize) -> usize {
    if cores <= FEW_CORES { 1 } else { cores.min(MAX_THREADS) }
}

/// Builds the runtime of the main thread. It accepts connections and loads models; if it is the only I/O thread, it serves
/// the connections, too.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().thread_name("io").thread_stack_size(STACK_SIZE).enable_all().build()
}

/// Starts the I/O threads: `asked` of them, or as many as fit the machine. `None` if the main thread does their work.
pub(crate) fn start(asked: Option<usize>) -> io::Result<Option<IoThreads>> {
    match asked.unwrap_or_else(|| default_io_threads(cores())) {
        0 | 1 => Ok(None),
        count => IoThreads::start(count, STACK_SIZE).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_have_one_io_thread_and_others_one_a_core() {
        let table = [(1, 1), (2, 1), (3, 3), (4, 4), (8, 8), (16, 16), (256, 64)];
        for (cores, threads) in table {
            assert_eq!(default_io_threads(cores), threads, "{cores} cores");
        }
        assert!(cores() >= 1);
    }

    #[test]
    fn one_thread_is_the_main_thread() {
        assert!(start(Some(1)).unwrap().is_none());
        assert!(start(Some(2)).unwrap().is_some());
    }
}
