//! Which instances wait for which: for the instance that executes their call, or for one that is free to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::path::{Place, Step};

/// The versions whose instances wait for what they call, and their calls. `W` is the way back of a call.
#[derive(Debug)]
pub(super) struct Graph<W> {
    /// The last number of a version, an instance or a call.
    last: u64,
    versions: BTreeMap<u64, Version>,
    /// How a version is found whose config is there.
    places: BTreeMap<Place, u64>,
    calls: BTreeMap<u64, Call<W>>,
}

#[derive(Debug)]
struct Version {
    /// Another model's config may lie where one of this version was.
    name: Arc<str>,
    instances: BTreeMap<u64, Arc<Instance>>,
    /// How many were lost, and will be made anew.
    missing: usize,
    places: Vec<Place>,
}

/// An instance that waits for its calls.
#[derive(Debug)]
pub(super) struct Instance {
    number: u64,
    version: u64,
    /// How many executions have begun and ended: one runs if the number is odd.
    executions: AtomicU64,
}

/// An execution of an instance, which may be over.
#[derive(Clone, Debug)]
struct Execution {
    by: Arc<Instance>,
    number: u64,
}

#[derive(Debug)]
struct Call<W> {
    from: Execution,
    parts: Vec<Part>,
    way: W,
    /// It was queued, and was not refused: before that it is not waited for.
    is_checked: bool,
}

/// What a version does for a call: all, or a step of an ensemble.
#[derive(Debug)]
struct Part {
    step: Step,
    version: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its request is still to be queued.
    Expected,
    /// The request of that number waits for an instance.
    Queued(u64),
    /// That request is executed. If its response has to come behind those of other executions, these are the others.
    Executed(u64, Execution, Vec<Execution>),
}

/// Why a call would never be answered: by which model, and why it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) model: Arc<str>,
    pub(super) reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// All of its instances wait, so many.
    Instances(usize),
    /// The instance that executes it.
    Executed,
    /// Its response has to come behind one that waits for it.
    Ordered,
}

impl Instance {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn begin(&self) {
        self.executions.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end(&self) {
        self.executions.fetch_add(1, Ordering::AcqRel);
    }

    /// The execution that runs.
    fn execution(self: &Arc<Self>) -> Option<Execution> {
        let number = self.executions.load(Ordering::Acquire);
        (number % 2 == 1).then(|| Execution { by: Arc::clone(self), number })
    }
}

impl Execution {
    fn runs(&self) -> bool {
        self.by.executions.load(Ordering::Acquire) == self.number
    }

    /// Whether it runs, and its instance is one of these.
    fn is_of(&self, instances: &BTreeSet<u64>) -> bool {
        instances.contains(&self.by.number) && self.runs()
    }
}

impl State {
    fn is_of(&self, request: u64) -> bool {
        matches!(self, State::Queued(own) | State::Executed(own, ..) if *own == request)
    }
}

impl<W> Graph<W> {
    pub(super) const fn new() -> Graph<W> {
        Graph { last: 0, versions: BTreeMap::new(), places: BTreeMap::new(), calls: BTreeMap::new() }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn add_version(&mut self, name: &Arc<str>) -> u64 {
        let number = self.number();
        let version =
            Version { name: Arc::clone(name), instances: BTreeMap::new(), missing: 0, places: Vec::new() };
        self.versions.insert(number, version);
        number
    }

    /// The version is what serves with the config at that place, or is to.
    pub(super) fn is_found_at(&mut self, place: Place, number: u64) {
        let Some(version) = self.versions.get_mut(&number) else { return };
        if !version.places.contains(&place) {
            version.places.push(place);
        }
        self.places.insert(place, number);
    }

    pub(super) fn remove_version(&mut self, number: u64) {
        let Some(version) = self.versions.remove(&number) else { return };
        for place in version.places {
            if self.places.get(&place) == Some(&number) {
                self.places.remove(&place);
            }
        }
    }

    /// An instance more.
    pub(super) fn add_instance(&mut self, version: u64) -> Arc<Instance> {
        let number = self.number();
        let instance = Arc::new(Instance { number, version, executions: AtomicU64::new(0) });
        if let Some(version) = self.versions.get_mut(&version) {
            version.instances.insert(number, Arc::clone(&instance));
        }
        instance
    }

    /// Removes an instance, and the calls that can never be answered without it: those of others that wait for one another now.
    pub(super) fn remove_instance(&mut self, instance: &Instance, is_lost: bool) -> Vec<(W, Stuck)> {
        let mut removed = Vec::new();
        let Some(version) = self.versions.get_mut(&instance.version) else { return removed };
        if version.instances.remove(&instance.number).is_none() {
            return removed;
        }
        if is_lost {
            version.missing += 1;
        }
        while let Some((call, stuck)) =
            self.calls.keys().rev().find_map(|call| Some((*call, self.stuck(*call)?)))
        {
            removed.extend(self.calls.remove(&call).map(|call| (call.way, stuck)));
        }
        removed
    }

    /// An instance was initialized. If one was lost, this takes its place.
    pub(super) fn is_ready(&mut self, instance: &Instance) {
        if let Some(version) = self.versions.get_mut(&instance.version) {
            version.missing = version.missing.saturating_sub(1);
        }
    }

    /// An instance that was removed as lost is there again.
    pub(super) fn return_instance(&mut self, instance: &Arc<Instance>) {
        if let Some(version) = self.versions.get_mut(&instance.version) {
            version.missing = version.missing.saturating_sub(1);
            version.instances.insert(instance.number, Arc::clone(instance));
        }
    }

    /// The instance of a version that makes a call. Its number is asked for if there are several.
    pub(super) fn caller(&self, version: u64, number: impl FnOnce() -> Option<u64>) -> Option<Arc<Instance>> {
        let Version { instances, missing, .. } = self.versions.get(&version)?;
        let mut all = instances.values();
        let instance = match (all.next(), all.next()) {
            (Some(only), None) if *missing == 0 => Some(only),
            _ => instances.get(&number()?),
        };
        instance.map(Arc::clone)
    }

    /// Whether instances of any of these versions wait for what they call.
    pub(super) fn knows_any(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| self.version_of(step).is_some())
    }

    fn version_of(&self, step: &Step) -> Option<u64> {
        let number = *self.places.get(&step.place)?;
        self.versions.get(&number).filter(|version| version.name == step.name).map(|_| number)
    }

    /// Adds a call, if its instance executes.
    pub(super) fn add_call(&mut self, from: &Arc<Instance>, steps: &[Step], way: W) -> Option<u64> {
        let from = from.execution()?;
        let part = |step: &Step| {
            let version = self.version_of(step)?;
            Some(Part { step: step.clone(), version, state: State::Expected })
        };
        let parts = steps.iter().filter_map(part).collect();
        let number = self.number();
        self.calls.insert(number, Call { from, parts, way, is_checked: false });
        Some(number)
    }

    pub(super) fn remove_call(&mut self, call: u64) {
        self.calls.remove(&call);
    }

    /// A request of a call was queued.
    pub(super) fn is_queued(&mut self, call: u64, request: u64, model: (&str, u64)) {
        let Some(Call { parts, .. }) = self.calls.get_mut(&call) else { return };
        let mut of_model = parts.iter().filter(|part| part.step.is_of(model));
        let Some((step, version)) = of_model.next().map(|part| (part.step.clone(), part.version)) else {
            return;
        };
        // It may be queued again, and there may be more than one for a step.
        let own = parts.iter().position(|part| part.state.is_of(request));
        let expected =
            || parts.iter().position(|part| part.step.is_of(model) && matches!(part.state, State::Expected));
        let place = own.or_else(expected).and_then(|place| parts.get_mut(place));
        match place {
            Some(part) => part.state = State::Queued(request),
            None => parts.push(Part { step, version, state: State::Queued(request) }),
        }
    }

    /// Whether a request of a call waits for an instance.
    pub(super) fn has_queued(&self, call: u64, request: u64) -> bool {
        self.calls.get(&call).is_some_and(|call| call.parts.iter().any(|part| part.state.is_of(request)))
    }

    /// Requests are executed by an instance.
    pub(super) fn are_executed(&mut self, requests: &[(u64, u64)], by: &Arc<Instance>) {
        let Some(execution) = by.execution() else { return };
        for (call, request) in requests {
            let Some(Call { parts, .. }) = self.calls.get_mut(call) else { continue };
            let Some(part) = parts.iter_mut().find(|part| part.state.is_of(*request)) else { continue };
            let others = self.versions.get(&part.version).filter(|_| part.step.is_ordered);
            let others = others.into_iter().flat_map(|version| version.instances.values());
            let before = others.filter(|other| other.number != by.number).filter_map(Instance::execution);
            part.state = State::Executed(*request, execution.clone(), before.collect());
        }
    }

    /// A request of a call was answered.
    pub(super) fn is_ended(&mut self, call: u64, request: u64, model: (&str, u64)) {
        let Some(Call { parts, .. }) = self.calls.get_mut(&call) else { return };
        let of_request = parts.iter().position(|part| part.state.is_of(request));
        // It was never queued.
        let expected =
            || parts.iter().position(|part| part.step.is_of(model) && matches!(part.state, State::Expected));
        if let Some(part) = of_request.or_else(expected) {
            parts.swap_remove(part);
        }
    }

    /// Whether a call would never be answered. Then it is removed. Of several that are made at once the last one is that which closes a circle.
    pub(super) fn closes_a_circle(&mut self, call: u64) -> Option<Stuck> {
        self.calls.get_mut(&call)?.is_checked = true;
        let stuck = self.stuck(call)?;
        self.calls.remove(&call).map(|_| stuck)
    }

    fn stuck(&self, number: u64) -> Option<Stuck> {
        let Call { from, parts, .. } = self.calls.get(&number)?;
        let blocked = |ordered| {
            let waiting = self.waiting(ordered);
            let mut parts = parts.iter().filter(|_| from.is_of(&waiting));
            parts.find(|part| self.is_blocked(part, ordered, &waiting))
        };
        let reason = |part: &Part| match part.state {
            State::Executed(..) => Reason::Executed,
            _ => Reason::Instances(
                self.versions.get(&part.version).map_or(0, |version| version.instances.len()),
            ),
        };
        let (part, reason) = blocked(false)
            .map(|part| (part, reason(part)))
            .or_else(|| Some((blocked(true)?, Reason::Ordered)))?;
        Some(Stuck { model: Arc::clone(&part.step.name), reason })
    }

    /// The instances that wait for one another: the largest set of those each of which has made a call that none but one of them could
    /// answer. `ordered` says whether the order of responses counts.
    fn waiting(&self, ordered: bool) -> BTreeSet<u64> {
        let calls: Vec<&Call<W>> =
            self.calls.values().filter(|call| call.is_checked && call.from.runs()).collect();
        let mut waiting: BTreeSet<u64> = calls.iter().map(|call| call.from.by.number).collect();
        loop {
            let is_blocked =
                |call: &&&Call<W>| call.parts.iter().any(|part| self.is_blocked(part, ordered, &waiting));
            let numbers = calls.iter().filter(is_blocked).map(|call| call.from.by.number);
            let still: BTreeSet<u64> = numbers.filter(|number| waiting.contains(number)).collect();
            if still.len() == waiting.len() {
                return waiting;
            }
            waiting = still;
        }
    }

    /// Whether a part of a call is not answered, as these instances wait.
    fn is_blocked(&self, part: &Part, ordered: bool, waiting: &BTreeSet<u64>) -> bool {
        let is_ordered = ordered && part.step.is_ordered;
        if let State::Executed(_, execution, before) = &part.state {
            return execution.is_of(waiting) || is_ordered && before.iter().any(|other| other.is_of(waiting));
        }
        let Some(Version { instances, missing, .. }) = self.versions.get(&part.version) else { return false };
        let mut all = instances.keys().map(|number| waiting.contains(number));
        if is_ordered {
            return all.any(|waits| waits);
        }
        *missing == 0 && !instances.is_empty() && all.all(|waits| waits)
    }
}
