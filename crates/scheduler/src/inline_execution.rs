//! Inline execution: a request is executed by the thread that accepted it, on an idle instance.
//!
//! A handoff to an instance's thread and back costs two wake-ups, more than the execution of a small model. A request
//! that finds an idle instance and an empty queue is therefore executed by the accepting thread, if executions are
//! short: that thread has other connections to serve. All other requests go through the queue.
//!
//! Where several threads accept requests of one model, a request may find every instance taken. Its thread waits for
//! about one execution, and then leaves the request in the queue without waking anybody: whoever holds an instance
//! looks into the queue when it is done, and executes what waits there (flat combining). It does so for one
//! [budget](Budget) only, as it has connections of its own; what is left then is for the instance's own thread.
//! Models whose instances keep nothing have [one for each such thread](extra_instances) instead.
//!
//! **No request is forgotten.** A thread that queues a request without waking an instance then executes a fence and
//! tries every lock (`execute`). A thread that releases a lock then executes a fence and looks into the queue
//! (`serve`). Of two fences one is the first. If it is that of the queueing thread, the other one sees the request.
//! If it is that of the releasing thread, the queueing thread sees the lock released: it takes it, or finds that a
//! third thread has, and that one's fence when it releases the lock is yet to come. An instance's own thread tries its
//! lock under the lock of the queue and goes to sleep without releasing that in between (`Queue::pull_with`), so a
//! thread that releases the instance afterwards finds it asleep, and wakes it if there is anything left to do.

mod extra_instances;
mod latency;
#[cfg(test)]
mod protocol;
mod run_delay;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_backend::{Batch, InstanceSpec, Model, MovableInstance, Request, wake_together};
use hippocamp_per_thread::thread_number;
use parking_lot::{Mutex, MutexGuard};

use extra_instances::ExtraInstances;
pub(crate) use latency::{LatencyEstimates, Size};

use crate::instance::execute;
use crate::queue::{Next, Queue};

/// How long a thread waits at most for an instance that others hold.
const MAX_SPIN: Duration = Duration::from_micros(10);

/// How many requests of others a thread executes at most before it returns to its own connections.
const BUDGET_REQUESTS: usize = 16;

/// And for about how long.
const BUDGET_TIME: Duration = Duration::from_micros(50);

/// The instances of a model that execute inline, and what is known of the model.
#[derive(Debug, Default)]
pub(crate) struct InlineExecution {
    instances: Vec<Arc<InlineInstance>>,
    /// `None` if no instance executes inline.
    extra: Option<ExtraInstances>,
    latencies: Arc<LatencyEstimates>,
}

/// An instance that its own thread shares with threads that accept requests. Alone on its cache lines: every execution
/// writes to them.
#[repr(align(128))]
pub(crate) struct InlineInstance {
    /// Empty until the instance is created, and after a panic until it is recreated.
    instance: Mutex<Option<MovableInstance>>,
    /// The number of requests that bypassed the queue. It is written under the lock.
    passed: AtomicU64,
    spec: InstanceSpec,
    pub(crate) latencies: Arc<LatencyEstimates>,
}

/// An instance while a thread holds it.
pub(crate) type Taken<'a> = MutexGuard<'a, Option<MovableInstance>>;

/// Why the execution of waiting requests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// No request waited.
    Empty,
    /// The rest is for the instance's own thread: the next request takes long, the thread has done its part, or the
    /// instance panicked.
    Rest,
}

/// What a thread may still do for the requests of others.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    until: Instant,
}

impl Budget {
    pub(crate) fn starting_at(now: Instant) -> Budget {
        Budget { left: BUDGET_REQUESTS, until: now + BUDGET_TIME }
    }

    /// Counts an execution that ended now. False if it was the last.
    fn is_left_after(&mut self, now: Instant) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0 && now < self.until
    }
}

impl InlineExecution {
    /// Makes an instance for inline execution; its model may still rule that out.
    pub(crate) fn add(&mut self, model: &Arc<dyn Model>, spec: &InstanceSpec) -> Arc<InlineInstance> {
        let instance = Arc::new(InlineInstance::new(spec.clone(), Arc::clone(&self.latencies)));
        if self.extra.is_none() {
            self.extra = Some(ExtraInstances::new(model, spec, &self.latencies));
        }
        self.instances.push(Arc::clone(&instance));
        instance
    }

    /// The request's size, if executions of that size are short.
    pub(crate) fn short(&self, request: &Request) -> Option<Size> {
        if self.instances.is_empty() {
            return None;
        }
        let size = Size::of([request]);
        self.latencies.is_short(size).then_some(size)
    }

    /// How many requests bypassed the queue.
    pub(crate) fn passed(&self) -> u64 {
        let instances = self.instances.iter().map(|instance| &**instance);
        let extra = self.extra.iter().flat_map(ExtraInstances::places);
        instances.chain(extra).map(|instance| instance.passed.load(Ordering::Relaxed)).sum()
    }

    /// Executes a request whose execution is short, or queues it for whoever holds an instance. May execute waiting
    /// requests, too. If the queue is closed, the request is returned.
    pub(crate) fn execute(&self, queue: &Queue, request: Request, size: Size) -> Result<(), Box<Request>> {
        let found = self.try_take(queue).or_else(|| self.spin(queue, size));
        let Some((instance, mut taken)) = found else {
            queue.push_for_holder(request)?;
            fence(Ordering::SeqCst);
            if let Some((instance, taken)) = self.try_take(queue) {
                instance.serve(queue, taken, Budget::starting_at(Instant::now()));
            }
            return Ok(());
        };
        if queue.pass() {
            // There is one writer, as the lock is held.
            let passed = instance.passed.load(Ordering::Relaxed);
            instance.passed.store(passed + 1, Ordering::Relaxed);
            let end = instance.execute_alone(&mut taken, request, size);
            instance.serve(queue, taken, Budget::starting_at(end));
            return Ok(());
        }
        let queued = queue.push_for_holder(request);
        instance.serve(queue, taken, Budget::starting_at(Instant::now()));
        queued
    }

    /// Takes an instance that nobody holds. Threads begin to search at different ones.
    fn try_take(&self, queue: &Queue) -> Option<(&InlineInstance, Taken<'_>)> {
        if let Some(found) = self.extra.as_ref().and_then(|extra| extra.try_take(queue)) {
            return Some(found);
        }
        let count = self.instances.len();
        let first = if count > 1 { thread_number() } else { 0 };
        (0..count).find_map(|n| {
            let instance = &self.instances[(first + n) % count];
            Some((&**instance, instance.try_take(queue)?))
        })
    }

    /// Waits for an instance for about as long as an execution takes, unless other requests wait.
    fn spin(&self, queue: &Queue, size: Size) -> Option<(&InlineInstance, Taken<'_>)> {
        static ON_SEVERAL_CORES: LazyLock<bool> =
            LazyLock::new(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1));
        if let Some(extra) = &self.extra {
            extra.meet(queue);
        }
        if !*ON_SEVERAL_CORES {
            return None;
        }
        let until = Instant::now() + self.latencies.latency(size).min(MAX_SPIN);
        loop {
            for _ in 0..16 {
                spin_loop();
            }
            if queue.needs_instance() {
                return None;
            }
            if let Some(found) = self.try_take(queue) {
                return Some(found);
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }
}

#[cfg(test)]
impl InlineExecution {
    /// Holds the first instance during `act`, as if the calling thread executed on it.
    pub(crate) fn while_held(&self, queue: &Queue, act: impl FnOnce()) {
        let instance = &self.instances[0];
        let taken = instance.lock();
        act();
        instance.serve(queue, taken, Budget::starting_at(Instant::now()));
    }
}

impl InlineInstance {
    fn new(spec: InstanceSpec, latencies: Arc<LatencyEstimates>) -> InlineInstance {
        InlineInstance { instance: Mutex::default(), passed: AtomicU64::new(0), spec, latencies }
    }

    /// Locks the instance to create it or to take it away. Blocks while it executes.
    pub(crate) fn lock(&self) -> Taken<'_> {
        self.instance.lock()
    }

    /// Locks the instance for its own thread, which recreates it if it is missing.
    pub(crate) fn try_lock(&self) -> Option<Taken<'_>> {
        // A look costs less than an attempt where others hold it.
        if self.instance.is_locked() { None } else { self.instance.try_lock() }
    }

    /// Locks the instance, unless it is missing.
    fn try_take(&self, queue: &Queue) -> Option<Taken<'_>> {
        let taken = self.try_lock()?;
        if taken.is_some() {
            return Some(taken);
        }
        // Only the instance's own thread makes it anew.
        drop(taken);
        fence(Ordering::SeqCst);
        if queue.needs_instance() {
            queue.call_instance();
        }
        None
    }

    /// Executes a request that bypasses the queue. Returns when the execution ended.
    fn execute_alone(&self, taken: &mut Taken<'_>, request: Request, size: Size) -> Instant {
        let mut batch = Batch::new();
        batch.push(request);
        self.execute(taken, &mut batch, size)
        // A request that the backend left in the batch is answered when its sender is dropped.
    }

    /// A panic drops the instance; its own thread recreates it for the next request.
    fn execute(&self, taken: &mut Taken<'_>, batch: &mut Batch, size: Size) -> Instant {
        let before = self.latencies.before(size);
        let began = execute(&self.spec, taken, batch, || {});
        let end = Instant::now();
        if let Some(began) = began {
            self.latencies.observe(size, before, end.saturating_duration_since(began));
        }
        end
    }

    /// Releases the instance, after the thread has executed what waits for it.
    fn serve<'a>(&'a self, queue: &Queue, mut taken: Taken<'a>, mut budget: Budget) {
        loop {
            let end = self.execute_waiting(queue, &mut taken, &mut budget);
            drop(taken);
            fence(Ordering::SeqCst);
            if !queue.needs_instance() {
                return;
            }
            if end == End::Rest || queue.is_closed() {
                return queue.call_instance();
            }
            // A request came after the last look. If somebody else has taken the instance, it finds the request.
            match self.try_take(queue) {
                Some(again) => taken = again,
                None => return,
            }
        }
    }

    /// Executes waiting requests, and wakes the tasks that wait for them together at the end.
    fn execute_waiting(&self, queue: &Queue, taken: &mut Taken<'_>, budget: &mut Budget) -> End {
        if taken.is_none() {
            return End::Rest;
        }
        if !queue.needs_instance() {
            return End::Empty;
        }
        let mut end = End::Rest;
        wake_together(BUDGET_REQUESTS, || {
            let mut batch = Batch::new();
            loop {
                let next = queue.take_next(&mut batch, |first| self.latencies.is_short(Size::of([first])));
                if next == Next::Nothing {
                    end = End::Empty;
                }
                if next != Next::Taken {
                    return;
                }
                let size = Size::of(batch.iter());
                let now = self.execute(taken, &mut batch, size);
                batch.clear();
                if taken.is_none() || !budget.is_left_after(now) {
                    return;
                }
            }
        });
        end
    }

    /// Executes waiting requests on the instance's own thread, which has executed a request.
    pub(crate) fn go_on(&self, queue: &Queue, taken: &mut Taken<'_>, size: Size) {
        if self.latencies.is_short(size) {
            self.execute_waiting(queue, taken, &mut Budget::starting_at(Instant::now()));
        }
    }
}

impl std::fmt::Debug for InlineInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InlineInstance").field("spec", &self.spec).finish_non_exhaustive()
    }
}
