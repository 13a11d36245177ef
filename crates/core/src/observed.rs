//! What observes a single request of a client: its trace.

use std::time::Instant;

use hippocamp_backend::TraceContext;
use hippocamp_trace::{Activity, Trace};

use crate::{InferenceServer, Origin};

/// What observes a request of a client, held by the front of its protocol until the response is sent. Empty for most requests,
/// and then nothing that is done with it costs more than a look at it.
#[derive(Debug, Default)]
pub struct Observed {
    trace: Option<Trace>,
    trace_context: Option<Box<TraceContext>>,
}

impl InferenceServer {
    /// Begins to observe a request to that model, once it is known. All of this a further protocol needs is:
    ///
    /// ```ignore
    /// let observed = server.observe(&name, |header| headers.get(header)?.to_str().ok());
    /// let accepted = accepted.of(observed.origin(deadline));
    /// // ... submit, wait, encode; then, with the activities of its transport:
    /// hippocamp_net::keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    /// ```
    ///
    /// `header` gets `traceparent` or `tracestate` and returns the value of that header or metadata; a protocol without them
    /// gives `|_| None`. If nothing is traced this is one relaxed load.
    #[inline]
    pub fn observe<'h>(&self, model: &str, header: impl Fn(&str) -> Option<&'h str>) -> Observed {
        if self.observes() { self.begin_to_observe(model, &header) } else { Observed::default() }
    }

    /// Whether requests may be observed, so that the time at which one began to arrive is of interest.
    #[inline]
    pub fn observes(&self) -> bool {
        self.settings().tracing.is_on() || self.has_observers
    }

    /// The time, if requests may be observed.
    #[inline]
    pub fn observed_now(&self) -> Option<Instant> {
        self.observes().then(Instant::now)
    }

    #[inline(never)]
    fn begin_to_observe<'h>(&self, model: &str, header: &dyn Fn(&str) -> Option<&'h str>) -> Observed {
        let trace = self.settings().tracing.sample(model, header);
        let client = || TraceContext::of_headers(header).map(Box::new);
        let trace_context = if trace.is_none() && self.has_observers { client() } else { None };
        Observed { trace, trace_context }
    }
}

impl Observed {
    /// What the request is given on its way, with the time at which its client stops waiting.
    pub fn origin(&self, deadline: Option<Instant>) -> Origin {
        let Some(trace) = &self.trace else {
            return Origin { deadline, trace_context: self.trace_context.clone(), observer: None };
        };
        let observer = trace.observer();
        let trace_context = observer.trace_context().map(Box::new);
        Origin { deadline, trace_context, observer: Some(observer) }
    }

    /// Notes that something happens now.
    #[inline]
    pub fn mark(&self, activity: Activity) {
        if let Some(trace) = &self.trace {
            trace.mark(activity);
        }
    }

    /// Notes when something happened.
    #[inline]
    pub fn mark_at(&self, activity: Activity, at: Option<Instant>) {
        if let (Some(trace), Some(at)) = (&self.trace, at) {
            trace.mark_at(activity, at);
        }
    }

    /// Notes that the response begins to be sent, and returns what has to be dropped when it is sent: that notes the end. `None`
    /// if nothing observes the request.
    #[inline]
    pub fn sending(self, start: Activity, end: Activity) -> Option<Sending> {
        let trace = self.trace?;
        trace.mark(start);
        Some(Sending { trace, end })
    }
}

/// Held while a response is sent.
#[derive(Debug)]
pub struct Sending {
    trace: Trace,
    end: Activity,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.trace.mark(self.end);
    }
}
