//! Attributes of buffers: where they are and how large.

use std::ffi::c_void;
use std::ptr;

use parking_lot::Mutex;

use crate::border::{Kind, MemoryType, Object, Out, Ref, Registry, Returned, call};

/// A record about a buffer.
#[derive(Debug, Default)]
pub(crate) struct BufferAttributesObject(Mutex<BufferAttributes>);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BufferAttributes {
    pub(crate) memory_type: u32,
    pub(crate) memory_type_id: i64,
    pub(crate) byte_size: usize,
}

impl Object for BufferAttributesObject {
    const KIND: Kind = Kind::BufferAttributes;

    fn registry() -> &'static Registry<Self> {
        static ALL: Registry<BufferAttributesObject> = Registry::new(Kind::BufferAttributes);
        &ALL
    }
}

impl BufferAttributesObject {
    /// Of a buffer in host memory.
    pub(crate) fn of_host(byte_size: usize) -> BufferAttributesObject {
        BufferAttributesObject(Mutex::new(BufferAttributes { byte_size, ..BufferAttributes::default() }))
    }
}

impl BufferAttributesObject {
    pub(crate) fn read(&self) -> BufferAttributes {
        *self.0.lock()
    }
}

pub(crate) extern "C" fn new(attributes: Out<Ref<BufferAttributesObject>>) -> Returned {
    call("TRITONSERVER_BufferAttributesNew", || {
        attributes.set_new("buffer_attributes", BufferAttributesObject::default())
    })
}

pub(crate) extern "C" fn delete(attributes: Ref<BufferAttributesObject>) -> Returned {
    call("TRITONSERVER_BufferAttributesDelete", || attributes.remove_unless_null())
}

pub(crate) extern "C" fn set_memory_type(attributes: Ref<BufferAttributesObject>, kind: u32) -> Returned {
    call("TRITONSERVER_BufferAttributesSetMemoryType", || {
        let attributes = attributes.get()?;
        attributes.0.lock().memory_type = MemoryType::from_number(kind, "memory_type")?.number();
        Ok(())
    })
}

pub(crate) extern "C" fn set_memory_type_id(attributes: Ref<BufferAttributesObject>, id: i64) -> Returned {
    call("TRITONSERVER_BufferAttributesSetMemoryTypeId", || {
        attributes.get()?.0.lock().memory_type_id = id;
        Ok(())
    })
}

pub(crate) extern "C" fn set_byte_size(attributes: Ref<BufferAttributesObject>, size: usize) -> Returned {
    call("TRITONSERVER_BufferAttributesSetByteSize", || {
        attributes.get()?.0.lock().byte_size = size;
        Ok(())
    })
}

pub(crate) extern "C" fn memory_type(attributes: Ref<BufferAttributesObject>, kind: Out<u32>) -> Returned {
    call("TRITONSERVER_BufferAttributesMemoryType", || {
        kind.set("memory_type", attributes.get()?.read().memory_type)
    })
}

pub(crate) extern "C" fn memory_type_id(attributes: Ref<BufferAttributesObject>, id: Out<i64>) -> Returned {
    call("TRITONSERVER_BufferAttributesMemoryTypeId", || {
        id.set("memory_type_id", attributes.get()?.read().memory_type_id)
    })
}

pub(crate) extern "C" fn byte_size(attributes: Ref<BufferAttributesObject>, size: Out<usize>) -> Returned {
    call("TRITONSERVER_BufferAttributesByteSize", || {
        size.set("byte_size", attributes.get()?.read().byte_size)
    })
}

/// No buffer here is in memory that was shared by CUDA's handles.
pub(crate) extern "C" fn cuda_ipc_handle(
    attributes: Ref<BufferAttributesObject>,
    handle: Out<*mut c_void>,
) -> Returned {
    call("TRITONSERVER_BufferAttributesCudaIpcHandle", || {
        attributes.get()?;
        handle.set("cuda_ipc_handle", ptr::null_mut())
    })
}
