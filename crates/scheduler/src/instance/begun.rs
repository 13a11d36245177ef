//! Batches that an instance has begun and goes on with: the next one begins behind them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use hippocamp_backend::{Batch, Finish, InstanceSpec, ModelInstance, NewInstance};

use super::{Instance, fail, panicked};
use crate::StandsAside;
use crate::mending::Mending;

impl Instance {
    /// Has an instance that has begun a batch begin the next one behind it, or finish if there is none. False if the thread was left
    /// alone meanwhile.
    pub(super) fn go_on(
        &self,
        bound: &mut Option<Box<dyn ModelInstance>>,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> bool {
        let is_lost = self.plan.stands_aside.as_ref().is_some_and(StandsAside::now);
        if !is_lost && self.batcher.pull_behind(batch) {
            return self.begin_on(bound, mending, batch);
        }
        self.call(bound, batch, |instance, _| instance.finish())
    }

    /// Has an instance begin a batch. False if the thread was left alone meanwhile.
    pub(super) fn begin_on(
        &self,
        bound: &mut Option<Box<dyn ModelInstance>>,
        mending: &mut Mending<'_>,
        batch: &mut Batch,
    ) -> bool {
        match self.recover(bound, || self.make().map(NewInstance::into_box), mending) {
            Ok(()) if !self.call(bound, batch, ModelInstance::begin) => return false,
            Ok(()) => {}
            Err(error) => fail(batch, &error),
        }
        self.batcher.executed(batch);
        true
    }

    /// Makes a call of the instance that may leave requests which it has begun.
    fn call(
        &self,
        bound: &mut Option<Box<dyn ModelInstance>>,
        batch: &mut Batch,
        call: impl FnOnce(&mut (dyn ModelInstance + 'static), &mut Batch),
    ) -> bool {
        let lost = || self.batcher.instance_lost(self.plan.spec.index);
        self.turn.begins();
        execute_by(&self.plan.spec, bound, batch, call, lost);
        self.turn.ends();
        let stays = !self.turn.is_left_alone();
        if !stays {
            // Whatever is left of it was answered.
            batch.clear();
        }
        stays
    }
}

/// As [`execute`](super::execute), by a call of the instance that may leave requests which it has begun.
pub(super) fn execute_by<I: ModelInstance + ?Sized>(
    spec: &InstanceSpec,
    instance: &mut Option<Box<I>>,
    batch: &mut Batch,
    call: impl FnOnce(&mut I, &mut Batch),
    lost: impl FnOnce(),
) -> Option<Instant> {
    let live = instance.as_mut()?;
    let began = Instant::now();
    batch.start(began, spec.device.gpu());
    let executed = catch_unwind(AssertUnwindSafe(|| call(live, batch)));
    if executed.is_err() {
        // The instance may hold the unfinished batch, for which `wait` would block.
        *instance = None;
    }
    let error = match (batch.wait(), executed) {
        (Finish::Complete, Ok(())) => return Some(began),
        (_, Err(panic)) => panicked(spec, &*panic),
        (Finish::Panicked, Ok(())) => panicked(spec, &"while it finished a batch"),
    };
    *instance = None;
    lost();
    fail(batch, &error);
    Some(began)
}
