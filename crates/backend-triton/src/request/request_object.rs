//! A request while a backend has it.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hippocamp_backend::{CorrelationId, Parameters, Request, RequestObserver, ResponseSender, Sequence};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::input::Input;
use super::state::StateTensor;
use crate::border::{Flag, Kind, Object, Owned, Ref, Registry, text};
use crate::life::TensorNames;
use crate::objects::TraceObject;
use crate::objects::parameter::LentValue;
use crate::response::{Execution, Outstanding, ResponseChannel};

/// A request that was given to a backend, until this releases it.
#[derive(Debug)]
pub(crate) struct RequestObject {
    pub(crate) channel: Arc<ResponseChannel>,
    pub(crate) names: Arc<TensorNames>,
    /// Those that are there, in the order of the model.
    pub(crate) inputs: SmallVec<[Input; 4]>,
    /// The outputs that are asked for, in the order of their names.
    pub(crate) wanted: SmallVec<[u16; 4]>,
    pub(crate) states: Mutex<Vec<StateTensor>>,
    pub(crate) sequence: Option<Sequence>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) parameters: Parameters,
    pub(crate) lent: Lent,
    /// Only of a request that may be executed again.
    pub(crate) again: Option<Arc<Rescheduled>>,
    /// Its copy, to be queued then.
    pub(crate) kept: Mutex<Option<Request>>,
}

/// Texts that are made when a backend asks for them.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    pub(crate) id: OnceLock<CString>,
    pub(crate) correlation_id: OnceLock<CString>,
    pub(crate) parameters: OnceLock<Vec<(CString, LentValue)>>,
    request_id: Arc<str>,
    observer: Option<Arc<dyn RequestObserver>>,
    trace: OnceLock<Option<Owned<TraceObject>>>,
}

/// The requests of a batch that are to be executed again, and how many of the batch the backend has not released.
#[derive(Debug, Default)]
pub(crate) struct Rescheduled {
    state: Mutex<Again>,
    changed: parking_lot::Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Again {
    pub(crate) unreleased: usize,
    pub(crate) requests: Vec<Request>,
}

impl Object for RequestObject {
    const KIND: Kind = Kind::Request;

    fn registry() -> &'static Registry<Self> {
        static REQUESTS: Registry<RequestObject> = Registry::new(Kind::Request);
        &REQUESTS
    }
}

impl Rescheduled {
    pub(crate) fn begin(&self) {
        self.state.lock().unreleased += 1;
    }

    fn release(&self, again: Option<Request>) {
        let mut state = self.state.lock();
        state.unreleased -= 1;
        state.requests.extend(again);
        self.changed.notify_all();
    }

    /// Waits until all requests were released, or whoever has them is `lost`, and returns those that are to be executed again.
    pub(crate) fn wait(&self, lost: impl Fn() -> bool) -> Vec<Request> {
        /// How often that is asked.
        const LOOK: Duration = Duration::from_secs(1);
        let mut state = self.state.lock();
        while state.unreleased > 0 {
            if self.changed.wait_for(&mut state, LOOK).timed_out() && lost() {
                break;
            }
        }
        std::mem::take(&mut state.requests)
    }
}

impl RequestObject {
    /// Takes a request apart, whose inputs are where the backend can read them.
    #[allow(clippy::too_many_arguments, reason = "they are the parts of a batch")]
    pub(crate) fn new(
        request: Request,
        inputs: SmallVec<[Input; 4]>,
        names: &Arc<TensorNames>,
        started: Instant,
        execution: &Arc<Execution>,
        outstanding: &Arc<Outstanding>,
        again: Option<&Arc<Rescheduled>>,
    ) -> RequestObject {
        let is_null = request.is_null();
        let kept = again.map(|_| {
            let Request { queued, response, .. } = &request;
            let observers = Arc::clone(response.observers());
            request.copy_for(ResponseSender::to_nobody(response.delivery(), *queued, observers))
        });
        let rows = if is_null { 0 } else { request.batch_size };
        let Request { outputs, parameters, timeout, sequence, queued, response, .. } = request;
        // A request that only keeps a place asks for nothing.
        let asked = |index: &&usize| !is_null && outputs.contains(**index);
        let wanted = names.sorted_outputs.iter().filter(asked).map(|index| *index as u16).collect();
        let context = response.context();
        let (request_id, observer) = (Arc::clone(&context.id), context.observer.clone());
        let lent = Lent { request_id, observer, ..Lent::default() };
        let channel =
            ResponseChannel::new(response, names, outputs, (queued, started), (execution, rows), outstanding);
        RequestObject {
            channel,
            names: Arc::clone(names),
            inputs,
            wanted,
            states: Mutex::default(),
            sequence,
            timeout,
            parameters,
            lent,
            again: again.cloned(),
            kept: Mutex::new(kept),
        }
    }

    /// START and END of a sequence.
    pub(crate) fn flags(&self) -> u32 {
        let Some(sequence) = &self.sequence else { return 0 };
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        bit(sequence.start, Flag::SEQUENCE_START) | bit(sequence.end, Flag::SEQUENCE_END)
    }

    pub(crate) fn id(&self) -> &CString {
        self.lent.id.get_or_init(|| text(&self.lent.request_id))
    }

    /// Its trace; NULL if nothing observes it.
    pub(crate) fn trace(&self) -> Ref<TraceObject> {
        let Some(observer) = &self.lent.observer else { return Ref::NULL };
        // Without a trace, what the backend calls is not traced below it.
        let trace = self.lent.trace.get_or_init(|| TraceObject::of_request(observer).ok());
        trace.as_ref().map_or(Ref::NULL, Owned::as_ref)
    }

    pub(crate) fn correlation_id(&self) -> Option<&CorrelationId> {
        self.sequence.as_ref().map(|sequence| &sequence.correlation_id)
    }

    /// Queues it again. `None` if it was answered.
    pub(crate) fn reschedule(&self) -> Option<Request> {
        let kept = self.kept.lock().take()?;
        let mut request = Request { response: self.channel.detach()?, ..kept };
        request.reschedule();
        Some(request)
    }

    /// Tells whoever waits for the batch that the request was released.
    pub(crate) fn released(&self, again: Option<Request>) {
        if let Some(waiting) = &self.again {
            waiting.release(again);
        }
    }
}
