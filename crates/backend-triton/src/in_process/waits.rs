//! Models that wait for one another. A Python model executes one batch at a time in each instance, and a call that it makes meanwhile
//! is waited for. With one instance such calls make a chain, and one that leads back to where it began would be waited for by
//! all of them for ever. So the call that would close it is refused.
//!
//! Models with several instances are in no chain: which of them has made a call is not known.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;

/// A version of a model.
type Model = (Box<str>, u64);

/// Which versions wait for which, and how often.
static WAITS: Mutex<BTreeMap<Model, BTreeMap<Model, usize>>> = Mutex::new(BTreeMap::new());

/// A model that makes calls.
#[derive(Debug)]
pub(crate) struct Caller {
    model: Model,
    /// Its instances that wait for the calls which are made in an execution.
    instances: AtomicUsize,
    /// How many of them execute.
    executing: AtomicUsize,
    /// Whether it takes batches, once its config is finished.
    batches: OnceLock<bool>,
}

/// A call that its model waits for, until this is dropped.
#[derive(Debug)]
pub(super) struct Wait {
    from: Model,
    to: Model,
}

impl Caller {
    pub(crate) fn new(name: &str, version: u64) -> Caller {
        let model = (name.into(), version);
        let (instances, executing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Caller { model, instances, executing, batches: OnceLock::new() }
    }

    /// Its config is finished, and says whether it takes batches.
    pub(crate) fn set_batches(&self, batches: bool) {
        // All instances say the same.
        let _ = self.batches.set(batches);
    }

    /// Whether it takes batches, if that is the version. Clients may not find it yet, or not any more.
    pub(super) fn batches(&self, model: &str, version: Option<u64>) -> Option<bool> {
        let is_own = *self.model.0 == *model && version == Some(self.model.1);
        self.batches.get().copied().filter(|_| is_own)
    }

    /// There is an instance more that waits for what it calls.
    pub(crate) fn begin_instance(&self) {
        self.instances.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn end_instance(&self) {
        self.instances.fetch_sub(1, Ordering::AcqRel);
    }

    /// One of them executes, until [`Caller::end_execution`].
    pub(crate) fn begin_execution(&self) {
        self.executing.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn end_execution(&self) {
        self.executing.fetch_sub(1, Ordering::AcqRel);
    }

    /// One of them executes, and never returns: nobody waits for what it calls, and its successor may be the only instance.
    pub(crate) fn give_up(&self) {
        self.end_execution();
        self.end_instance();
    }

    /// A call of a version of a model, if that is waited for.
    ///
    /// # Errors
    /// The model, or one that it waits for, waits for the caller.
    pub(super) fn call(&self, model: &str, version: u64) -> Result<Option<Wait>> {
        let is_waited_for =
            self.instances.load(Ordering::Acquire) == 1 && self.executing.load(Ordering::Acquire) == 1;
        if !is_waited_for {
            return Ok(None);
        }
        let to: Model = (model.into(), version);
        let mut waits = WAITS.lock();
        if leads_to(&waits, &to, &self.model) {
            let caller = &self.model.0;
            return Err(Error::unavailable(format!(
                "model '{caller}' calls '{model}', which waits for the only instance of '{caller}': both would wait for ever; give \
                 '{caller}' one instance more than its calls are nested"
            )));
        }
        *waits.entry(self.model.clone()).or_default().entry(to.clone()).or_default() += 1;
        Ok(Some(Wait { from: self.model.clone(), to }))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        let Some(of) = waits.get_mut(&self.from) else { return };
        if let Some(count) = of.get_mut(&self.to) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.to);
            }
        }
        if of.is_empty() {
            waits.remove(&self.from);
        }
    }
}

/// Whether what `begin` waits for is `end` in the end. There is no circle so far.
fn leads_to(waits: &BTreeMap<Model, BTreeMap<Model, usize>>, begin: &Model, end: &Model) -> bool {
    let mut open = vec![begin];
    while let Some(model) = open.pop() {
        if model == end {
            return true;
        }
        open.extend(waits.get(model).into_iter().flat_map(BTreeMap::keys));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executing<T>(caller: &Caller, execute: impl FnOnce() -> T) -> T {
        caller.begin_execution();
        let result = execute();
        caller.end_execution();
        result
    }

    fn caller(name: &str, instances: usize) -> Caller {
        let caller = Caller::new(name, 1);
        (0..instances).for_each(|_| caller.begin_instance());
        caller
    }

    #[test]
    fn a_call_that_closes_a_circle_is_refused_and_no_other() {
        let (a, b, c) = (caller("waits_a", 1), caller("waits_b", 1), caller("waits_c", 1));
        assert!(a.call("waits_a", 1).unwrap().is_none(), "it does not execute");
        executing(&a, || {
            let error = a.call("waits_a", 1).unwrap_err();
            assert!(
                error.message().starts_with("model 'waits_a' calls 'waits_a', which waits for"),
                "{error}"
            );
            assert!(a.call("waits_a", 2).unwrap().is_some(), "another version has an instance of its own");
            let to_b = [a.call("waits_b", 1).unwrap(), a.call("waits_b", 1).unwrap()];
            executing(&b, || {
                let to_c = b.call("waits_c", 1).unwrap();
                executing(&c, || {
                    assert!(c.call("waits_d", 1).unwrap().is_some());
                    assert!(c.call("waits_a", 1).is_err());
                    drop(to_c);
                    assert!(c.call("waits_a", 1).unwrap().is_some(), "nobody waits for it now");
                });
                assert!(b.call("waits_a", 1).is_err());
                let [first, second] = to_b;
                drop(first);
                assert!(b.call("waits_a", 1).is_err(), "the other call still runs");
                drop(second);
                assert!(b.call("waits_a", 1).is_ok());
            });
        });
        assert!(WAITS.lock().keys().all(|(name, _)| !name.starts_with("waits_")), "nothing is left");
    }

    #[test]
    fn models_with_several_instances_are_in_no_circle() {
        let several = caller("waits_several", 2);
        executing(&several, || assert!(several.call("waits_several", 1).unwrap().is_none()));
        several.end_instance();
        executing(&several, || assert!(several.call("waits_several", 1).is_err()));
    }

    #[test]
    fn an_execution_that_never_returns_hides_no_circle() {
        let stuck = caller("waits_stuck", 1);
        stuck.begin_execution();
        stuck.give_up();
        // Its successor.
        stuck.begin_instance();
        executing(&stuck, || assert!(stuck.call("waits_stuck", 1).is_err()));
    }
}
