//! Pictures by which a build finds the ranges of 8-bit integers. TensorRT 10 only.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null, null_mut};

use crate::object::InterfaceInfo;

/// Batches of inputs for a calibration, and the ranges that were found.
pub trait Batches: Send {
    /// How many pictures a batch has.
    fn size(&self) -> i32;

    /// The addresses of the next batch's inputs in device memory, for these names; `None` if there is none left. They stay valid
    /// until the next call.
    fn next(&mut self, names: &[&CStr]) -> Option<Vec<*mut c_void>>;

    /// What an earlier calibration found, if it is to be used.
    fn cached(&mut self) -> Option<&[u8]>;

    /// What this calibration found.
    fn found(&mut self, bytes: &[u8]);
}

/// An object that implements the library's entropy calibrator by [`Batches`].
pub(crate) struct Calibrator(NonNull<Object>);

#[repr(C)]
struct Object {
    table: *const *const c_void,
    entries: [*const c_void; 9],
    batches: Box<dyn Batches>,
}

// SAFETY: the table is of functions, and the batches are `Send`; the library's build calls it, one call at a time.
unsafe impl Send for Calibrator {}
// SAFETY: nothing of it is used by `&self`.
unsafe impl Sync for Calibrator {}

impl Calibrator {
    pub(crate) fn new(batches: Box<dyn Batches>) -> Calibrator {
        let entries = [
            language as *const c_void,
            info as *const c_void,
            destroy as *const c_void,
            destroy as *const c_void,
            batch_size as *const c_void,
            batch as *const c_void,
            read as *const c_void,
            write as *const c_void,
            algorithm as *const c_void,
        ];
        let object = Box::leak(Box::new(Object { table: null(), entries, batches }));
        object.table = object.entries.as_ptr();
        Calibrator(NonNull::from(object))
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }
}

impl Drop for Calibrator {
    fn drop(&mut self) {
        // SAFETY: it was made of a box, and the config that calls it was dropped before.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl fmt::Debug for Calibrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calibrator")
    }
}

/// # Safety
/// `this` is an [`Object`] that nobody else uses.
unsafe fn with<T>(this: *mut c_void, fallback: T, what: impl FnOnce(&mut dyn Batches) -> T) -> T {
    // SAFETY: the caller's word.
    let object = unsafe { &mut *this.cast::<Object>() };
    catch_unwind(AssertUnwindSafe(|| what(&mut *object.batches))).unwrap_or(fallback)
}

unsafe extern "C" fn batch_size(this: *mut c_void) -> i32 {
    // SAFETY: the library calls it with the object that it was given, one call at a time.
    unsafe { with(this, 1, |batches| batches.size()) }
}

unsafe extern "C" fn batch(
    this: *mut c_void,
    bindings: *mut *mut c_void,
    names: *const *const c_char,
    count: i32,
) -> bool {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: both are arrays of that many, of addresses to be written and of texts.
    unsafe {
        let names: Vec<&CStr> = (0..count).map(|i| CStr::from_ptr(*names.add(i))).collect();
        let addresses = with(this, None, |batches| batches.next(&names)).filter(|found| found.len() == count);
        let Some(addresses) = addresses else { return false };
        bindings.copy_from_nonoverlapping(addresses.as_ptr(), count);
    }
    true
}

unsafe extern "C" fn read(this: *mut c_void, length: *mut usize) -> *const c_void {
    // SAFETY: as above; the bytes live as long as the object or until its next call.
    unsafe {
        let (address, size) = with(this, (null_mut(), 0), |batches| {
            batches.cached().map_or((null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut(), bytes.len()))
        });
        *length = size;
        address.cast()
    }
}

unsafe extern "C" fn write(this: *mut c_void, bytes: *const c_void, length: usize) {
    if bytes.is_null() {
        return;
    }
    // SAFETY: as above; that many bytes are passed.
    unsafe {
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), length);
        with(this, (), |batches| batches.found(bytes));
    }
}

/// The entropy calibration, second kind.
unsafe extern "C" fn algorithm(_this: *mut c_void) -> i32 {
    2
}

/// A destructor that the library does not call: the object is ours.
unsafe extern "C" fn destroy(_this: *mut c_void) {}

unsafe extern "C" fn language(_this: *mut c_void) -> i32 {
    0
}

unsafe extern "C" fn info(_this: *mut c_void) -> InterfaceInfo {
    InterfaceInfo { kind: c"IInt8EntropyCalibrator2".as_ptr(), major: 1, minor: 0 }
}
