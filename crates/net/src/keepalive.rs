//! Keep-alive pings to clients of HTTP/2, which tell whether they are still there.
//!
//! The clock decides when one is due; the connection's task sends it (`http2_stream.rs`).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The settings of pings, sent and received. The names and meanings are gRPC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pings {
    /// The time without received bytes after which a ping is sent.
    pub time: Duration,
    /// The time within which something has to come after a ping, or the connection is closed.
    pub timeout: Duration,
    /// Whether pings are sent and received while no call is open.
    pub permit_without_calls: bool,
    /// How many pings are sent with no piece of an answer in between; 0 for any number.
    pub max_without_data: u32,
    /// What clients have to leave between two pings if no piece of an answer was sent in between.
    pub min_received_interval: Duration,
    /// How many times a client may ping sooner than that before its connection is closed; 0 for any number.
    pub max_strikes: u32,
}

impl Default for Pings {
    /// The defaults of the command line, which are gRPC's, and let clients ping as they like.
    fn default() -> Pings {
        Pings {
            time: Duration::from_hours(2),
            timeout: Duration::from_secs(20),
            permit_without_calls: false,
            max_without_data: 2,
            min_received_interval: Duration::from_mins(5),
            max_strikes: 0,
        }
    }
}

/// What is known of a connection when the clock looks at it. Times are in milliseconds on the network's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) now: u64,
    /// The number of bytes received so far.
    pub(crate) received: u64,
    /// Whether a request is open.
    pub(crate) is_busy: bool,
    /// When a piece of an answer was last sent.
    pub(crate) sent_data: u64,
}

/// What the clock finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Fine,
    /// A ping has to be sent, which the connection's task finds by [`Keepalive::take_due`].
    Due,
    /// Nothing came after a ping.
    Dead,
}

/// The state of one connection. Only the clock changes it, but for `due`.
#[derive(Debug, Default)]
pub(crate) struct Keepalive {
    received: AtomicU64,
    heard: AtomicU64,
    /// When the ping was sent that nothing came after; 0 if there is none.
    unanswered: AtomicU64,
    last_ping: AtomicU64,
    without_data: AtomicU32,
    due: AtomicBool,
}

impl Keepalive {
    pub(crate) fn look(&self, sight: Sight, settings: &Pings) -> Finding {
        let Sight { now, received, is_busy, sent_data } = sight;
        if received != self.received.load(Relaxed) {
            self.received.store(received, Relaxed);
            self.heard.store(now, Relaxed);
            self.unanswered.store(0, Relaxed);
            return Finding::Fine;
        }
        let is_over = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        match self.unanswered.load(Relaxed) {
            0 => {}
            since if is_over(since, settings.timeout) => return Finding::Dead,
            _ => return Finding::Fine,
        }
        if !is_over(self.heard.load(Relaxed), settings.time) || !(is_busy || settings.permit_without_calls) {
            return Finding::Fine;
        }
        if sent_data > self.last_ping.load(Relaxed) {
            self.without_data.store(0, Relaxed);
        }
        if settings.max_without_data != 0 && self.without_data.load(Relaxed) >= settings.max_without_data {
            return Finding::Fine;
        }
        self.without_data.fetch_add(1, Relaxed);
        self.unanswered.store(now, Relaxed);
        self.last_ping.store(now, Relaxed);
        self.due.store(true, Relaxed);
        Finding::Due
    }

    /// Whether a ping has to be sent now. True once for each.
    pub(crate) fn take_due(&self) -> bool {
        self.due.load(Relaxed) && self.due.swap(false, Relaxed)
    }
}

/// Counts the pings of a client that come too soon.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    /// When the last ping came; 0 if none has.
    last: u64,
    count: u32,
}

/// The time between pings of a client without calls, where these are not permitted.
const WITHOUT_CALLS: Duration = Duration::from_hours(2);

impl Strikes {
    /// Notes a ping. True if it is one too many.
    pub(crate) fn add(&mut self, sight: Sight, settings: &Pings) -> bool {
        let Sight { now, is_busy, sent_data, .. } = sight;
        let last = std::mem::replace(&mut self.last, now);
        if last == 0 || sent_data >= last {
            self.count = 0;
            return false;
        }
        let interval = if is_busy || settings.permit_without_calls {
            settings.min_received_interval
        } else {
            WITHOUT_CALLS
        };
        if u128::from(now.saturating_sub(last)) < interval.as_millis() {
            self.count += 1;
        }
        settings.max_strikes != 0 && self.count > settings.max_strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Pings {
        Pings {
            time: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            permit_without_calls: false,
            max_without_data: 2,
            min_received_interval: Duration::from_millis(300),
            max_strikes: 2,
        }
    }

    fn sight(now: u64, received: u64) -> Sight {
        Sight { now, received, is_busy: true, sent_data: 0 }
    }

    #[test]
    fn a_silent_client_is_asked_and_one_that_does_not_answer_is_dead() {
        let keepalive = Keepalive::default();
        assert_eq!(keepalive.look(sight(1, 10), &settings()), Finding::Fine);
        assert_eq!(keepalive.look(sight(1001, 10), &settings()), Finding::Fine);
        assert!(!keepalive.take_due());
        assert_eq!(keepalive.look(sight(1002, 10), &settings()), Finding::Due);
        assert!(keepalive.take_due() && !keepalive.take_due());
        assert_eq!(keepalive.look(sight(1502, 10), &settings()), Finding::Fine);
        assert_eq!(keepalive.look(sight(1503, 10), &settings()), Finding::Dead);
        assert_eq!(keepalive.look(sight(1503, 27), &settings()), Finding::Fine, "its answer came");
        assert_eq!(keepalive.look(sight(2400, 27), &settings()), Finding::Fine);
    }

    #[test]
    fn pings_end_without_data_and_without_calls() {
        let keepalive = Keepalive::default();
        let mut received = 0;
        let mut due = |now: u64, is_busy, sent_data| {
            let finding = keepalive.look(Sight { now, received, is_busy, sent_data }, &settings());
            // The client answers each.
            received += 17;
            keepalive.look(Sight { now, received, is_busy, sent_data }, &settings());
            finding == Finding::Due
        };
        assert!(!due(2000, false, 0), "no call is open");
        assert!(due(4000, true, 0) && due(6000, true, 0));
        assert!(!due(8000, true, 0), "two were sent");
        assert!(due(10_000, true, 9000), "and data since");
    }

    #[test]
    fn a_client_that_pings_too_often_is_found() {
        let mut strikes = Strikes::default();
        let mut add = |now, is_busy, sent_data| {
            strikes.add(Sight { now, received: 0, is_busy, sent_data }, &settings())
        };
        assert!(!add(1000, true, 0) && !add(1300, true, 0), "as often as it may");
        assert!(
            !add(1400, true, 0) && !add(1500, true, 0) && add(1600, true, 0),
            "two strikes, and one more"
        );
        assert!(!add(1700, true, 1650), "data was sent in between");
        assert!(
            !add(9000, false, 1650) && !add(18_000, false, 1650) && add(27_000, false, 1650),
            "without a call"
        );
    }
}
