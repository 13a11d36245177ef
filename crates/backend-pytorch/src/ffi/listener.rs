//! What models print, and PyTorch's warnings, go to the log.

use std::ffi::c_char;

use hippocamp_engine_library::one_line;
use tracing::{info, warn};

/// Called on any thread.
pub(super) extern "C" fn told(level: i32, text: *const c_char, size: usize) {
    if text.is_null() || size == 0 {
        return;
    }
    // SAFETY: the shim gives as many bytes, which live until this returns.
    let text = String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(text.cast(), size) });
    // Nothing may unwind into the library.
    drop(std::panic::catch_unwind(|| {
        if level == 0 {
            info!(target: "pytorch", "a model prints: {}", one_line(&text));
        } else {
            warn!(target: "pytorch", "{}", one_line(&text));
        }
    }));
}
