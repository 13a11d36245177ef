//! The events of a request's life, and those of a model version that belong to no single request.

use std::time::{Duration, Instant};

use crate::{ExecutionTimes, ResponseTimes};

/// One event of a request's life. Events are reported in the order of these variants; stages that a request never
/// reached are left out.
///
/// An event may be reported a little later than the time that it carries: a backend gives the times of its phases when
/// it answers.
#[derive(Clone, Copy, Debug)]
pub enum RequestEvent<'a> {
    /// The request was checked and accepted. Its context has the time of arrival.
    Received,
    /// The request waits for an instance. Reported again when an iterative sequence reschedules it.
    Queued {
        /// When it began to wait.
        at: Instant,
    },
    /// An instance took the request for execution. Reported once for each execution.
    Started {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// The inputs of the request's batch are assembled.
    InputsReady {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// The model has computed the outputs; for a decoupled model, those of the first response.
    Computed {
        /// Shared by all requests of the batch.
        at: Instant,
    },
    /// A response of a decoupled model is about to be sent. Reported for each, also for empty ones that are not sent.
    Responded {
        /// The response's place among those of the request, counted from 0.
        index: usize,
        /// How the response ended.
        outcome: ResponseOutcome,
        /// The times of the response's phases.
        times: ResponseTimes,
    },
    /// The request has ended; no event follows. Reported just before the response is sent, so that a client that has
    /// its response also finds it counted.
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
    /// The request was executed and answered.
    Success {
        /// When it began to wait for an instance.
        queued: Instant,
        /// The times of its last execution.
        times: &'a ExecutionTimes,
    },
    /// The response cache answered the request without an execution.
    Cached {
        /// When it began to wait for an instance.
        queued: Instant,
        /// When the cache look-up began.
        looked: Instant,
    },
    /// The request was accepted, and failed or was cancelled.
    Failed {
        /// The reason of the failure; [`FailureReason::Canceled`] if the client cancelled the request.
        reason: FailureReason,
        /// The error message that is sent to the client.
        message: &'a str,
    },
    /// The request could not be queued. The caller reports the error to the client, and the request is not counted.
    Withdrawn,
}

/// Why an accepted request failed, as in the label of the failure metric.
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
    /// All reasons, in the order of their discriminants.
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

/// The outcome of one response of a decoupled model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// The response is sent.
    Success,
    /// An error is sent in its place.
    Fail,
    /// The response is empty and is not sent.
    Empty,
    /// The request was cancelled before this response.
    Cancel,
}

/// An event of a model version that belongs to no single request.
#[derive(Clone, Copy, Debug)]
pub enum ModelEvent<'a> {
    /// A batch was executed.
    Executed {
        /// Batch entries of all its requests, null requests included.
        batch_size: u64,
        /// Batch entries of its requests, without null requests.
        inferences: u64,
        /// The times of the execution.
        times: &'a ExecutionTimes,
        /// The GPU of the instance, if it is on one.
        gpu: Option<i32>,
    },
    /// The response cache did not have the response of a request. An attempt to store it has been made.
    CacheMissed {
        /// How long the look-up took.
        looked: Duration,
        /// How long storing the response took. This is part of the request's duration, which was reported before.
        kept: Duration,
    },
}
