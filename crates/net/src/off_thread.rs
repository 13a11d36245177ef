//! Runs work on a blocking thread if it would occupy an I/O thread for too long.

use tokio::task::JoinError;

/// Does the work at once, or on a blocking thread if it is large. The error says that the work panicked or that the runtime
/// ended.
pub async fn off_thread<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if is_large { tokio::task::spawn_blocking(work).await } else { Ok(work()) }
}
