//! What observes a single request of a client: its trace, and its line in the access log.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_access_log::AccessRecord;
use hippocamp_backend::{RequestObserver, TraceContext, observe_both};
use hippocamp_trace::{Activity, Trace};

use crate::{InferenceServer, Origin};

/// What observes a request of a client, held by the front of its protocol until the response is sent. Empty for most requests,
/// and then nothing that is done with it costs more than a look at it.
#[derive(Debug, Default)]
pub struct Observed {
    trace: Option<Trace>,
    record: Option<Arc<AccessRecord>>,
    /// The client's span, where the request is not traced here but somebody may want to know it.
    client: Option<Arc<TraceContext>>,
}

impl InferenceServer {
    /// Begins to observe a request to that model, once it is known. All of this a further protocol needs is:
    ///
    /// ```ignore
    /// let record = request.extensions().get::<Arc<AccessRecord>>();
    /// let observed = server.observe(&name, record, |header| headers.get(header)?.to_str().ok());
    /// let accepted = accepted.of(observed.origin(deadline));
    /// // ... submit, wait, encode; then, with the activities of its transport:
    /// hippocamp_net::keep_until_sent(&mut response, observed.sending(Activity::HttpSendStart, Activity::HttpSendEnd));
    /// ```
    ///
    /// `header` gets `traceparent` or `tracestate` and returns the value of that header or metadata; a protocol without them
    /// gives `|_| None`. `record` is what `net` puts into the extensions of a request where there is an access log; `None` for a
    /// protocol that is not HTTP. If nothing is traced or logged, this is one relaxed load.
    #[inline]
    pub fn observe<'h>(
        &self,
        model: &str,
        record: Option<&Arc<AccessRecord>>,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Observed {
        if record.is_some() || self.observes() {
            self.begin_to_observe(model, record, &header)
        } else {
            Observed::default()
        }
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
    fn begin_to_observe<'h>(
        &self,
        model: &str,
        record: Option<&Arc<AccessRecord>>,
        header: &dyn Fn(&str) -> Option<&'h str>,
    ) -> Observed {
        let trace = self.settings().tracing.sample(model, header);
        let is_wanted = trace.is_none() && (self.has_observers || record.is_some());
        let client = if is_wanted { TraceContext::of_headers(header).map(Arc::new) } else { None };
        if let Some(record) = record {
            let of_client = client.as_ref().map(|context| context.parent.trace_id);
            record.asks(model, trace.as_ref().map(Trace::trace_id).or(of_client));
        }
        Observed { trace, record: record.cloned(), client }
    }
}

impl Observed {
    /// What the request is given on its way, with the time at which its client stops waiting.
    pub fn origin(&self, deadline: Option<Instant>) -> Origin {
        let record = self.record.clone().map(|record| record as Arc<dyn RequestObserver>);
        let client = || self.client.clone().map(|client| client as Arc<dyn RequestObserver>);
        let trace = self.trace.as_ref().map(Trace::observer).or_else(client);
        Origin { deadline, observer: observe_both(trace, record) }
    }

    /// Whether the request has a line in the access log.
    pub fn is_logged(&self) -> bool {
        self.record.is_some()
    }

    /// Notes a response to a request that is one of several on a call of gRPC: its status, and its size in bytes.
    pub fn answered(&self, grpc_status: i32, bytes: usize) {
        if let Some(record) = &self.record {
            record.answered_grpc(grpc_status);
            record.sent(bytes);
        }
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
