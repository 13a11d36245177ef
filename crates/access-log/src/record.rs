//! A request on its way to its line.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use hippocamp_events::{ModelId, Outcome, RequestContext, RequestEvent, RequestObserver};

use crate::{AccessLog, Line, Phases};

/// The longest error that a line shows, in bytes.
const LONGEST_ERROR: usize = 300;

/// The status of a request whose client was gone before there was one, as other servers log it.
const CLIENT_GONE: u16 = 499;

/// The longest path that a line shows, in bytes.
const LONGEST_PATH: usize = 1024;

/// The longest name of a model, and the longest id of a request, that a line shows, in bytes: what waits to be written is
/// counted in lines, so that each has to be bounded.
const LONGEST_NAME: usize = 1024;

/// The value of a status of gRPC that is not known.
const NO_STATUS: i32 = -1;

/// What is known so far of a request. Shared by all who have to do with it; it becomes a line when it is finished.
#[derive(Debug)]
pub struct AccessRecord {
    log: Arc<AccessLog>,
    client: Arc<str>,
    protocol: &'static str,
    method: Box<str>,
    path: Arc<str>,
    began: (Instant, SystemTime),
    status: AtomicU16,
    grpc_status: AtomicI32,
    received: AtomicU64,
    sent: AtomicU64,
    details: Mutex<Details>,
    is_finished: AtomicBool,
    /// Whether it is one of several messages of a call, whose line is written when its last holder is done.
    is_message: bool,
}

/// What the model and the front say.
#[derive(Debug, Default)]
struct Details {
    model: Option<Arc<str>>,
    version: Option<u64>,
    request_id: Option<Arc<str>>,
    phases: Option<Phases>,
    cached: bool,
    error: Option<Box<str>>,
    trace_id: Option<[u8; 16]>,
}

impl AccessRecord {
    /// A request whose head was read just now.
    pub fn begin(
        log: &Arc<AccessLog>,
        client: &Arc<str>,
        protocol: &'static str,
        method: &str,
        path: &str,
    ) -> Arc<AccessRecord> {
        let path = &path[..path.floor_char_boundary(LONGEST_PATH)];
        let method = &method[..method.floor_char_boundary(LONGEST_NAME)];
        Arc::new(AccessRecord::new(log, client, protocol, method, &path.into(), false))
    }

    fn new(
        log: &Arc<AccessLog>,
        client: &Arc<str>,
        protocol: &'static str,
        method: &str,
        path: &Arc<str>,
        is_message: bool,
    ) -> AccessRecord {
        AccessRecord {
            log: Arc::clone(log),
            client: Arc::clone(client),
            protocol,
            method: method.into(),
            path: Arc::clone(path),
            began: (Instant::now(), SystemTime::now()),
            status: AtomicU16::new(CLIENT_GONE),
            grpc_status: AtomicI32::new(NO_STATUS),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            details: Mutex::default(),
            is_finished: AtomicBool::new(false),
            is_message,
        }
    }

    /// A request of several on the same call, which gets a line of its own.
    #[must_use]
    pub fn message(&self, bytes: usize) -> Arc<AccessRecord> {
        let (client, path) = (&self.client, &self.path);
        let message = AccessRecord::new(&self.log, client, self.protocol, &self.method, path, true);
        message.received(bytes);
        message.answered(200);
        Arc::new(message)
    }

    /// Counts bytes of the request's body.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes of the response's body.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes the status of the response.
    pub fn answered(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    /// Notes the status of a call of gRPC.
    pub fn answered_grpc(&self, status: i32) {
        self.grpc_status.store(status, Relaxed);
    }

    /// Notes the model that the request names, and the trace that it belongs to.
    pub fn asks(&self, model: &str, trace_id: Option<[u8; 16]>) {
        self.details(|details| {
            details.model = Some(model[..model.floor_char_boundary(LONGEST_NAME)].into());
            details.trace_id = trace_id;
        });
    }

    /// Writes the line, once.
    pub fn finish(&self) {
        if self.is_finished.swap(true, Relaxed) {
            return;
        }
        let details = self.details(std::mem::take);
        let grpc_status = self.grpc_status.load(Relaxed);
        self.log.add(Line {
            time: self.began.1,
            client: Arc::clone(&self.client),
            protocol: self.protocol,
            method: self.method.clone(),
            path: Arc::clone(&self.path),
            status: self.status.load(Relaxed),
            grpc_status: Some(grpc_status).filter(|status| *status != NO_STATUS),
            duration: self.began.0.elapsed(),
            request_bytes: self.received.load(Relaxed),
            response_bytes: self.sent.load(Relaxed),
            model: details.model,
            version: details.version,
            request_id: details.request_id.unwrap_or_default(),
            phases: details.phases,
            cached: details.cached,
            error: details.error,
            trace_id: details.trace_id,
        });
    }

    fn details<T>(&self, look: impl FnOnce(&mut Details) -> T) -> T {
        look(&mut self.details.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        if self.is_message {
            self.finish();
        }
    }
}

impl RequestObserver for AccessRecord {
    fn on_event(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>) {
        match event {
            RequestEvent::Received => self.details(|details| {
                details.model = Some(Arc::clone(&model.name));
                details.version = Some(model.version);
                details.request_id = Some(shortened(&context.id));
            }),
            RequestEvent::Ended { outcome, .. } => self.details(|details| match outcome {
                Outcome::Success { queued, times } => {
                    let [compute_input, compute_infer, compute_output] = times.phases();
                    let queue = times.started.saturating_duration_since(*queued);
                    details.phases = Some(Phases { queue, compute_input, compute_infer, compute_output });
                }
                Outcome::Cached { .. } => details.cached = true,
                Outcome::Failed { message, .. } => {
                    let end = message.floor_char_boundary(LONGEST_ERROR);
                    details.error = Some(message[..end].into());
                }
                Outcome::Withdrawn => {}
            }),
            _ => {}
        }
    }
}

/// The text itself, or a copy of its beginning if it is too long to be kept.
fn shortened(text: &Arc<str>) -> Arc<str> {
    if text.len() <= LONGEST_NAME {
        return Arc::clone(text);
    }
    text[..text.floor_char_boundary(LONGEST_NAME)].into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hippocamp_events::ExecutionTimes;

    use super::*;
    use crate::{Destination, Format};

    fn lines(folder: &std::path::Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(folder.join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_request_becomes_a_line_and_so_does_each_message_of_a_stream() {
        let folder = tempfile::tempdir().unwrap();
        let log = AccessLog::start(Format::Json, Destination::File(folder.path().join("log"))).unwrap();
        let client = Arc::from("[::1]:9");
        let record = AccessRecord::begin(&log, &client, "HTTP/2.0", "POST", "/a\nb");
        record.received(7);
        record.sent(8);
        record.asks("m", None);
        let message = record.message(5);
        let now = Instant::now();
        let context = RequestContext::with_id("r\r\n".into(), now);
        let model = ModelId { name: "m".into(), version: 2 };
        message.on_event(&model, &context, &RequestEvent::Received);
        let times = ExecutionTimes::starting(now + Duration::from_micros(30));
        let outcome = Outcome::Success { queued: now, times: &times };
        message.on_event(&model, &context, &RequestEvent::Ended { outcome, at: now });
        drop(message);
        record.finish();
        record.finish();
        drop(record);
        log.close(Duration::from_mins(1));
        let lines = lines(folder.path());
        let [message, call] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&message["request_bytes"], &message["queue_us"]), (&5.into(), &30.into()));
        assert_eq!((&message["request_id"], &message["version"]), (&"r\r\n".into(), &2.into()));
        assert_eq!(
            (&call["status"], &call["path"], &call["client"]),
            (&499.into(), &"/a\nb".into(), &"[::1]:9".into())
        );
        assert_eq!((&call["request_bytes"], &call["response_bytes"]), (&7.into(), &8.into()));
        assert_eq!((call.get("version"), log.dropped()), (None, 0));
    }

    #[test]
    fn what_a_client_names_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let log = AccessLog::start(Format::Json, Destination::File(folder.path().join("log"))).unwrap();
        let name = "ü".repeat(1 << 20);
        let record = AccessRecord::begin(&log, &"c".into(), "HTTP/1.1", &name, &name);
        record.asks(&name, None);
        record.finish();
        let record = AccessRecord::begin(&log, &"c".into(), "HTTP/1.1", "POST", "/");
        let context = RequestContext::with_id(name.as_str().into(), Instant::now());
        let model = ModelId { name: "m".into(), version: 1 };
        record.on_event(&model, &context, &RequestEvent::Received);
        record.finish();
        log.close(Duration::from_mins(1));
        let lines = lines(folder.path());
        for (line, name) in [(0, "method"), (0, "path"), (0, "model"), (1, "request_id")] {
            assert_eq!(lines[line][name].as_str().unwrap(), "ü".repeat(512), "{name}");
        }
    }

    #[test]
    fn the_file_is_followed_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = AccessLog::start(Format::Text, Destination::File(path.clone())).unwrap();
        let begin = |path: &str| AccessRecord::begin(&log, &"c".into(), "HTTP/1.1", "GET", path);
        begin("/one").finish();
        // The line is written before the file is opened anew, since both go the same way.
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        log.reopen();
        begin("/two").finish();
        log.close(Duration::from_mins(1));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("old").contains("/one") && !read("old").contains("/two"));
        assert!(read("log").contains("/two"));
        assert!(AccessLog::start(Format::Text, Destination::File(folder.path().to_owned())).is_err());
    }
}
