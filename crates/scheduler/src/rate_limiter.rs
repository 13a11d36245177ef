//! The rate limiter: instances of all models share named resources, and an instance executes only while it holds those
//! that it needs.
//!
//! There is one rate limiter for the server, if it is switched on. Instances that need no resources do not use it.

mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::Result;
use parking_lot::{Condvar, Mutex, MutexGuard};

use resources::{Needs, Resources};
pub use resources::{ResourceCount, ResourceDemand};

/// Decides which instance executes next where resources do not suffice for all.
#[derive(Debug)]
pub struct RateLimiter(Mutex<State>);

#[derive(Debug)]
struct State {
    resources: Resources,
    /// The instances that need resources, by their registration number.
    instances: BTreeMap<u64, Limited>,
    /// Numbers of the instances that wait for resources, in order of arrival.
    waiting: Vec<u64>,
    numbers: u64,
    /// The highest weighted number of turns of any instance that was granted resources; a newly waiting instance starts
    /// from here.
    turns: u64,
}

#[derive(Debug)]
struct Limited {
    needs: Needs,
    /// The cost of a turn: a higher value means fewer turns.
    priority: u64,
    /// The total cost of its turns so far.
    turns: u64,
    may_execute: bool,
    turn: Arc<Condvar>,
}

/// The resources that an instance needs, and its priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub resources: Vec<ResourceDemand>,
    /// An instance of priority 2 gets half as many turns as one of priority 1, while both have something to execute. 0 means 1.
    pub priority: u32,
    /// The device whose resources it uses. Instances on the CPU use those of device 0.
    pub device: i32,
}

impl RateLimiter {
    /// Makes a rate limiter with the resource counts of the command line. If it gives any, no other resources exist;
    /// otherwise there are as many copies of each resource as the most demanding instance needs.
    pub fn new(explicit: Vec<ResourceCount>) -> Arc<RateLimiter> {
        Arc::new(RateLimiter(Mutex::new(State {
            resources: Resources::new(explicit),
            instances: BTreeMap::new(),
            waiting: Vec::new(),
            numbers: 0,
            turns: 0,
        })))
    }

    /// Registers all instances of a model, or none on an error. `None` for an instance without resources. Fails with
    /// `INVALID_ARG` if an instance could never execute.
    pub fn register(self: &Arc<Self>, demands: &[Demand]) -> Result<Vec<Option<RateLimited>>> {
        let mut state = self.0.lock();
        let all: Vec<Needs> =
            demands.iter().map(|demand| Needs::new(&demand.resources, demand.device)).collect();
        let State { resources, instances, .. } = &mut *state;
        resources.provide(instances.values().map(|instance| &instance.needs).chain(&all))?;
        let registered = demands.iter().zip(all).map(|(demand, needs)| {
            if needs.is_empty() {
                return None;
            }
            let number = state.numbers;
            state.numbers += 1;
            let turn = Arc::new(Condvar::new());
            let limited = Limited {
                needs,
                priority: u64::from(demand.priority.max(1)),
                turns: 0,
                may_execute: false,
                turn: Arc::clone(&turn),
            };
            state.instances.insert(number, limited);
            Some(RateLimited { limiter: Arc::clone(self), number, turn })
        });
        Ok(registered.collect())
    }
}

impl State {
    /// Adds an instance to the waiting ones. It does not catch up on turns that it did not take while it was idle:
    /// otherwise a newly loaded model would keep all others from executing.
    fn join(&mut self, number: u64) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.turns = instance.turns.max(self.turns);
        }
        self.waiting.push(number);
        self.allocate();
    }

    /// Releases the resources of an instance, and counts a turn if it executed.
    fn take_back(&mut self, number: u64, executed: bool) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.may_execute = false;
            instance.turns = instance.turns.saturating_add(if executed { instance.priority } else { 0 });
            self.resources.give_back(&instance.needs);
        }
    }

    /// Grants resources to waiting instances, the one with the fewest weighted turns first. If its resources are not
    /// free, the others wait too, so that an instance which needs many is not starved.
    fn allocate(&mut self) {
        while let Some(next) = self.next() {
            let number = self.waiting[next];
            let Some(instance) = self.instances.get_mut(&number) else { break };
            if !self.resources.take(&instance.needs) {
                break;
            }
            instance.may_execute = true;
            self.turns = self.turns.max(instance.turns);
            instance.turn.notify_one();
            self.waiting.remove(next);
        }
    }

    /// The index in `waiting` of the instance that is served next.
    fn next(&self) -> Option<usize> {
        let turns = |number| self.instances.get(number).map_or(0, |instance| instance.turns);
        // `min_by_key` gives the first of several equal instances.
        (0..self.waiting.len()).min_by_key(|&index| turns(&self.waiting[index]))
    }

    fn may_execute(&self, number: u64) -> bool {
        self.instances.get(&number).is_none_or(|instance| instance.may_execute)
    }
}

/// The registration of an instance with the rate limiter. Dropped when the instance ends.
#[derive(Debug)]
pub struct RateLimited {
    limiter: Arc<RateLimiter>,
    number: u64,
    turn: Arc<Condvar>,
}

impl RateLimited {
    /// Waits until the instance has its resources. `waits` is called first if it has to wait.
    pub(crate) fn acquire(&self, waits: impl FnOnce()) -> Permit<'_> {
        let mut state = self.limiter.0.lock();
        state.join(self.number);
        if !state.may_execute(self.number) {
            MutexGuard::unlocked(&mut state, waits);
        }
        self.await_turn(state);
        Permit { limited: self, executed: false }
    }

    /// Takes back the resources of an execution that never returns. Its permit must not be dropped.
    pub(crate) fn take_back(&self) {
        let mut state = self.limiter.0.lock();
        state.take_back(self.number, true);
        state.allocate();
    }

    fn await_turn(&self, mut state: MutexGuard<'_, State>) {
        while !state.may_execute(self.number) {
            self.turn.wait(&mut state);
        }
    }
}

impl Drop for RateLimited {
    fn drop(&mut self) {
        let mut state = self.limiter.0.lock();
        state.instances.remove(&self.number);
        let State { resources, instances, .. } = &mut *state;
        let provided = resources.provide(instances.values().map(|instance| &instance.needs));
        debug_assert!(provided.is_ok(), "fewer instances never need more");
        state.allocate();
    }
}

/// The resources of one execution. They are released when the permit is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limited: &'a RateLimited,
    executed: bool,
}

impl Permit<'_> {
    /// Marks the permit as used, which counts as a turn when it is released.
    pub(crate) fn executes(&mut self) {
        self.executed = true;
    }

    /// Releases the resources and waits for them again, in competition with the instances that already wait.
    pub(crate) fn renew(&mut self) {
        let RateLimited { limiter, number, .. } = self.limited;
        let mut state = limiter.0.lock();
        state.take_back(*number, std::mem::take(&mut self.executed));
        state.waiting.push(*number);
        state.allocate();
        self.limited.await_turn(state);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limited.limiter.0.lock();
        state.take_back(self.limited.number, self.executed);
        state.allocate();
    }
}

#[cfg(test)]
mod tests;
