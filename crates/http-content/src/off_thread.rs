//! Runs work on another thread if it would block an I/O thread for too long.

use hippocamp_backend::{Error, Result};

/// The size in bytes above which JSON is parsed on another thread.
pub const LARGE_JSON: usize = 256 << 10;

/// The size in bytes above which a response is written as JSON or compressed on another thread.
pub const LARGE_OUTPUT: usize = 64 << 10;

/// Does the work at once, or on a blocking thread if it is large.
pub async fn off_thread<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = hippocamp_net::off_thread(is_large, work).await;
    done.map_err(|e| Error::internal("the request could not be processed").with_source(e))?
}
