//! Runs work that would keep an I/O thread too long on another thread.

use hippocamp_backend::{Error, Result};

/// JSON of more bytes than this is read on another thread.
pub const LARGE_JSON: usize = 256 << 10;

/// A response with more bytes than this to be written as JSON, or to be compressed, is encoded on another thread.
pub const LARGE_OUTPUT: usize = 64 << 10;

/// Does the work here, or on a thread of its own if it is large.
pub async fn off_thread<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if !is_large {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("the request could not be processed").with_source(e))?
}
