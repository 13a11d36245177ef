//! The sink of traces that sends them: a thread with a queue, which makes batches.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hippocamp_trace::{FinishedTrace, TraceSink, What};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, error, warn};

use crate::ExportSettings;
use crate::messages::{ExportTraceServiceRequest, Resource, ResourceSpans, Scope, ScopeSpans, Span};
use crate::spans::{spans, text};
use crate::transport::{Collector, Failure};

/// The first pause before a message is sent again, which doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How many bytes of traces may wait, whatever the number of their spans: clients choose how long the ids of requests are.
const WAITING: usize = 64 << 20;

/// How often it is said that spans are lost.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Sends finished traces to a collector.
pub struct Exporter {
    sender: mpsc::UnboundedSender<Waiting>,
    counts: Arc<Counts>,
    max_queue_size: usize,
    closing: watch::Sender<bool>,
    /// Ends when the thread has; `None` once somebody has waited for it.
    ended: Mutex<Option<blocking::Receiver<()>>>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("counts", &self.counts).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Spans that wait, and the bytes of their traces.
    waiting: AtomicUsize,
    bytes: AtomicUsize,
    /// Traces that were dropped because too many waited, and traces that no collector took.
    dropped: AtomicU64,
    failed: AtomicU64,
}

struct Waiting {
    trace: FinishedTrace,
    spans: usize,
    bytes: usize,
}

impl Exporter {
    /// Starts the thread. No connection is made before there is something to send. The error says which setting is wrong.
    pub fn start(settings: &ExportSettings) -> Result<Exporter, String> {
        let collector = Collector::new(settings)?;
        let (sender, queue) = mpsc::unbounded_channel();
        let (closing, is_closing) = watch::channel(false);
        let (ending, ended) = blocking::channel();
        let counts = Arc::<Counts>::default();
        let export = Export {
            collector,
            resource: Resource {
                attributes: settings.resource.iter().map(|(key, value)| text(key, value)).collect(),
            },
            timeout: settings.timeout,
            batch_size: settings.max_export_batch_size,
            delay: settings.schedule_delay,
            counts: Arc::clone(&counts),
            is_closing,
            lost: Lost::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|why| format!("the runtime of the export could not be made: {why}"))?;
        let thread = std::thread::Builder::new().name("otlp".to_owned());
        let spawned = thread.spawn(move || {
            runtime.block_on(export.run(queue));
            drop(ending);
        });
        spawned.map_err(|why| format!("the thread of the export could not be started: {why}"))?;
        let max_queue_size = settings.max_queue_size;
        Ok(Exporter { sender, counts, max_queue_size, closing, ended: Mutex::new(Some(ended)) })
    }
}

impl TraceSink for Exporter {
    fn collect(&self, trace: FinishedTrace) {
        let requests = trace.records.iter().filter(|record| matches!(record.what, What::Request { .. }));
        let spans = 1 + 3 * requests.count();
        let bytes = trace.size();
        let waited = self.counts.waiting.fetch_add(spans, Relaxed);
        let held = self.counts.bytes.fetch_add(bytes, Relaxed);
        // A trace that is larger than the queue gets through if nothing else waits.
        let fits =
            waited == 0 || waited + spans <= self.max_queue_size && held.saturating_add(bytes) <= WAITING;
        if !fits || self.sender.send(Waiting { trace, spans, bytes }).is_err() {
            self.counts.waiting.fetch_sub(spans, Relaxed);
            self.counts.bytes.fetch_sub(bytes, Relaxed);
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    fn wants_tensors(&self) -> bool {
        false
    }

    fn dropped(&self) -> u64 {
        self.counts.dropped.load(Relaxed)
    }

    fn failed(&self) -> u64 {
        self.counts.failed.load(Relaxed)
    }

    fn close(&self, within: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        self.closing.send_replace(true);
        if ended.recv_timeout(within) == Err(blocking::RecvTimeoutError::Timeout) {
            error!("not all traces were sent within {within:?}");
        }
    }
}

/// The thread's own.
struct Export {
    collector: Collector,
    resource: Resource,
    timeout: Duration,
    batch_size: usize,
    delay: Duration,
    counts: Arc<Counts>,
    is_closing: watch::Receiver<bool>,
    lost: Lost,
}

impl Export {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Waiting>) {
        let mut closing = self.is_closing.clone();
        loop {
            let first = tokio::select! {
                first = queue.recv() => first,
                _ = closing.wait_for(|closing| *closing) => break,
            };
            let Some(first) = first else { break };
            let mut batch = Batch::default();
            batch.add(&first);
            let until = Instant::now() + self.delay;
            while batch.waiting < self.batch_size {
                let next = tokio::select! {
                    next = timeout_at(until, queue.recv()) => next,
                    _ = closing.wait_for(|closing| *closing) => break,
                };
                let Ok(Some(next)) = next else { break };
                batch.add(&next);
            }
            self.send(batch).await;
        }
        // What is there is sent, in as large parts as ever.
        queue.close();
        let mut batch = Batch::default();
        while let Ok(next) = queue.try_recv() {
            batch.add(&next);
            if batch.waiting >= self.batch_size {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        if batch.traces > 0 {
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Batch) {
        let Batch { mut spans, traces, waiting, bytes } = batch;
        let mut failed = None;
        while !spans.is_empty() && failed.is_none() {
            let rest = spans.split_off(spans.len().min(self.batch_size));
            let part = std::mem::replace(&mut spans, rest);
            failed = self.send_part(part).await.err();
        }
        self.counts.waiting.fetch_sub(waiting, Relaxed);
        self.counts.bytes.fetch_sub(bytes, Relaxed);
        if let Some(why) = failed {
            self.counts.failed.fetch_add(traces, Relaxed);
            self.lost.say(traces, &why);
        }
    }

    /// Sends a message, and again for as long as it may help.
    async fn send_part(&mut self, spans: Vec<Span>) -> Result<(), Failure> {
        let scope = Scope { name: "triton-server".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }];
        let body = self.collector.body(&ExportTraceServiceRequest { resource_spans });
        let until = Instant::now() + self.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let failure = match timeout(left, self.collector.send(body.clone())).await {
                Ok(Ok(refused)) => {
                    if let Some(refused) = refused {
                        warn!("the collector of traces: {refused}");
                    }
                    return Ok(());
                }
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let text = format!("no answer within {:?}", self.timeout);
                    return Err(Failure::Never(text));
                }
            };
            let Failure::Later { after, .. } = &failure else { return Err(failure) };
            let wait = after.unwrap_or(pause);
            // The collector may name any time, also one beyond all clocks.
            if wait >= until.saturating_duration_since(Instant::now()) || *self.is_closing.borrow() {
                return Err(failure);
            }
            debug!("traces are sent again in {wait:?}: {failure}");
            tokio::select! {
                () = sleep(wait) => {}
                // One last time.
                _ = self.is_closing.wait_for(|closing| *closing) => {}
            }
            pause *= 2;
        }
    }
}

/// Traces that are sent together.
#[derive(Default)]
struct Batch {
    spans: Vec<Span>,
    traces: u64,
    /// As they were counted when they came.
    waiting: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, waiting: &Waiting) {
        self.spans.extend(spans(&waiting.trace));
        self.traces += 1;
        self.waiting += waiting.spans;
        self.bytes += waiting.bytes;
    }
}

/// Says that traces are lost, but not each time.
#[derive(Default)]
struct Lost {
    said: Option<Instant>,
    since: u64,
}

impl Lost {
    fn say(&mut self, traces: u64, why: &Failure) {
        self.since += traces;
        if self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            warn!(traces = self.since, "traces are lost, the collector did not take them: {why}");
            *self = Lost { said: Some(Instant::now()), since: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use hippocamp_events::{ModelId, RequestContext, RequestEvent};
    use hippocamp_trace::{Level, Mode, StartSettings, Tracing};

    use super::*;

    /// Clients choose the length of their requests' ids, and a collector may be gone.
    #[test]
    fn traces_that_wait_for_a_dead_collector_are_bounded_in_bytes() {
        // Connections are made, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", silent.local_addr().unwrap());
        let settings = ExportSettings::new(&[("url".to_owned(), url)], &|_| None).unwrap();
        let exporter = Arc::new(Exporter::start(&settings).unwrap());
        let level = Level { timestamps: true, tensors: false };
        let start = StartSettings { mode: Mode::OpenTelemetry, level, rate: 1, ..StartSettings::default() };
        let tracing = Tracing::new(&start, settings.parents, vec![], Arc::clone(&exporter) as _);
        let model = ModelId { name: "m".into(), version: 1 };
        for _ in 0..100 {
            let trace = tracing.sample("m", |_| None).unwrap();
            let context = RequestContext::with_id("r".repeat(1 << 20).into(), std::time::Instant::now());
            trace.observer().on_event(&model, &context, &RequestEvent::Received);
        }
        // Each takes a little more than its id.
        assert_eq!(exporter.dropped(), 100 - 63);
        assert!(exporter.counts.bytes.load(Relaxed) <= WAITING);
    }

    #[test]
    fn a_collector_may_ask_to_wait_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let count = socket.read(&mut vec![0; 1 << 16]).unwrap();
            let answer = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 18446744073709551615\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer.as_bytes()).unwrap();
            // Until the client is gone.
            let _ = socket.read_to_end(&mut Vec::new());
            count
        });
        let settings = ExportSettings::new(&[("url".to_owned(), url)], &|_| None).unwrap();
        let exporter = Arc::new(Exporter::start(&settings).unwrap());
        let level = Level { timestamps: true, tensors: false };
        let start = StartSettings { mode: Mode::OpenTelemetry, level, rate: 1, ..StartSettings::default() };
        let tracing = Tracing::new(&start, settings.parents, vec![], Arc::clone(&exporter) as _);
        drop(tracing.sample("m", |_| None).unwrap());
        exporter.close(Duration::from_mins(1));
        assert_eq!(exporter.failed(), 1);
        assert!(collector.join().unwrap() > 0);
    }
}
