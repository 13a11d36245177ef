//! Calls of the objects that a caller gave to a build.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

type PhaseStart = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, i32);
type StepComplete = unsafe extern "C" fn(*mut c_void, *const c_char, i32) -> bool;
type PhaseFinish = unsafe extern "C" fn(*mut c_void, *const c_char);
type BatchSize = unsafe extern "C" fn(*mut c_void) -> i32;
type NextBatch = unsafe extern "C" fn(*mut c_void, *mut *mut c_void, *const *const c_char, i32) -> bool;
type ReadCache = unsafe extern "C" fn(*mut c_void, *mut usize) -> *const c_void;
type WriteCache = unsafe extern "C" fn(*mut c_void, *const c_void, usize);

/// # Safety
/// The monitor is an object of the caller's interface, or 0.
pub(crate) unsafe fn tell_phase(monitor: usize) {
    if monitor == 0 {
        return;
    }
    let this = monitor as *mut c_void;
    // SAFETY: the caller's word; the places are the same in all versions.
    unsafe {
        let table = *this.cast::<*const *const c_void>();
        let start: PhaseStart = std::mem::transmute(*table.add(4));
        let step: StepComplete = std::mem::transmute(*table.add(5));
        let finish: PhaseFinish = std::mem::transmute(*table.add(6));
        start(this, c"Building".as_ptr(), null(), 2);
        step(this, c"Building".as_ptr(), 0);
        step(this, c"Building".as_ptr(), 1);
        finish(this, c"Building".as_ptr());
    }
}

/// Takes all batches, and gives their number as what was found.
///
/// # Safety
/// The calibrator is an object of the caller's interface, or 0.
pub(crate) unsafe fn calibrate(calibrator: usize, lines: &mut Vec<String>) {
    if calibrator == 0 {
        return;
    }
    let this = calibrator as *mut c_void;
    // SAFETY: the caller's word.
    unsafe {
        let table = *this.cast::<*const *const c_void>();
        let size: BatchSize = std::mem::transmute(*table.add(4));
        let next: NextBatch = std::mem::transmute(*table.add(5));
        let read: ReadCache = std::mem::transmute(*table.add(6));
        let write: WriteCache = std::mem::transmute(*table.add(7));
        let mut length = 0;
        if !read(this, &raw mut length).is_null() && length > 0 {
            lines.push(format!("# ranges of {length} bytes were there"));
            return;
        }
        let (mut binding, name, mut count) = (null_mut(), c"x".as_ptr(), 0);
        let mut first = Vec::new();
        while next(this, &raw mut binding, &raw const name, 1) {
            count += 1;
            // Device memory is host memory here.
            first.push((binding as *const f32).read_unaligned());
        }
        let found = format!("{count} batches of {}: {first:?}", size(this));
        write(this, found.as_ptr().cast(), found.len());
        lines.push(format!("# {found}"));
    }
}
