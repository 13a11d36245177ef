//! What comes back for a request of a backend: responses, and the memory that it lent.

use std::sync::Arc;

use hippocamp_backend::InProcessEvent;
use hippocamp_in_process::Mailbox;
use tracing::error;

use super::allocator::Allocation;
use super::callbacks::{Opaque, Released, Responded};
use super::calls::RunningCall;
use super::gpus::Gpus;
use super::request::InferenceRequestObject;
use super::response::InferenceResponseObject;
use crate::border::{Flag, Ref};

/// What is told on a thread of callbacks.
#[derive(Debug)]
pub(crate) enum Item {
    Event(InProcessEvent),
    /// All inputs were given back.
    Returned,
}

/// Whom a backend wants to be told of its responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseTo {
    pub(crate) allocation: Allocation,
    pub(crate) callback: Responded,
    pub(crate) userp: Opaque,
}

/// Whom a backend wants to be told that a request is its own again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReleaseTo {
    pub(crate) callback: Released,
    pub(crate) userp: Opaque,
}

/// Calls a backend back for one request: each response in order, and behind the last one, when the inputs were given back,
/// the release.
struct Answer {
    request: Ref<InferenceRequestObject>,
    response: ResponseTo,
    release: ReleaseTo,
    has_ended: bool,
    is_returned: bool,
    gpus: Arc<Gpus>,
    /// The backend may be finalized when the callbacks have returned.
    _running: Arc<RunningCall>,
}

/// A mailbox from which the backend is called back. It is used for one request.
pub(crate) fn mailbox(
    request: Ref<InferenceRequestObject>,
    response: ResponseTo,
    release: ReleaseTo,
    running: &Arc<RunningCall>,
    gpus: &Arc<Gpus>,
) -> Mailbox<Item> {
    let answer = Answer {
        request,
        response,
        release,
        has_ended: false,
        is_returned: false,
        gpus: Arc::clone(gpus),
        _running: Arc::clone(running),
    };
    let mut answer = Some(answer);
    Mailbox::new(move |item| {
        if answer.as_mut().is_some_and(|answer| answer.tell(item)) {
            answer = None;
        }
    })
}

impl Answer {
    /// Tells the backend. True if nothing follows.
    fn tell(&mut self, item: Item) -> bool {
        match item {
            Item::Returned => self.is_returned = true,
            Item::Event(event) => {
                self.has_ended = event.is_last();
                self.respond(event);
            }
        }
        let is_over = self.has_ended && self.is_returned;
        if is_over {
            InferenceRequestObject::released(self.request);
            (self.release.callback)(self.request, Flag::RELEASE_ALL, self.release.userp.pointer());
        }
        is_over
    }

    fn respond(&self, event: InProcessEvent) {
        let flags = if event.is_last() { Flag::RESPONSE_FINAL } else { 0 };
        let ResponseTo { allocation, callback, userp } = self.response;
        let response = match event {
            InProcessEvent::Response { response, .. } => {
                InferenceResponseObject::of(response, allocation, &self.gpus)
            }
            InProcessEvent::Failed { error, .. } => InferenceResponseObject::of_error(error, allocation),
            InProcessEvent::End => return callback(Ref::NULL, flags, userp.pointer()),
        };
        let handle = Ref::new(response).unwrap_or_else(|error| {
            error!("a backend never deletes responses: {}", error.message());
            Ref::NULL
        });
        callback(handle, flags, userp.pointer());
    }
}
