//! How a thread holds its instance.

use std::sync::Arc;

use hippocamp_backend::{ModelInstance, MovableInstance, NewInstance};

use crate::inline_execution::InlineInstance;

/// The instance of a thread.
pub(crate) enum Held {
    /// It stays on this thread. `None` if it has to be recreated.
    Bound(Option<Box<dyn ModelInstance>>),
    Movable(Movable),
}

/// An instance that may go to another thread.
pub(crate) enum Movable {
    /// `None` if it has to be recreated.
    Own(Option<MovableInstance>),
    /// Shared with other threads under a lock.
    Shared(Arc<InlineInstance>),
}

impl Held {
    /// Holds a new instance, which is shared if `inline` is given and it may move.
    pub(crate) fn new(instance: NewInstance, inline: Option<&Arc<InlineInstance>>) -> Held {
        match instance {
            NewInstance::Bound(instance) => Held::Bound(Some(instance)),
            NewInstance::Movable(instance) => Held::Movable(Movable::Own(Some(instance)).handed_on(inline)),
        }
    }

    /// Moves the instance to the next scheduler, which shares it if `inline` is given.
    pub(crate) fn handed_on(self, inline: Option<&Arc<InlineInstance>>) -> Held {
        match self {
            Held::Movable(movable) => Held::Movable(movable.handed_on(inline)),
            // It stays on its thread.
            bound @ Held::Bound(_) => bound,
        }
    }

    /// Drops the instance.
    pub(crate) fn end(self) {
        match self {
            Held::Bound(instance) => drop(instance),
            Held::Movable(movable) => drop(movable.taken()),
        }
    }
}

impl Movable {
    fn handed_on(self, inline: Option<&Arc<InlineInstance>>) -> Movable {
        let instance = self.taken();
        match inline {
            Some(to) => {
                *to.lock() = instance;
                Movable::Shared(Arc::clone(to))
            }
            None => Movable::Own(instance),
        }
    }

    fn taken(self) -> Option<MovableInstance> {
        match self {
            Movable::Own(instance) => instance,
            Movable::Shared(from) => from.lock().take(),
        }
    }
}

impl std::fmt::Debug for Movable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Movable::Own(_) => "Own",
            Movable::Shared(_) => "Shared",
        })
    }
}
