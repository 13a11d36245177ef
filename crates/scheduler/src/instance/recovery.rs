//! What becomes of an instance that is lost or stuck: it is made anew, leaves its requests to others, or another thread goes on
//! in its place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use hippocamp_backend::{
    Error, InstanceSpec, LossCalls, ModelInstance, MovableInstance, NewInstance, Result,
};
use tracing::error;

use super::{Instance, panicked, stays, without_thread};
use crate::StandsAside;
use crate::held::{Held, Movable};
use crate::mending::Mending;

impl Instance {
    /// Whether it left the requests to other instances until the queue was closed, as its device is lost.
    pub(super) fn stands_aside(&self) -> bool {
        let aside = self.plan.stands_aside.as_ref().is_some_and(StandsAside::now);
        if aside {
            let InstanceSpec { name, config, .. } = &self.plan.spec;
            error!(
                model = config.name,
                instance = name,
                "its device is lost: other instances take the requests"
            );
        }
        aside && self.batcher.stand_aside()
    }

    /// Has the instance call this thread when it is lost while nobody asks it, and another one if this never returns.
    pub(super) fn watch(&self, held: &mut Held) {
        match held {
            Held::Bound(Some(bound)) => bound.when_lost(self.loss_calls()),
            Held::Movable(Movable::Own(Some(own))) => own.when_lost(self.loss_calls()),
            // What is shared is not asked.
            Held::Bound(None) | Held::Movable(_) => {}
        }
    }

    fn loss_calls(&self) -> LossCalls {
        let (batcher, index) = (Arc::downgrade(&self.batcher), self.plan.spec.index);
        let called = Weak::clone(&batcher);
        let lost = move || {
            if let Some(batcher) = called.upgrade() {
                batcher.call(index);
            }
        };
        let (model, handover) = (Arc::downgrade(&self.model), Arc::downgrade(&self.handover));
        let (plan, peers, turn) = (Arc::clone(&self.plan), Arc::clone(&self.peers), Arc::clone(&self.turn));
        let stuck = move |error: Error| {
            // Its thread has these, if it executes.
            let shared = (batcher.upgrade(), model.upgrade(), handover.upgrade());
            let (Some(batcher), Some(model), Some(handover)) = shared else { return false };
            let Some(turn) = turn.leave(error) else { return false };
            let (plan, peers, turn) = (Arc::clone(&plan), Arc::clone(&peers), Arc::new(turn));
            Instance { plan, model, batcher, handover, inline: None, peers, turn }.goes_on();
            true
        };
        LossCalls { lost: Arc::new(lost), stuck: Arc::new(stuck) }
    }

    /// Goes on in the place of a thread that was left alone.
    fn goes_on(self) {
        let InstanceSpec { name, config, index, .. } = &self.plan.spec;
        error!(model = config.name, instance = name, "an execution never returns: its thread is left alone");
        self.batcher.instance_lost(*index);
        if let Some(limited) = &self.plan.limited {
            limited.take_back();
        }
        without_thread::go_on(self);
    }

    /// Sees to it that the instance is there, and drops one that is lost.
    pub(super) fn recover<I: ModelInstance + ?Sized>(
        &self,
        instance: &mut Option<Box<I>>,
        make: impl FnOnce() -> Result<Box<I>>,
        mending: &mut Mending<'_>,
    ) -> Result<()> {
        if let Some(live) = instance {
            let Some(error) = live.lost() else { return Ok(()) };
            let InstanceSpec { name, config, index, .. } = &self.plan.spec;
            error!(model = config.name, instance = name, "the instance is made anew: {}", error.message());
            *instance = None;
            self.batcher.instance_lost(*index);
            mending.lost(|| error);
        }
        instance.insert(mending.attempt(make)?).when_lost(self.loss_calls());
        Ok(())
    }

    /// Makes a lost instance anew before it takes requests that others could execute. Returns whether no more requests are
    /// accepted and those others execute the rest.
    pub(super) fn mend(&self, held: &mut Held, mending: &mut Mending<'_>) -> bool {
        loop {
            let recovered = match held {
                Held::Bound(bound) => self.recover(bound, || self.make().map(NewInstance::into_box), mending),
                Held::Movable(Movable::Own(own)) => self.recover(own, || self.make_movable(), mending),
                Held::Movable(Movable::Shared(_)) => return false,
            };
            match (recovered, mending.stands_aside()) {
                (Err(_), Some(pause)) if self.batcher.leaves_to_others() => {
                    if self.batcher.stand_aside_for(pause) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
    }

    pub(super) fn make(&self) -> Result<NewInstance> {
        catch_unwind(AssertUnwindSafe(|| self.model.new_instance(&self.plan.spec)))
            .unwrap_or_else(|panic| Err(panicked(&self.plan.spec, &*panic)))
    }

    pub(super) fn make_movable(&self) -> Result<MovableInstance> {
        match self.make()? {
            NewInstance::Movable(instance) => Ok(instance),
            NewInstance::Bound(_) => Err(stays(&self.plan.spec.name)),
        }
    }
}
