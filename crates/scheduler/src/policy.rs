//! The batching policy of a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{BatchStrategy, Request};
use hippocamp_batching::{Fitting, PlanSizes};
use hippocamp_model_config::Interface;
use hippocamp_proto::inference::ModelDynamicBatching;

/// Which waiting requests form a batch, and how long an incomplete batch waits for more. Made once when the model is
/// loaded.
#[derive(Clone, Debug)]
pub struct BatchPolicy {
    /// The most batch entries of one execution. `None`: the default scheduler, every request is executed alone.
    max_batch_size: Option<usize>,
    /// Sizes at which a batch is executed at once though more would fit. Sorted.
    preferred: Vec<usize>,
    /// How long the oldest request of an incomplete batch waits for others.
    max_queue_delay: Duration,
    /// Which requests can share a batch.
    fitting: Fitting,
    /// Requests of another length bucket are skipped, and later ones that fit are taken. Otherwise the first request
    /// that does not fit ends the batch, so that requests are executed in their order of arrival.
    passes_over: bool,
    /// The batch sizes that instances are prepared for. A batch is padded up to the next one.
    pub(crate) plans: PlanSizes,
    /// Who has a say about each request that would fit.
    pub(crate) strategy: Option<Arc<dyn BatchStrategy>>,
}

/// An execution takes about as long as that many rows, in addition to those of its plan. Measured: a network for pictures on an
/// H200 takes 0.5 ms and 0.13 ms a picture.
const ROWS_OF_AN_EXECUTION: usize = 4;

/// How many requests are skipped at most for one batch, so that its work does not grow with the queue.
const PASSED_OVER: usize = 256;

/// What an instance does next when requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Execute that many requests from the front.
    Take(usize),
    /// Wait for more.
    Wait(Incomplete),
}

/// A batch that waits for more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incomplete {
    /// When the batch is executed even though it is incomplete.
    pub(crate) until: Instant,
    /// The number of waiting batch entries from which the decision may change.
    pub(crate) enough: usize,
}

impl BatchPolicy {
    /// The default scheduler: every request is executed alone.
    pub fn single() -> BatchPolicy {
        BatchPolicy {
            max_batch_size: None,
            preferred: Vec::new(),
            max_queue_delay: Duration::ZERO,
            fitting: Fitting::any(),
            passes_over: false,
            plans: PlanSizes::default(),
            strategy: None,
        }
    }

    /// The dynamic batcher with the settings of a config.
    pub fn from_config(batching: &ModelDynamicBatching, interface: &Arc<Interface>) -> BatchPolicy {
        let preferred = batching.preferred_batch_size.iter();
        let policy = BatchPolicy::dynamic(
            interface.max_batch_size as usize,
            preferred.filter_map(|&size| usize::try_from(size).ok()).collect(),
            Duration::from_micros(batching.max_queue_delay_microseconds),
            interface,
        );
        BatchPolicy { passes_over: policy.passes_over && !batching.preserve_ordering, ..policy }
    }

    /// The dynamic batcher. A model without a batch dimension, whose `max_batch_size` is 0, has batches of one request.
    pub fn dynamic(
        max_batch_size: usize,
        mut preferred: Vec<usize>,
        max_queue_delay: Duration,
        interface: &Arc<Interface>,
    ) -> BatchPolicy {
        preferred.sort_unstable();
        let fitting = Fitting::new(interface);
        let passes_over = interface.padding.is_some();
        let max_batch_size = Some(max_batch_size.max(1));
        let plans = PlanSizes::default();
        BatchPolicy {
            max_batch_size,
            preferred,
            max_queue_delay,
            fitting,
            passes_over,
            plans,
            strategy: None,
        }
    }

    /// The number of batch entries at which a batch is full.
    pub(crate) fn full(&self) -> usize {
        self.max_batch_size.unwrap_or(1)
    }

    /// Whether a batch depends on nothing but the requests that wait: neither on time nor on who else has a say.
    pub(crate) fn is_plain(&self) -> bool {
        self.max_queue_delay.is_zero() && self.strategy.is_none()
    }

    /// Whether no two requests are ever executed together.
    pub(crate) fn is_alone(&self) -> bool {
        self.max_batch_size.is_none_or(|max| max <= 1)
    }

    /// Begins a batch with the first waiting request.
    #[inline]
    pub(crate) fn begin(&self, first: &Request) -> Forming {
        let size = first.batch_size.max(1);
        Forming {
            count: 1,
            size,
            oldest: first.queued,
            best: self.prefers(size).then_some(1),
            exact: self.is_planned(size).then_some((1, size)),
            passed_over: 0,
            complete: self.max_batch_size.is_none(),
        }
    }

    fn prefers(&self, size: usize) -> bool {
        self.preferred.binary_search(&size).is_ok()
    }

    fn is_planned(&self, size: usize) -> bool {
        self.plans.as_slice().binary_search(&size).is_ok()
    }

    fn largest_preferred(&self) -> usize {
        self.preferred.last().copied().unwrap_or(0)
    }
}

/// A batch under construction: requests are offered in the order in which they would be executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forming {
    count: usize,
    size: usize,
    oldest: Instant,
    /// The last count of requests at which the batch had a preferred size; or at which the next request would have made
    /// it larger than all of them, if it had none so far.
    best: Option<usize>,
    /// The last count of requests at which the batch had the size of a plan, and that size.
    exact: Option<(usize, usize)>,
    /// Requests that were offered and skipped because they do not fit.
    passed_over: usize,
    /// The next request does not fit, so that waiting is of no use.
    complete: bool,
}

impl Forming {
    /// Whether another request is worth offering.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// No more requests are offered: waiting for others is of no use.
    pub(crate) fn close(&mut self) {
        self.complete = true;
    }

    /// Adds the next request if it fits together with `first`, the first request of the batch. Returns whether it was
    /// added.
    pub(crate) fn offer(&mut self, policy: &BatchPolicy, first: &Request, next: &Request) -> bool {
        if policy.passes_over && !policy.fitting.together(first, next) {
            self.passed_over += 1;
            self.complete = self.passed_over >= PASSED_OVER;
            return false;
        }
        let size = self.size + next.batch_size.max(1);
        if size > policy.largest_preferred() && self.best.is_none() {
            self.best = Some(self.count);
        }
        let fits =
            policy.max_batch_size.is_some_and(|max| size <= max) && policy.fitting.together(first, next);
        if !fits {
            self.complete = true;
            return false;
        }
        self.count += 1;
        self.size = size;
        self.oldest = self.oldest.min(next.queued);
        if policy.prefers(size) {
            self.best = Some(self.count);
        }
        if policy.is_planned(size) {
            self.exact = Some((self.count, size));
        }
        true
    }

    /// Decides whether the batch is executed now. `closing` says that no more requests will come.
    ///
    /// As in Triton: before the delay has passed, the largest preferred size that the waiting requests reach is
    /// executed at once, even if more would fit. After the delay, everything that fits is executed.
    #[inline]
    pub(crate) fn decide(&self, policy: &BatchPolicy, now: Instant, closing: bool) -> Decision {
        let delay = policy.max_queue_delay;
        let is_late = !delay.is_zero() && now.saturating_duration_since(self.oldest) >= delay;
        if let Some(count) = self.best.filter(|_| !is_late) {
            return Decision::Take(count);
        }
        let is_full = self.complete || self.size >= policy.largest_preferred();
        if is_full || is_late || delay.is_zero() || closing {
            return Decision::Take(self.worthwhile(policy));
        }
        let next_preferred = policy.preferred.iter().find(|&&size| size > self.size);
        // Where shapes are compared, the next request may end the batch by not fitting.
        let enough = next_preferred.copied().filter(|_| policy.fitting.is_uniform()).unwrap_or(0);
        match self.oldest.checked_add(delay) {
            Some(until) => Decision::Wait(Incomplete { until, enough }),
            // The delay is too long for the clock's type.
            None => Decision::Wait(Incomplete { until: now + FOREVER, enough }),
        }
    }
}

impl Forming {
    /// How many requests to execute of those that fit: all, or as many as fill a plan if more rows are done in the time then.
    /// The others are the beginning of the next batch.
    fn worthwhile(&self, policy: &BatchPolicy) -> usize {
        let Some((count, exact)) = self.exact else { return self.count };
        let time = |rows: usize| ROWS_OF_AN_EXECUTION + rows;
        let padded = policy.plans.padded(self.size);
        if self.size * time(exact) >= exact * time(padded) { self.count } else { count }
    }
}

/// How long an instance sleeps before it decides again, if the delay overflows the clock's type.
const FOREVER: Duration = Duration::from_hours(24);
