//! The count of an execution.
//!
//! Triton's backends report an execution after they have sent its responses. Clients that have an answer expect it counted, so the
//! first request of a batch whose times are reported counts the execution, and the report that follows is known to be of that one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hippocamp_backend::{ExecutionTimes, GpuNumber, ModelEvent, Observers, Request};
use parking_lot::Mutex;

use super::gathered::{Answer, Gathered};

/// A batch that was given to a backend.
#[derive(Debug)]
pub(crate) struct Execution {
    is_counted: AtomicBool,
    batch_size: usize,
    /// The rows of null requests among them.
    nulls: usize,
    /// The rows of requests that were answered with an error.
    failed: AtomicUsize,
    observers: Arc<Observers>,
    /// The GPU of the instance, if it is on one.
    gpu: Option<i32>,
    /// Where the answers of an instance go that sends several together.
    gathered: Option<Arc<Gathered>>,
}

/// The executions of an instance that its backend has not reported, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Executions(Mutex<VecDeque<Arc<Execution>>>);

impl Execution {
    /// Of a batch; `None` if it is empty.
    pub(crate) fn of(requests: &[Request]) -> Option<Execution> {
        let size = |nulls: bool| requests.iter().filter(move |r| r.is_null() == nulls).map(|r| r.batch_size);
        let nulls = size(true).sum();
        let first = &requests.first()?.response;
        Some(Execution {
            is_counted: AtomicBool::new(false),
            batch_size: size(false).sum::<usize>() + nulls,
            nulls,
            failed: AtomicUsize::new(0),
            observers: Arc::clone(first.observers()),
            gpu: first.context().gpu.map(GpuNumber::id),
            gathered: None,
        })
    }

    /// Whose answers are kept while that is so.
    pub(crate) fn gathering(self, gathered: Option<&Arc<Gathered>>) -> Execution {
        Execution { gathered: gathered.cloned(), ..self }
    }

    /// Sends the only answer of a request, at once or with others.
    pub(super) fn answer(&self, answer: Answer) {
        match &self.gathered {
            Some(gathered) => gathered.offer(answer),
            None => answer.send(),
        }
    }

    /// Counts it, unless it is counted.
    pub(super) fn count(&self, times: &ExecutionTimes) {
        if !self.is_counted.swap(true, Ordering::Relaxed) {
            self.count_as(self.batch_size as u64, times);
        }
    }

    /// Notes that a request of so many rows was answered with an error: it is no inference.
    pub(super) fn failed(&self, rows: usize) {
        self.failed.fetch_add(rows, Ordering::Relaxed);
    }

    fn count_as(&self, batch_size: u64, times: &ExecutionTimes) {
        let others = self.nulls + self.failed.load(Ordering::Relaxed);
        let inferences = batch_size.saturating_sub(others as u64);
        let gpu = self.gpu;
        self.observers.on_model(&ModelEvent::Executed { batch_size, inferences, times, gpu });
    }
}

impl Executions {
    /// The most that are remembered: a backend may never report any.
    const MOST: usize = 64;

    pub(crate) fn begin(&self, execution: &Arc<Execution>) {
        let mut all = self.0.lock();
        if all.len() >= Executions::MOST {
            all.pop_front();
        }
        all.push_back(Arc::clone(execution));
    }

    /// Forgets one that the backend did not take.
    pub(crate) fn forget(&self, execution: &Arc<Execution>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, execution));
    }

    /// Takes a report, with the batch size that the backend gives. It is of the oldest one that is counted, if there is one: those
    /// before it are never reported, as their requests failed. Otherwise it is of the oldest.
    pub(super) fn report(&self, batch_size: u64, times: &ExecutionTimes) {
        let mut all = self.0.lock();
        let counted = all.iter().position(|execution| execution.is_counted.load(Ordering::Relaxed));
        if let Some(place) = counted {
            all.drain(..=place);
        } else if let Some(execution) = all.pop_front() {
            drop(all);
            // Its requests may be reported later, or at this moment.
            if !execution.is_counted.swap(true, Ordering::Relaxed) {
                execution.count_as(batch_size, times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hippocamp_backend::{Delivery, channel};
    use hippocamp_statistics::ModelStatistics;

    use super::*;

    #[test]
    fn each_execution_is_counted_once_whatever_others_report() {
        let statistics = Arc::new(ModelStatistics::default());
        let observers = Observers::counting(&statistics);
        let (sender, _receiver) = channel(Delivery::Once, Instant::now(), observers);
        let request = Request::new([].into_iter().collect(), 3, sender);
        let new = || Arc::new(Execution::of(std::slice::from_ref(&request)).expect("a request"));
        let (executions, times) = (Executions::default(), ExecutionTimes::now());
        let counts = || (statistics.snapshot().execution_count, statistics.snapshot().inference_count);

        let (refused, failed, good) = (new(), new(), new());
        for execution in [&refused, &failed, &good] {
            executions.begin(execution);
        }
        executions.forget(&refused);
        good.count(&times);
        good.count(&times);
        assert_eq!(counts(), (1, 3));
        executions.report(3, &times);
        assert_eq!(counts(), (1, 3), "the report is of the good one, not of the failed one before it");
        let unanswered = new();
        executions.begin(&unanswered);
        executions.report(2, &times);
        assert_eq!(counts(), (2, 5), "none of its requests was reported: it counts as it is reported");
        unanswered.count(&times);
        assert_eq!(counts(), (2, 5), "its requests are reported after it");
        let refused = new();
        refused.failed(3);
        executions.begin(&refused);
        executions.report(3, &times);
        assert_eq!(counts(), (3, 5), "it was executed, and no request succeeded");
        executions.report(2, &times);
        assert_eq!(counts(), (3, 5), "there is no execution that this could be of");
    }
}
