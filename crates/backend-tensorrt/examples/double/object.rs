//! Objects with virtual tables.

use std::ffi::{CString, c_char, c_void};

use hippocamp_tensorrt_sys::slots::{self, Slot};

use crate::role;

/// More than any class has methods.
const PLACES: usize = 100;

/// A public object: a destructor, and the implementation behind it.
#[repr(C)]
struct Public<T> {
    table: *const *const c_void,
    implementation: *mut Implementation<T>,
    entries: [*const c_void; 2],
}

/// What has the methods.
#[repr(C)]
pub(crate) struct Implementation<T> {
    table: *const *const c_void,
    public: *mut Public<T>,
    entries: [*const c_void; PLACES],
    pub(crate) data: T,
}

/// Makes an object whose implementation has these methods.
pub(crate) fn make<T>(data: T, methods: &[(Slot, *const c_void)]) -> *mut c_void {
    let mut entries = [unexpected as *const c_void; PLACES];
    for (slot, method) in methods {
        // A method that this version does not have is never called.
        if let Some(place) = slot.place(role().layout) {
            entries[place] = *method;
        }
    }
    let implementation = Box::into_raw(Box::new(Implementation {
        table: std::ptr::null(),
        public: std::ptr::null_mut(),
        entries,
        data,
    }));
    let entries = [unexpected as *const c_void, delete::<T> as *const c_void];
    let public = Box::into_raw(Box::new(Public { table: std::ptr::null(), implementation, entries }));
    // SAFETY: both were just made.
    unsafe {
        (*implementation).table = (*implementation).entries.as_ptr();
        (*implementation).public = public;
        (*public).table = (*public).entries.as_ptr();
    }
    public.cast()
}

/// Makes an object whose methods are its own, with its deleting destructor at a place.
pub(crate) fn make_direct<T>(data: T, methods: &[(Slot, *const c_void)], delete: usize) -> *mut c_void {
    let mut entries = [unexpected as *const c_void; PLACES];
    for (slot, method) in methods {
        if let Some(place) = slot.place(role().layout) {
            entries[place] = *method;
        }
    }
    entries[delete] = delete_direct::<T> as *const c_void;
    let table = std::ptr::null();
    let object =
        Box::into_raw(Box::new(Implementation { table, public: std::ptr::null_mut(), entries, data }));
    // SAFETY: it was just made.
    unsafe { (*object).table = (*object).entries.as_ptr() };
    object.cast()
}

unsafe extern "C" fn delete_direct<T>(this: *mut c_void) {
    // SAFETY: the object was made by `make_direct`, and is deleted once.
    drop(unsafe { Box::from_raw(this.cast::<Implementation<T>>()) });
}

/// What has the methods of a public object.
///
/// # Safety
/// `public` was made by `make`.
pub(crate) unsafe fn implementation(public: *mut c_void) -> *mut c_void {
    // SAFETY: the caller's word; the place of the field does not depend on the data.
    unsafe { (*public.cast::<Public<()>>()).implementation.cast() }
}

/// The data of an implementation.
///
/// # Safety
/// `this` is an implementation of `T`, and nobody else uses it.
pub(crate) unsafe fn data<'a, T>(this: *mut c_void) -> &'a mut T {
    // SAFETY: the caller's word.
    unsafe { &mut (*this.cast::<Implementation<T>>()).data }
}

unsafe extern "C" fn delete<T>(this: *mut c_void) {
    // SAFETY: the object was made by `make`, and is deleted once.
    unsafe {
        let public = Box::from_raw(this.cast::<Public<T>>());
        drop(Box::from_raw(public.implementation));
    }
}

unsafe extern "C" fn unexpected(this: *mut c_void) {
    eprintln!("a method that the double does not have was called of {this:?}");
    std::process::abort();
}

type LogMethod = unsafe extern "C" fn(*mut c_void, i32, *const c_char);

/// The caller's logger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log(pub(crate) usize);

impl Log {
    pub(crate) fn error(self, text: &str) {
        self.write(1, text);
    }

    pub(crate) fn info(self, text: &str) {
        self.write(3, text);
    }

    fn write(self, severity: i32, text: &str) {
        let Ok(text) = CString::new(text) else { return };
        let Some(place) = slots::logger::LOG.place(role().layout) else { return };
        // SAFETY: the logger is an object of the caller's, with the method at that place.
        unsafe {
            let this = self.0 as *mut c_void;
            let table = *this.cast::<*const *const c_void>();
            let method = std::mem::transmute::<*const c_void, LogMethod>(*table.add(place));
            method(this, severity, text.as_ptr());
        }
    }
}
