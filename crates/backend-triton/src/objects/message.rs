//! Messages: texts in JSON.

use std::ffi::{c_char, c_void};

use crate::border::{Kind, Object, Out, Ref, Registry, Returned, bytes, call};

/// A text with a zero byte behind it, as backends print it as a C string.
#[derive(Debug)]
pub(crate) struct MessageObject(Box<[u8]>);

impl Object for MessageObject {
    const KIND: Kind = Kind::Message;

    fn registry() -> &'static Registry<Self> {
        static MESSAGES: Registry<MessageObject> = Registry::new(Kind::Message);
        &MESSAGES
    }
}

impl MessageObject {
    pub(crate) fn new(text: &[u8]) -> MessageObject {
        MessageObject(text.iter().copied().chain([0]).collect())
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }
}

pub(crate) extern "C" fn new_from_serialized_json(
    message: Out<Ref<MessageObject>>,
    base: *const c_char,
    size: usize,
) -> Returned {
    call("TRITONSERVER_MessageNewFromSerializedJson", || {
        let text = bytes(base.cast::<c_void>(), size, "base")?;
        message.set_new("message", MessageObject::new(text))
    })
}

pub(crate) extern "C" fn serialize_to_json(
    message: Ref<MessageObject>,
    base: Out<*const c_char>,
    size: Out<usize>,
) -> Returned {
    call("TRITONSERVER_MessageSerializeToJson", || {
        let message = message.get()?;
        base.check("base")?;
        size.set("byte_size", message.text().len())?;
        base.set("base", message.0.as_ptr().cast())
    })
}

pub(crate) extern "C" fn delete(message: Ref<MessageObject>) -> Returned {
    call("TRITONSERVER_MessageDelete", || message.remove_unless_null())
}
