//! Reports the events of a request's life to its observers.
//!
//! Observers receive the events in their fixed order. If an event is reported while earlier ones are missing, these are
//! reported first with the same time. This covers backends that report their times only at the end, or never.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_events::{
    ExecutionTimes, Observers, Outcome, RequestContext, RequestEvent, ResponseOutcome, ResponseTimes,
};

/// The context, progress and observers of a request.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) context: RequestContext,
    observers: Arc<Observers>,
    /// The number of responses of a decoupled model so far; it stays at its largest value.
    responses: u32,
    /// When the last response was reported, or else when the request arrived.
    last_response: Instant,
    reached: Stage,
    /// The backend asked for another execution before it answers.
    pub(crate) reschedule: bool,
}

/// The last event that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Received,
    Queued,
    Started,
    InputsReady,
    Computed,
    /// Nothing more is reported.
    Ended,
}

impl Life {
    /// The life of a request that was just received.
    pub(crate) fn new(context: RequestContext, observers: Arc<Observers>) -> Life {
        if observers.watch(&context) {
            observers.on_uncounted(&context, &RequestEvent::Received);
        }
        Life::at(Stage::Received, context, observers)
    }

    /// The life of a null request, for which no event is reported.
    pub(crate) fn unobserved(context: RequestContext, observers: Arc<Observers>) -> Life {
        Life::at(Stage::Ended, context, observers)
    }

    fn at(reached: Stage, context: RequestContext, observers: Arc<Observers>) -> Life {
        let last_response = context.received;
        Life { context, observers, responses: 0, last_response, reached, reschedule: false }
    }

    /// Whether anybody but the statistics is told of its events.
    #[inline]
    fn is_watched(&self) -> bool {
        self.observers.watch(&self.context)
    }

    pub(crate) fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    /// When the last of several responses was, or the request came in.
    pub(crate) fn last_response(&self) -> Instant {
        self.last_response
    }

    /// Reports that the request reached a stage before its end.
    #[inline]
    pub(crate) fn reach(&mut self, stage: Stage, at: Instant) {
        if self.is_watched() {
            self.report_up_to(stage, at);
        }
    }

    /// Reports that the request is queued again, to be executed once more.
    pub(crate) fn queued_again(&mut self, at: Instant) {
        if self.reached != Stage::Ended {
            self.reached = Stage::Received;
            self.reach(Stage::Queued, at);
        }
    }

    #[cold]
    fn report_up_to(&mut self, stage: Stage, at: Instant) {
        while self.reached < stage {
            let (next, event) = match self.reached {
                Stage::Received => (Stage::Queued, RequestEvent::Queued { at }),
                Stage::Queued => (Stage::Started, RequestEvent::Started { at }),
                Stage::Started => (Stage::InputsReady, RequestEvent::InputsReady { at }),
                Stage::InputsReady => (Stage::Computed, RequestEvent::Computed { at }),
                Stage::Computed | Stage::Ended => return,
            };
            self.reached = next;
            self.observers.on_uncounted(&self.context, &event);
        }
    }

    /// Reports one of several responses, which is counted.
    pub(crate) fn responded(&mut self, outcome: ResponseOutcome, times: &ResponseTimes) {
        if self.reached == Stage::Ended {
            return;
        }
        if let Some(computed) = times.output_begun {
            self.reach(Stage::InputsReady, times.started);
            self.reach(Stage::Computed, computed);
        }
        // What comes before a response and was not reached by the first, such as an error, is left out.
        self.reached = Stage::Computed;
        let event = RequestEvent::Responded { index: self.responses as usize, outcome, times: *times };
        self.observers.on_counted(&self.context, &event);
        self.responses = self.responses.saturating_add(1);
        self.last_response = times.finished;
    }

    /// Reports the only response of a request, which is counted by its end. `times` are those of its execution; without
    /// them it was not executed.
    #[inline]
    pub(crate) fn responded_once(&mut self, queued: Instant, times: Option<&ExecutionTimes>) {
        if self.is_watched() && self.reached != Stage::Ended {
            self.report_only_response(queued, times);
        }
    }

    #[cold]
    fn report_only_response(&mut self, queued: Instant, times: Option<&ExecutionTimes>) {
        let times = if let Some(times) = times {
            self.report_executed(queued, times);
            let ExecutionTimes { started, outputs_begun, finished, .. } = *times;
            ResponseTimes { started, output_begun: Some(outputs_begun), finished }
        } else {
            let now = Instant::now();
            ResponseTimes { started: queued, output_begun: Some(now), finished: now }
        };
        let event = RequestEvent::Responded { index: 0, outcome: ResponseOutcome::Success, times };
        self.observers.on_uncounted(&self.context, &event);
    }

    /// Reports what was not reported yet of an execution.
    #[inline]
    pub(crate) fn executed(&mut self, queued: Instant, times: &ExecutionTimes) {
        if self.is_watched() {
            self.report_executed(queued, times);
        }
    }

    #[cold]
    fn report_executed(&mut self, queued: Instant, times: &ExecutionTimes) {
        self.report_up_to(Stage::Queued, queued);
        self.report_up_to(Stage::Started, times.started);
        self.report_up_to(Stage::InputsReady, times.inputs_ready);
        self.report_up_to(Stage::Computed, times.outputs_begun);
    }

    /// Reports the end. The clock is read here, once for all observers.
    pub(crate) fn ended(&mut self, outcome: Outcome<'_>) {
        if self.reached != Stage::Ended {
            self.reached = Stage::Ended;
            let event = RequestEvent::Ended { outcome, at: Instant::now() };
            self.observers.on_counted(&self.context, &event);
        }
    }

    /// Whether a success may be counted with others of its batch: it is not reported to anybody but these statistics.
    pub(crate) fn only_counts_as(&self, observers: &Observers) -> bool {
        self.reached != Stage::Ended
            && self.context.observer.is_none()
            && self.observers.only_count_as(observers)
    }

    /// The end was reported together with those of the other requests of its batch.
    pub(crate) fn ended_with_batch(&mut self) {
        self.reached = Stage::Ended;
    }
}
