//! The library's log.
//!
//! A library takes the logger of its first object for its global one, and warns of others. So there is one logger
//! for the process, which lives as long as it. Whose message one is, is known by the thread: TensorRT logs on the thread that
//! calls it, but for parts of a build.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null;
use std::sync::OnceLock;

use crate::Layout;
use crate::object::InterfaceInfo;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Severity {
    InternalError,
    Error,
    Warning,
    Info,
    Verbose,
}

/// A line of the library's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The text, which may be of several lines.
    pub text: String,
}

type Sink = Box<dyn Fn(&Message) + Send + Sync>;

static SINK: OnceLock<Sink> = OnceLock::new();

thread_local! {
    /// One list for each call of [`capture`] that this thread is in.
    static CAPTURED: RefCell<Vec<Vec<Message>>> = const { RefCell::new(Vec::new()) };
}

/// Sets what is told of every message, on the thread that causes it. The first call holds for the process; `false` if there was
/// one.
pub fn set_sink(sink: impl Fn(&Message) + Send + Sync + 'static) -> bool {
    SINK.set(Box::new(sink)).is_ok()
}

/// Runs `work` and returns with its result the warnings and errors that the library logged on this thread meanwhile.
pub fn capture<T>(work: impl FnOnce() -> T) -> (T, Vec<Message>) {
    /// Takes the list away also when `work` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            CAPTURED.with_borrow_mut(|lists| drop(lists.pop()));
        }
    }
    CAPTURED.with_borrow_mut(|lists| lists.push(Vec::new()));
    let _end = End;
    let result = work();
    let messages = CAPTURED.with_borrow_mut(|lists| lists.last_mut().map(std::mem::take));
    (result, messages.unwrap_or_default())
}

fn told(severity: i32, text: &CStr) {
    let severity = match severity {
        0 => Severity::InternalError,
        1 => Severity::Error,
        2 => Severity::Warning,
        3 => Severity::Info,
        _ => Severity::Verbose,
    };
    let message = Message { severity, text: text.to_string_lossy().trim_end().to_owned() };
    if let Some(sink) = SINK.get() {
        sink(&message);
    }
    if severity <= Severity::Warning {
        // A thread that is ending has no list any more.
        let _ = CAPTURED.try_with(|lists| {
            if let Ok(mut lists) = lists.try_borrow_mut()
                && let Some(list) = lists.last_mut()
            {
                list.push(message);
            }
        });
    }
}

/// The log method. Nothing may unwind into C++.
unsafe extern "C" fn log(_this: *mut c_void, severity: i32, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: checked for null; the library's text ends with a null byte and lives during the call.
    let text = unsafe { CStr::from_ptr(text) };
    let _ = std::panic::catch_unwind(|| told(severity, text));
}

/// A destructor that is never called: the object is static.
unsafe extern "C" fn destroy(_this: *mut c_void) {}

unsafe extern "C" fn language(_this: *mut c_void) -> i32 {
    0 // C++, whose calling convention this is.
}

unsafe extern "C" fn info(_this: *mut c_void) -> InterfaceInfo {
    InterfaceInfo { kind: c"ILogger".as_ptr(), major: 1, minor: 0 }
}

#[repr(C)]
struct Logger {
    table: *const *const c_void,
    entries: [*const c_void; 5],
}

// SAFETY: nothing of it is ever changed.
unsafe impl Send for Logger {}
// SAFETY: as above.
unsafe impl Sync for Logger {}

/// The logger for libraries of that layout, as the factory functions want it.
pub(crate) fn logger(layout: Layout) -> *mut c_void {
    static LOGGERS: [OnceLock<&'static Logger>; 2] = [OnceLock::new(), OnceLock::new()];
    let is_versioned = layout != Layout::V10;
    let logger = LOGGERS[usize::from(is_versioned)].get_or_init(|| {
        let (log, destroy) = (log as *const c_void, destroy as *const c_void);
        let entries = if is_versioned {
            [language as *const c_void, info as *const c_void, destroy, destroy, log]
        } else {
            [log, destroy, destroy, null(), null()]
        };
        let logger = Box::leak(Box::new(Logger { table: null(), entries }));
        logger.table = logger.entries.as_ptr();
        logger
    });
    std::ptr::from_ref::<Logger>(logger).cast_mut().cast()
}
