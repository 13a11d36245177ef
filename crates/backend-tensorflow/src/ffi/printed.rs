//! What graphs print (`tf.print`) goes to the log.

use std::ffi::{CStr, c_char};

use hippocamp_engine_library::one_line;
use tracing::info;

use super::api::Api;

/// Has the library call [`printed`] instead of writing to standard error.
pub(super) fn listen(api: &Api) {
    // SAFETY: the listener is a function of this program, which is never unloaded.
    unsafe { (api.TF_RegisterLogListener)(printed) };
}

/// Called on the library's threads.
extern "C" fn printed(text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: checked for null above; the library gives a string that lives until this returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    // Nothing may unwind into the library.
    drop(std::panic::catch_unwind(|| info!(target: "tensorflow", "a graph prints: {}", one_line(&text))));
}
