//! Objects of the library, and calls of their methods.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::Layout;
use crate::library::Inner;
use crate::slots::Slot;

/// What callbacks say of the interface that they implement.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InterfaceInfo {
    /// The name, which ends with a null byte and lives as long as the program.
    pub kind: *const c_char,
    /// The version of the interface.
    pub major: i32,
    /// Its extensions.
    pub minor: i32,
}

/// An object of a public class: its virtual table has a destructor only, and its methods are those of the implementation behind
/// it.
#[repr(C)]
struct PublicObject {
    table: *const *const c_void,
    implementation: *mut c_void,
}

/// In the table of every public class, the destructor that also frees the memory.
const DELETE: usize = 1;

/// Linux maps nothing below it.
const LOWEST_ADDRESS: usize = 0x1_0000;

/// An object that is ours to delete, once, by the library that made it.
#[derive(Debug)]
pub(crate) struct Owned {
    object: NonNull<c_void>,
    library: Arc<Inner>,
    delete: usize,
}

impl Owned {
    /// Takes an object of a public class that the library returned; `None` if it is null.
    ///
    /// # Safety
    /// The object is of this library, of a class that has an implementation behind it, and nobody else deletes it.
    pub(crate) unsafe fn new(object: *mut c_void, library: &Arc<Inner>) -> Option<Owned> {
        // SAFETY: the caller's word; public classes delete by this place.
        unsafe { Owned::deleted_by(object, DELETE, library) }
    }

    /// As [`new`](Owned::new), for a class whose deleting destructor is at another place.
    ///
    /// # Safety
    /// As there, and `delete` is the place of the deleting destructor.
    pub(crate) unsafe fn deleted_by(
        object: *mut c_void,
        delete: usize,
        library: &Arc<Inner>,
    ) -> Option<Owned> {
        // Without a driver the factory of a runtime does not return null but a small number, which is null moved by the place of a
        // base class: findings/tensorrt-runtime-of-no-gpu.sh.
        let object = NonNull::new(object).filter(|object| object.addr().get() >= LOWEST_ADDRESS)?;
        Some(Owned { object, library: Arc::clone(library), delete })
    }

    /// The object itself, to be passed to the library.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    /// What has the methods.
    pub(crate) fn implementation(&self) -> *mut c_void {
        // SAFETY: the object lives until this is dropped. Of an object of a class without implementation this is not called.
        unsafe { implementation(self.object.as_ptr()) }
    }

    pub(crate) fn library(&self) -> &Arc<Inner> {
        &self.library
    }

    pub(crate) fn layout(&self) -> Layout {
        self.library.layout
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the place is that of the deleting destructor, which takes the object alone, and this is the only call of it.
        unsafe {
            let delete: unsafe extern "C" fn(*mut c_void) = entry(self.object.as_ptr(), self.delete);
            delete(self.object.as_ptr());
        }
    }
}

// SAFETY: TensorRT's objects may be used by any thread, one at a time for those that are changed by it; what needs that takes
// `&mut self`. Methods that take `&self` are the ones that TensorRT documents as safe to be called by several threads.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

/// What has the methods of an object of a public class.
///
/// # Safety
/// The object is alive and of a class that has an implementation behind it.
pub(crate) unsafe fn implementation(object: *mut c_void) -> *mut c_void {
    // SAFETY: public classes begin with the virtual table and the implementation.
    unsafe { (*object.cast::<PublicObject>()).implementation }
}

/// The entry of an object's virtual table at a place, as a function of type `F`.
///
/// # Safety
/// The object is alive, its class has a method at that place, and `F` is a pointer to a function of that method's type.
pub(crate) unsafe fn entry<F: Copy>(object: *mut c_void, place: usize) -> F {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    // SAFETY: an object begins with the pointer to its table, which has the place.
    unsafe {
        let table = *object.cast::<*const *const c_void>();
        std::mem::transmute_copy::<*const c_void, F>(&*table.add(place))
    }
}

/// The place of a method that each layout has.
///
/// # Panics
/// If it has not: a fault of this crate.
pub(crate) fn place(slot: &Slot, layout: Layout) -> usize {
    slot.place(layout).unwrap_or_else(|| panic!("{layout:?} has no method {}", slot.method))
}

/// Calls a method: `call!(object, layout, SLOT, (argument: Type, ...) -> Result)`. To be used within `unsafe`.
macro_rules! call {
    ($object:expr, $layout:expr, $slot:expr, ($($argument:expr => $type:ty),*) $(-> $result:ty)?) => {{
        let object: *mut std::ffi::c_void = $object;
        let method: unsafe extern "C" fn(*mut std::ffi::c_void $(, $type)*) $(-> $result)? =
            $crate::object::entry(object, $crate::object::place(&$slot, $layout));
        method(object $(, $argument)*)
    }};
}
pub(crate) use call;
