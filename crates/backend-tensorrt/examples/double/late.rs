//! Streams of simulated devices, whose work is executed when somebody waits for it.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

static SIMULATED: AtomicBool = AtomicBool::new(false);

/// From now on, the handles of streams are those of the simulated device of crate `device`.
#[unsafe(no_mangle)]
pub extern "C" fn double_streams_are_simulated() {
    SIMULATED.store(true, Ordering::SeqCst);
}

/// What the handle of a simulated stream begins with.
#[repr(C)]
struct RawStream {
    put: unsafe extern "C" fn(*const RawStream, unsafe extern "C" fn(*mut c_void), *mut c_void),
    finish: unsafe extern "C" fn(*const RawStream),
}

/// A simulated stream.
#[derive(Clone, Copy)]
pub(crate) struct Late(*const RawStream);

impl Late {
    /// That of a handle, if streams are simulated.
    pub(crate) fn of(stream: *mut c_void) -> Option<Late> {
        (SIMULATED.load(Ordering::SeqCst) && !stream.is_null()).then_some(Late(stream.cast_const().cast()))
    }

    /// Has work done when the stream is waited for.
    pub(crate) fn put(self, work: impl FnOnce() + Send + 'static) {
        let work: Box<Box<dyn FnOnce() + Send>> = Box::new(Box::new(work));
        // SAFETY: the handle is one of a simulated stream that is alive, and makes the call once.
        unsafe { ((*self.0).put)(self.0, call, Box::into_raw(work).cast()) };
    }

    /// Does what is there.
    pub(crate) fn finish(self) {
        // SAFETY: as above.
        unsafe { ((*self.0).finish)(self.0) };
    }
}

unsafe extern "C" fn call(work: *mut c_void) {
    // SAFETY: made by `put`, once.
    unsafe { Box::from_raw(work.cast::<Box<dyn FnOnce() + Send>>())() };
}
