//! The rate limiter: instances of all models share named resources, and execute only while they hold theirs.
//!
//! One for the whole server, made only if it is asked for. An instance without resources never comes here.

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
    /// The instances that need resources, by a number of their own.
    instances: BTreeMap<u64, Limited>,
    /// Instances with a batch to execute, in the order in which they came.
    waiting: Vec<u64>,
    numbers: u64,
    /// How far those have come that execute: the turns, weighted with its priority, of the last that was let through.
    turns: u64,
}

#[derive(Debug)]
struct Limited {
    needs: Needs,
    /// What a turn costs.
    priority: u64,
    /// What its turns have cost so far.
    turns: u64,
    may_execute: bool,
    turn: Arc<Condvar>,
}

/// What an instance says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub resources: Vec<ResourceDemand>,
    /// An instance of priority 2 gets half as many turns as one of priority 1, while both have something to execute. 0 means 1.
    pub priority: u32,
    /// Whose resources it uses. Instances on the CPU use those of device 0.
    pub device: i32,
}

impl RateLimiter {
    /// With the numbers of resources that the command line gives. If it gives any, nothing else is there; otherwise
    /// there is as much of everything as the instance needs that needs most of it.
    pub fn new(explicit: Vec<ResourceCount>) -> Arc<RateLimiter> {
        Arc::new(RateLimiter(Mutex::new(State {
            resources: Resources::new(explicit),
            instances: BTreeMap::new(),
            waiting: Vec::new(),
            numbers: 0,
            turns: 0,
        })))
    }

    /// Registers the instances of a model, all or none of them. `None` for those that need nothing.
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
    /// An instance that did nothing for a while has something to execute. It has no claim to the turns that it did not
    /// take: otherwise a model that was just loaded would keep all others out until it caught up.
    fn join(&mut self, number: u64) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.turns = instance.turns.max(self.turns);
        }
        self.waiting.push(number);
        self.allocate();
    }

    /// Takes back what an instance executed with, if it did.
    fn take_back(&mut self, number: u64, executed: bool) {
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.may_execute = false;
            instance.turns = instance.turns.saturating_add(if executed { instance.priority } else { 0 });
            self.resources.give_back(&instance.needs);
        }
    }

    /// Gives resources to those that wait, in their order: whoever executed least, weighted with its priority, comes
    /// first. The others wait until its resources are there, so that one which needs many is not passed over for ever.
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

    /// Who of those that wait is next.
    fn next(&self) -> Option<usize> {
        let turns = |number| self.instances.get(number).map_or(0, |instance| instance.turns);
        // The first of several equal ones.
        (0..self.waiting.len()).min_by_key(|&index| turns(&self.waiting[index]))
    }

    fn may_execute(&self, number: u64) -> bool {
        self.instances.get(&number).is_none_or(|instance| instance.may_execute)
    }
}

/// An instance's hold on the rate limiter. Dropped when the instance ends.
#[derive(Debug)]
pub struct RateLimited {
    limiter: Arc<RateLimiter>,
    number: u64,
    turn: Arc<Condvar>,
}

impl RateLimited {
    /// Waits until the instance may execute. `waits` is called before, if that is not at once.
    pub(crate) fn acquire(&self, waits: impl FnOnce()) -> Permit<'_> {
        let mut state = self.limiter.0.lock();
        state.join(self.number);
        if !state.may_execute(self.number) {
            MutexGuard::unlocked(&mut state, waits);
        }
        self.await_turn(state);
        Permit { limited: self, executed: false }
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

/// The resources of one execution. They are given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limited: &'a RateLimited,
    executed: bool,
}

impl Permit<'_> {
    /// It is made use of, which counts as a turn.
    pub(crate) fn executes(&mut self) {
        self.executed = true;
    }

    /// Gives the resources back and waits for them anew, among those that wait already.
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
