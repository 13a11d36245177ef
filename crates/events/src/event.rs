//! The events of a request's life, and those of a model version that belong to no single request.

use std::time::{Duration, Instant};

use crate::{ExecutionTimes, ResponseTimes};

/// One event of a request's life. They come in the order in which they stand here; what a request never reached is left out.
///
/// An event is reported when it is known, which may be a little after the time that it bears: a backend tells the times of its
/// phases when it answers.
#[derive(Clone, Copy, Debug)]
pub enum RequestEvent<'a> {
    /// It was checked and accepted. When it came in is in its context.
    Received,
    /// It waits for an instance. Comes again when an iterative sequence is to be executed once more.
    Queued {
        /// Since when.
        at: Instant,
    },
    /// An instance took it for execution. Comes once an execution.
    Started {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// The inputs of its batch are assembled.
    InputsReady {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// The model has run; of a decoupled model, for the first response.
    Computed {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// A response is on its way. Comes for each of several responses of a decoupled model, also for those without anything to
    /// send.
    Responded {
        /// The response's place among those of the request, counted from 0.
        index: usize,
        /// What became of it.
        outcome: ResponseOutcome,
        /// When the model went through it.
        times: ResponseTimes,
    },
    /// It is over; nothing follows. Reported just before the answer leaves, so that a client which has its answer also finds it
    /// counted.
    Ended {
        /// How.
        outcome: Outcome<'a>,
        /// When.
        at: Instant,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It was executed and answered.
    Success {
        /// When it began to wait for an instance.
        queued: Instant,
        /// Of its (last) execution.
        times: &'a ExecutionTimes,
    },
    /// The response cache answered it, without an execution.
    Cached {
        /// When it began to wait for an instance.
        queued: Instant,
        /// When the look-up began.
        looked: Instant,
    },
    /// It was accepted and failed, or was cancelled.
    Failed {
        /// Why. [`FailureReason::Canceled`] if its client gave up.
        reason: FailureReason,
        /// What its client is told.
        message: &'a str,
    },
    /// The model takes no requests any more. Its client is told by another way, and it is not counted.
    Withdrawn,
}

/// Why an accepted request failed, as the failure metric tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The queue was full or the request waited too long.
    Rejected,
    /// The client cancelled it.
    Canceled,
    /// The model or its backend failed.
    Backend,
    /// Anything else.
    Other,
}

impl FailureReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [FailureReason; 4] =
        [FailureReason::Rejected, FailureReason::Canceled, FailureReason::Backend, FailureReason::Other];

    /// The value of the metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            FailureReason::Rejected => "REJECTED",
            FailureReason::Canceled => "CANCELED",
            FailureReason::Backend => "BACKEND",
            FailureReason::Other => "OTHER",
        }
    }
}

/// What became of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// It is sent.
    Success,
    /// It is an error.
    Fail,
    /// It was computed, and there is nothing to send.
    Empty,
    /// The request was cancelled before it.
    Cancel,
}

/// An event of a model version that belongs to no single request.
#[derive(Clone, Copy, Debug)]
pub enum ModelEvent<'a> {
    /// A batch was executed.
    Executed {
        /// Batch entries of all its requests, and of those that only keep a place.
        batch_size: u64,
        /// Batch entries of its requests.
        inferences: u64,
        /// Of the execution.
        times: &'a ExecutionTimes,
    },
    /// The response cache did not have the answer of a request, which has it now or cannot hold it.
    CacheMissed {
        /// How long the look-up took.
        looked: Duration,
        /// How long keeping the response took. It is part of the request's time, which was reported before.
        kept: Duration,
    },
}
