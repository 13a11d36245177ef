//! How far a build is.

use std::ffi::{c_char, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null};

use crate::engine::text;
use crate::object::InterfaceInfo;

/// What is told how far a build is. The library's threads call it, several at once.
pub trait Progress: Send + Sync {
    /// A phase begins, maybe within another one, with that many steps.
    fn begins(&self, phase: &str, parent: Option<&str>, steps: i32);

    /// A step of a phase is done. `false` ends the build.
    fn step(&self, phase: &str, step: i32) -> bool;

    /// A phase is over.
    fn ends(&self, phase: &str);
}

/// An object that implements the interface of the library by a [`Progress`].
pub(crate) struct Monitor(NonNull<Object>);

#[repr(C)]
struct Object {
    table: *const *const c_void,
    entries: [*const c_void; 7],
    progress: Box<dyn Progress>,
}

// SAFETY: the table is of functions, and what is called is `Sync`.
unsafe impl Send for Monitor {}
// SAFETY: as above.
unsafe impl Sync for Monitor {}

impl Monitor {
    pub(crate) fn new(progress: Box<dyn Progress>) -> Monitor {
        let entries = [
            language as *const c_void,
            info as *const c_void,
            destroy as *const c_void,
            destroy as *const c_void,
            phase_start as *const c_void,
            step_complete as *const c_void,
            phase_finish as *const c_void,
        ];
        let object = Box::leak(Box::new(Object { table: null(), entries, progress }));
        object.table = object.entries.as_ptr();
        Monitor(NonNull::from(object))
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // SAFETY: it was made of a box, and the config that calls it was dropped before.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}

/// # Safety
/// `this` is an [`Object`], and the texts end with a null byte or are null.
unsafe fn told<T>(this: *mut c_void, what: impl FnOnce(&dyn Progress) -> T) -> Option<T> {
    // SAFETY: the caller's word.
    let object = unsafe { &*this.cast::<Object>() };
    catch_unwind(AssertUnwindSafe(|| what(&*object.progress))).ok()
}

unsafe extern "C" fn phase_start(this: *mut c_void, name: *const c_char, parent: *const c_char, steps: i32) {
    // SAFETY: the library calls it with the object that it was given, and with texts.
    unsafe {
        let (name, parent) = (text(name).unwrap_or_default(), text(parent));
        told(this, |progress| progress.begins(&name, parent.as_deref(), steps));
    }
}

unsafe extern "C" fn step_complete(this: *mut c_void, name: *const c_char, step: i32) -> bool {
    // SAFETY: as above.
    unsafe {
        let name = text(name).unwrap_or_default();
        told(this, |progress| progress.step(&name, step)).unwrap_or(true)
    }
}

unsafe extern "C" fn phase_finish(this: *mut c_void, name: *const c_char) {
    // SAFETY: as above.
    unsafe {
        let name = text(name).unwrap_or_default();
        told(this, |progress| progress.ends(&name));
    }
}

/// A destructor that the library does not call: the object is ours.
unsafe extern "C" fn destroy(_this: *mut c_void) {}

unsafe extern "C" fn language(_this: *mut c_void) -> i32 {
    0
}

unsafe extern "C" fn info(_this: *mut c_void) -> InterfaceInfo {
    InterfaceInfo { kind: c"IProgressMonitor".as_ptr(), major: 1, minor: 0 }
}
