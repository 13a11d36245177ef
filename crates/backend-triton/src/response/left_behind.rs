//! What a backend has not given back of an instance that it has finalized.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ResponseChannel;
use super::factory::FactoryObject;
use super::response_object::ResponseObject;
use crate::border::Object;
use crate::life::TensorNames;
use crate::request::RequestObject;

static HANDLES: AtomicU64 = AtomicU64::new(0);

/// How many handles were taken out so far.
pub(crate) fn handles_left() -> u64 {
    HANDLES.load(Ordering::Relaxed)
}

/// Takes out the requests, factories and responses of an instance, which has these names for itself, and returns how many there
/// were. A process that ends leaves the requests that it had, with their inputs, to nobody.
pub(crate) fn left_behind(names: &Arc<TensorNames>) -> usize {
    let of = |channel: &ResponseChannel| Arc::ptr_eq(&channel.names, names);
    let left = RequestObject::registry().remove_all(|request| of(&request.channel))
        + FactoryObject::registry().remove_all(|factory| of(&factory.0))
        + ResponseObject::registry().remove_all(|response| of(&response.channel));
    HANDLES.fetch_add(left as u64, Ordering::Relaxed);
    left
}
