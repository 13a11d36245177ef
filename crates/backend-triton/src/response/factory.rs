//! Factories: what a backend keeps of a request to respond after it has given the request back.

use std::sync::Arc;

use super::ResponseChannel;
use crate::border::{Flag, Kind, Object, Out, Ref, Registry, Returned, call, misuse};
use crate::request::RequestObject;

/// A shared use of a request's channel.
#[derive(Debug)]
pub(crate) struct FactoryObject(pub(crate) Arc<ResponseChannel>);

impl Object for FactoryObject {
    const KIND: Kind = Kind::ResponseFactory;

    fn registry() -> &'static Registry<Self> {
        static FACTORIES: Registry<FactoryObject> = Registry::new(Kind::ResponseFactory);
        &FACTORIES
    }
}

pub(crate) extern "C" fn new(factory: Out<Ref<FactoryObject>>, request: Ref<RequestObject>) -> Returned {
    call("TRITONBACKEND_ResponseFactoryNew", || {
        factory.set_new("factory", FactoryObject(Arc::clone(&request.get()?.channel)))
    })
}

pub(crate) extern "C" fn delete(factory: Ref<FactoryObject>) -> Returned {
    call("TRITONBACKEND_ResponseFactoryDelete", || factory.remove().map(drop))
}

pub(crate) extern "C" fn send_flags(factory: Ref<FactoryObject>, flags: u32) -> Returned {
    call("TRITONBACKEND_ResponseFactorySendFlags", || {
        check_flags(flags)?;
        let factory = factory.get()?;
        if flags & Flag::RESPONSE_FINAL != 0 {
            factory.0.end();
        }
        Ok(())
    })
}

pub(crate) extern "C" fn is_cancelled(factory: Ref<FactoryObject>, cancelled: Out<bool>) -> Returned {
    call("TRITONBACKEND_ResponseFactoryIsCancelled", || {
        cancelled.set("is_cancelled", factory.get()?.0.is_cancelled())
    })
}

/// Fails if there are flags that the interface does not have.
pub(crate) fn check_flags(flags: u32) -> hippocamp_backend::Result<()> {
    if flags & !Flag::RESPONSE_FINAL == 0 {
        return Ok(());
    }
    Err(misuse(format!("'send_flags' is {flags}, expected 0 or {}", Flag::RESPONSE_FINAL)))
}
