//! Making, dropping and sending responses.

use super::ResponseObject;
use super::factory::{FactoryObject, check_flags};
use crate::border::{Flag, Out, Ref, Returned, call};
use crate::request::RequestObject;

pub(crate) extern "C" fn new(response: Out<Ref<ResponseObject>>, request: Ref<RequestObject>) -> Returned {
    call("TRITONBACKEND_ResponseNew", || {
        response.set_new("response", ResponseObject::new(&request.get()?.channel))
    })
}

pub(crate) extern "C" fn new_from_factory(
    response: Out<Ref<ResponseObject>>,
    factory: Ref<FactoryObject>,
) -> Returned {
    call("TRITONBACKEND_ResponseNewFromFactory", || {
        response.set_new("response", ResponseObject::new(&factory.get()?.0))
    })
}

pub(crate) extern "C" fn delete(response: Ref<ResponseObject>) -> Returned {
    call("TRITONBACKEND_ResponseDelete", || response.remove().map(drop))
}

/// Takes the response in any case; the error, if there is one, stays the caller's.
pub(crate) extern "C" fn send(response: Ref<ResponseObject>, flags: u32, error: Returned) -> Returned {
    call("TRITONBACKEND_ResponseSend", || {
        let response = response.remove()?;
        check_flags(flags)?;
        let answer = match error.lent()? {
            Some(error) => Err(error),
            None => response.take(),
        };
        response.channel.respond(answer, flags & Flag::RESPONSE_FINAL != 0);
        Ok(())
    })
}
