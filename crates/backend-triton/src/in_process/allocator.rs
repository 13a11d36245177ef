//! Who allocates the outputs of requests that backends make.

use std::ffi::c_void;

use parking_lot::Mutex;

use crate::border::{Kind, Object, Out, Ref, Registry, Returned, call};

/// The functions of a backend that allocate and release outputs, by their addresses.
#[derive(Debug)]
#[allow(dead_code, reason = "requests of backends are not supported yet")]
pub(crate) struct AllocatorObject {
    allocate: usize,
    release: usize,
    start: usize,
    query: Mutex<usize>,
}

impl Object for AllocatorObject {
    const KIND: Kind = Kind::ResponseAllocator;

    fn registry() -> &'static Registry<Self> {
        static ALLOCATORS: Registry<AllocatorObject> = Registry::new(Kind::ResponseAllocator);
        &ALLOCATORS
    }
}

pub(crate) extern "C" fn new(
    allocator: Out<Ref<AllocatorObject>>,
    allocate: *const c_void,
    release: *const c_void,
    start: *const c_void,
) -> Returned {
    call("TRITONSERVER_ResponseAllocatorNew", || {
        allocator.set_new(
            "allocator",
            AllocatorObject {
                allocate: allocate.expose_provenance(),
                release: release.expose_provenance(),
                start: start.expose_provenance(),
                query: Mutex::default(),
            },
        )
    })
}

pub(crate) extern "C" fn set_query_function(
    allocator: Ref<AllocatorObject>,
    query: *const c_void,
) -> Returned {
    call("TRITONSERVER_ResponseAllocatorSetQueryFunction", || {
        *allocator.get()?.query.lock() = query.expose_provenance();
        Ok(())
    })
}

pub(crate) extern "C" fn delete(allocator: Ref<AllocatorObject>) -> Returned {
    call("TRITONSERVER_ResponseAllocatorDelete", || allocator.remove_unless_null())
}
