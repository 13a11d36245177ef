//! The state that all calls of V1 share: the server, the numbers of requests, and the statistics of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_core::InferenceServer;
use hippocamp_proto::v1::{RequestStatus, RequestStatusCode, StatDuration};

use crate::errors;

/// The id of a server that was given none. Clients print it in front of every error.
const DEFAULT_ID: &str = "inference:0";

/// The name of a server that was given none, as v2 says it.
const DEFAULT_NAME: &str = "triton";

/// V1 over a server. Both encodings use the same one, as they share the numbers of requests.
#[derive(Debug)]
pub struct V1 {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) id: String,
    pub(crate) begun: Instant,
    requests: AtomicU64,
    calls: [Calls; CallKind::COUNT],
}

/// The calls that are counted by their kind. Inference is counted by the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the call of that name")]
pub enum CallKind {
    Status,
    Health,
    ModelControl,
    SharedMemoryControl,
    Repository,
}

impl CallKind {
    const COUNT: usize = CallKind::Repository as usize + 1;
}

/// The successful calls of one kind.
#[derive(Debug, Default)]
struct Calls {
    count: AtomicU64,
    /// Their total duration in nanoseconds.
    ns: AtomicU64,
}

impl V1 {
    /// V1 over a server.
    pub fn new(server: Arc<InferenceServer>) -> Arc<V1> {
        let name = &server.settings().id;
        let id = if name == DEFAULT_NAME { DEFAULT_ID } else { name }.to_owned();
        Arc::new(V1 {
            server,
            id,
            begun: Instant::now(),
            requests: AtomicU64::new(0),
            calls: Default::default(),
        })
    }

    /// The server.
    pub fn server(&self) -> &Arc<InferenceServer> {
        &self.server
    }

    /// The number of the next request. Every request of any kind has one.
    pub fn number(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// The status of the request with this number, which succeeded.
    pub fn success(&self, number: u64) -> RequestStatus {
        self.status(number, RequestStatusCode::Success, String::new())
    }

    /// The status of the request with this number, which failed.
    #[cold]
    pub fn failure(&self, number: u64, error: &Error) -> RequestStatus {
        self.status(number, errors::code(error.code()), errors::text(error))
    }

    fn status(&self, request_id: u64, code: RequestStatusCode, msg: String) -> RequestStatus {
        RequestStatus { code: code.into(), msg, server_id: self.id.clone(), request_id }
    }

    /// Begins a call that is counted by its kind.
    pub fn begin(&self, kind: CallKind) -> Call<'_> {
        Call { v1: self, kind, number: self.number(), begun: Instant::now() }
    }

    /// The successful calls of a kind.
    pub(crate) fn calls(&self, kind: CallKind) -> StatDuration {
        let Calls { count, ns } = &self.calls[kind as usize];
        StatDuration { count: count.load(Relaxed), total_time_ns: ns.load(Relaxed) }
    }
}

/// A call that is being answered.
#[derive(Debug)]
pub struct Call<'a> {
    v1: &'a V1,
    kind: CallKind,
    number: u64,
    begun: Instant,
}

impl Call<'_> {
    /// Ends the call, and returns its status.
    pub fn end<T>(self, outcome: &Result<T>) -> RequestStatus {
        let Call { v1, kind, number, begun } = self;
        if let Err(error) = outcome {
            return v1.failure(number, error);
        }
        let Calls { count, ns } = &v1.calls[kind as usize];
        count.fetch_add(1, Relaxed);
        ns.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
        v1.success(number)
    }
}
