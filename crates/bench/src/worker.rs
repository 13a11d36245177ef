//! A worker: requests that follow each other, the next when the last was answered and, in an open loop, when it is its time.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::calls::Calls;
use crate::control::{Begin, Control};
use crate::exchange::{Exchange, Fault};
use crate::pace::Pace;
use crate::record::Record;

/// What a worker works with.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) calls: Calls,
    pub(crate) control: Arc<Control>,
    pub(crate) record: Arc<Mutex<Record>>,
    /// When requests are to be sent; `None` for a closed loop.
    pub(crate) pace: Option<Arc<Pace>>,
}

/// Counts a measured request whose worker is dropped before its answer is there.
struct UnderWay<'a> {
    record: &'a Mutex<Record>,
    is_measured: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.is_measured {
            self.record.lock().unanswered += 1;
        }
    }
}

impl Worker {
    /// Sends requests until the measurement is over.
    pub(crate) async fn run<E: Exchange>(mut self, mut exchange: E) {
        self.send(&mut exchange).await;
        // A server keeps room for a sequence until it ends.
        if let Some(call) = self.calls.end() {
            drop(exchange.exchange(call).await);
            self.record.lock().warm_up += 1;
        }
        exchange.close().await;
    }

    async fn send<E: Exchange>(&mut self, exchange: &mut E) {
        let Worker { calls, control, record, pace } = self;
        let mut under_way = UnderWay { record, is_measured: false };
        let mut begin = Instant::now();
        loop {
            let begins = match pace {
                None => control.begin(),
                Some(pace) => {
                    let Some(time) = pace.next().await else { return };
                    begin = time;
                    control.begin_at(begin)
                }
            };
            let is_measured = match begins {
                Begin::Over => return,
                Begin::LeftOut => continue,
                Begin::WarmUp => false,
                Begin::Measured => true,
            };
            under_way.is_measured = is_measured;
            let outcome = exchange.exchange(calls.next()).await;
            under_way.is_measured = false;
            let end = Instant::now();
            record.lock().add(is_measured, begin, end, outcome.as_ref().copied());
            begin = end;
            match outcome {
                Ok(_) => {}
                Err(Fault::Refused(_)) => calls.failed(),
                Err(Fault::Broken(_)) => {
                    calls.failed();
                    // Others get a turn, even if every request is answered at once like this.
                    tokio::task::yield_now().await;
                }
                Err(Fault::Unreachable(why)) => {
                    calls.failed();
                    return control.give_up(&why);
                }
            }
        }
    }
}
