//! The state of one connection: what it waits for, and since when.
//!
//! Each field is atomic. The connection's task stores it, and the clock (`tick.rs`) checks it a few times a second, so that
//! no connection needs a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hippocamp_access_log::AccessLog;

use crate::front::Refusal;
use crate::io_threads::Assignment;
use crate::keepalive::{Finding, Keepalive, Pings, Sight};
use crate::network::{End, Network};

/// An order to a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    None,
    /// Finish the open requests and accept no new ones.
    Finish,
    /// Close at once.
    End,
}

/// The time within which a connection beyond the limit has to send a request.
const LATE_TIME: Duration = Duration::from_secs(2);

/// How long a connection without a request may stay open after it was told to finish.
const FINISH_TIME: Duration = Duration::from_secs(5);

/// How long after the peer closed its side the requests that came last may take to begin.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// The unit of responses that wait for the peer to read, in the upper half of [`Connection::open`].
const ANSWER: u64 = 1 << 32;

/// The value of a time that is not set.
const NEVER: u64 = 0;

/// The maximum age of a connection, at which it is closed even if it is busy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ages {
    pub(crate) age: Option<Duration>,
    /// How long open requests may continue after that.
    pub(crate) grace: Option<Duration>,
}

pub(crate) struct Connection {
    pub(crate) network: Arc<Network>,
    pub(crate) port: &'static str,
    /// Why the connection is refused, if it is. Then it gets responses only to requests that are always answered.
    pub(crate) refused: Option<Refusal>,
    /// The access log, and the address of the client in it.
    pub(crate) access: Option<(Arc<AccessLog>, Arc<str>)>,
    /// Its I/O thread; `None` if it is served where it was accepted.
    pub(crate) assignment: Option<Assignment>,
    /// Whether its port's connections count against the limit.
    counted: bool,
    ages: Ages,
    pub(crate) pings: Pings,
    pub(crate) keepalive: Keepalive,
    begun: u64,
    /// In the lower half, the number of requests whose responses are not complete; in the upper half, the number of
    /// responses with bytes that the peer has not read.
    open: AtomicU64,
    /// The number of fully received requests whose responses are not complete.
    whole: AtomicU32,
    /// The number of requests whose bodies are being waited for.
    awaited: AtomicU32,
    /// The time since which no request is open. All times are in milliseconds on the network's clock.
    idle: AtomicU64,
    /// The time since which the head of a request is being read.
    head: AtomicU64,
    /// The time since which a frame of HTTP/2 is being read that is not content.
    frame: AtomicU64,
    /// The time since which the kernel accepts no more bytes.
    blocked: AtomicU64,
    /// The time at which a piece of a response was last accepted.
    taken: AtomicU64,
    /// The time at which the peer closed its side.
    half_closed: AtomicU64,
    /// Whether the peer closed its side before the end of a request's body.
    is_cut_short: AtomicBool,
    /// Whether the client announced that this is its last request, so that closing its side does not mean that it gave up.
    patient: AtomicBool,
    has_begun: AtomicBool,
    http2: AtomicBool,
    received: AtomicU64,
    seen: AtomicU64,
    order: AtomicU8,
    ordered: AtomicU64,
    task: AtomicWaker,
    reader: AtomicWaker,
}

impl Connection {
    pub(crate) fn new(
        network: Arc<Network>,
        port: &'static str,
        counted: bool,
        ages: Ages,
        pings: Pings,
        refused: Option<Refusal>,
    ) -> Connection {
        let now = network.now();
        let assignment = if counted && refused.is_none() { network.threads.take() } else { None };
        Connection {
            network,
            port,
            refused,
            access: None,
            assignment,
            counted,
            ages,
            pings,
            keepalive: Keepalive::default(),
            begun: now,
            open: AtomicU64::new(0),
            whole: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            idle: AtomicU64::new(now),
            head: AtomicU64::new(NEVER),
            frame: AtomicU64::new(NEVER),
            blocked: AtomicU64::new(NEVER),
            taken: AtomicU64::new(NEVER),
            half_closed: AtomicU64::new(NEVER),
            is_cut_short: AtomicBool::new(false),
            patient: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            received: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            order: AtomicU8::new(Order::None as u8),
            ordered: AtomicU64::new(NEVER),
            task: AtomicWaker::new(),
            reader: AtomicWaker::new(),
        }
    }

    /// The number of its I/O thread; `None` if it has none.
    pub(crate) fn thread(&self) -> Option<usize> {
        self.assignment.as_ref().map(|assignment| assignment.number)
    }

    pub(crate) fn requests(&self) -> u32 {
        self.open.load(Relaxed) as u32
    }

    pub(crate) fn whole_requests(&self) -> u32 {
        self.whole.load(SeqCst)
    }

    pub(crate) fn speaks_http2(&self) {
        self.http2.store(true, SeqCst);
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.load(SeqCst)
    }

    /// Whether there has been a request.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Relaxed)
    }

    /// Notes that the head of a request was read.
    pub(crate) fn begin(&self, patient: bool) {
        self.open.fetch_add(1, Relaxed);
        self.head.store(NEVER, Relaxed);
        self.has_begun.store(true, Relaxed);
        if patient != self.patient.load(Relaxed) {
            self.patient.store(patient, Relaxed);
        }
    }

    /// Notes that a request was answered or dropped. `whole` says whether [`Connection::came_whole`] was called for it.
    pub(crate) fn end(&self, whole: bool) {
        if self.open.fetch_sub(1, Relaxed) as u32 == 1 {
            self.idle.store(self.network.now(), Relaxed);
        }
        if whole {
            self.whole.fetch_sub(1, SeqCst);
        }
        if self.half_closed.load(SeqCst) != NEVER {
            self.reader.wake();
        }
    }

    /// Notes that the body of a request was read to its end. With `false`, undoes that, because the request had ended
    /// already.
    pub(crate) fn came_whole(&self, whole: bool) {
        if whole {
            self.whole.fetch_add(1, SeqCst);
        } else {
            self.whole.fetch_sub(1, SeqCst);
        }
    }

    /// Notes that a body is being waited for, or no longer.
    pub(crate) fn awaits_body(&self, awaits: bool) {
        if awaits {
            self.awaited.fetch_add(1, Relaxed);
        } else {
            self.awaited.fetch_sub(1, Relaxed);
        }
    }

    /// The number of requests that are not waiting for their bodies.
    pub(crate) fn running_requests(&self) -> u32 {
        self.requests().saturating_sub(self.awaited.load(Relaxed))
    }

    /// Notes that a response has bytes that the peer has not read, or with `false`, that it has none any more.
    pub(crate) fn answer_waits(&self, waits: bool) {
        self.taken.store(self.network.now(), Relaxed);
        if waits {
            self.open.fetch_add(ANSWER, Relaxed);
        } else {
            self.open.fetch_sub(ANSWER, Relaxed);
        }
    }

    pub(crate) fn answer_taken(&self) {
        self.taken.store(self.network.now(), Relaxed);
    }

    /// Notes that bytes were received.
    pub(crate) fn received(&self, bytes: usize) {
        self.received.store(self.received.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Notes that the head of the next request is being read.
    pub(crate) fn reads_head(&self) {
        if self.requests() == 0 && self.head.load(Relaxed) == NEVER {
            self.head.store(self.network.now(), Relaxed);
        }
    }

    pub(crate) fn head_is_read(&self) {
        self.head.store(NEVER, Relaxed);
    }

    /// Notes that a frame of HTTP/2 has come in part, or that it is complete.
    pub(crate) fn reads_frame(&self, reads: bool) {
        self.frame.store(if reads { self.network.now() } else { NEVER }, Relaxed);
    }

    /// What decides about pings.
    pub(crate) fn sight(&self) -> Sight {
        Sight {
            now: self.network.now(),
            received: self.received.load(Relaxed),
            is_busy: self.requests() > 0,
            sent_data: self.taken.load(Relaxed),
        }
    }

    /// Notes whether the kernel accepts no more bytes.
    pub(crate) fn blocked(&self, blocked: bool) {
        let since = self.blocked.load(Relaxed);
        if blocked != (since != NEVER) {
            self.blocked.store(if blocked { self.network.now() } else { NEVER }, Relaxed);
        }
    }

    /// Called after the peer closed its side. Pending while its requests may still be answered.
    pub(crate) fn poll_half_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.half_closed.load(SeqCst) == NEVER {
            self.half_closed.store(self.network.now(), SeqCst);
        }
        self.reader.register(cx.waker());
        let over = !self.patient.load(Relaxed) && self.half_close_is_over();
        if over || self.is_cut_short.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Called when a body is waited for and all received bytes were read. If the peer has closed its side, the rest will
    /// never arrive, so an HTTP/1.1 connection is ended; one of HTTP/2 may have other streams to answer.
    pub(crate) fn body_is_missing(&self) {
        if !self.is_http2() && self.half_closed.load(SeqCst) != NEVER {
            self.is_cut_short.store(true, SeqCst);
            self.reader.wake();
        }
    }

    /// Whether all requests that can be answered are answered. `with_news` says that the end of the peer's stream came
    /// together with bytes that may belong to further requests: these get a moment to begin.
    pub(crate) fn has_answered(&self, with_news: bool) -> bool {
        if with_news && !self.has_settled() {
            return false;
        }
        if self.is_http2() { self.whole_requests() == 0 } else { self.requests() == 0 }
    }

    fn has_settled(&self) -> bool {
        self.expired(&self.half_closed, SETTLE_TIME)
    }

    fn half_close_is_over(&self) -> bool {
        self.expired(&self.half_closed, self.network.limits.half_close_time)
    }

    fn expired(&self, since: &AtomicU64, limit: Duration) -> bool {
        let since = since.load(Relaxed);
        since != NEVER && u128::from(self.network.now().saturating_sub(since)) > limit.as_millis()
    }

    /// The time limit that the connection has exceeded, if any.
    pub(crate) fn fault(&self) -> Option<End> {
        let limits = &self.network.limits;
        let waits = self.open.load(Relaxed) >= ANSWER;
        if self.expired(&self.blocked, limits.write_time)
            || waits && self.expired(&self.taken, limits.write_time)
        {
            return Some(End::Write);
        }
        if self.expired(&self.frame, limits.header_time) {
            return Some(End::Header);
        }
        if self.requests() > 0 {
            return None;
        }
        let most = if self.refused.is_some() { LATE_TIME } else { Duration::MAX };
        if self.expired(&self.head, limits.header_time.min(most)) {
            return Some(End::Header);
        }
        self.expired(&self.idle, limits.idle_time.min(most)).then_some(End::Idle)
    }

    /// Called by the clock: ends the connection if it exceeds a time limit, or some time after the peer closed its side.
    pub(crate) fn look(&self) {
        if self.half_closed.load(Relaxed) != NEVER && (self.has_settled() || self.half_close_is_over()) {
            self.reader.wake();
        }
        if let Some(age) = self.ages.age {
            self.look_at_age(age);
        }
        if self.is_http2() {
            match self.keepalive.look(self.sight(), &self.pings) {
                Finding::Fine => {}
                Finding::Due => self.task.wake(),
                Finding::Dead => self.end_for(End::Keepalive, Order::End),
            }
        }
        match (self.order(), self.fault()) {
            (Order::None, Some(End::Idle)) => self.end_for(End::Idle, Order::Finish),
            (Order::None | Order::Finish, Some(why)) if why != End::Idle => self.end_for(why, Order::End),
            (Order::Finish, _) if self.requests() == 0 && self.expired(&self.ordered, FINISH_TIME) => {
                self.tell(Order::End);
            }
            _ => {}
        }
    }

    fn end_for(&self, why: End, order: Order) {
        self.network.counts.end(why);
        self.tell(order);
    }

    fn look_at_age(&self, age: Duration) {
        let lived = Duration::from_millis(self.network.now().saturating_sub(self.begun));
        if self.ages.grace.is_some_and(|grace| lived > age.saturating_add(grace)) {
            self.tell(Order::End);
        } else if lived > age {
            self.tell(Order::Finish);
        }
    }

    /// Whether connections of its port count against the limit.
    pub(crate) fn counts(&self) -> bool {
        self.counted
    }

    /// Whether the connection was accepted beyond the limit.
    pub(crate) fn is_late(&self) -> bool {
        self.refused.is_some()
    }

    pub(crate) fn may_be_evicted(&self) -> bool {
        self.counted && self.refused.is_none() && self.order() == Order::None
    }

    /// The milliseconds for which no request has been open; `None` if one is.
    pub(crate) fn idle_for(&self) -> Option<u64> {
        (self.requests() == 0).then(|| self.network.now().saturating_sub(self.idle.load(Relaxed)))
    }

    /// Whether fewer than `bytes` bytes were received since the last call.
    pub(crate) fn is_slow(&self, bytes: u64) -> bool {
        let received = self.received.load(Relaxed);
        received - self.seen.swap(received, Relaxed) < bytes
    }

    pub(crate) fn order(&self) -> Order {
        match self.order.load(SeqCst) {
            0 => Order::None,
            1 => Order::Finish,
            _ => Order::End,
        }
    }

    pub(crate) fn tell(&self, order: Order) {
        if self.order.fetch_max(order as u8, SeqCst) < order as u8 {
            self.ordered.store(self.network.now(), Relaxed);
            self.task.wake();
        }
    }

    /// Waits for an order stronger than `known`.
    pub(crate) fn poll_order(&self, cx: &mut Context<'_>, known: Order) -> Poll<Order> {
        self.task.register(cx.waker());
        let order = self.order();
        if order > known { Poll::Ready(order) } else { Poll::Pending }
    }
}
