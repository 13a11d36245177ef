//! The minimum rate at which a body has to arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The minimum rate of a body in bytes per second, averaged over its time limit.
const BYTES_A_SECOND: f64 = 256.0;

/// Checks periodically whether enough of a body has arrived. It sets no timer for a body that arrives without waiting.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    timer: Option<Pin<Box<Sleep>>>,
    /// The number of bytes that had arrived when the timer was set.
    before: u64,
}

impl Pace {
    /// Ready if too few bytes have arrived. `received` is their total number so far.
    pub(crate) fn poll_too_slow(&mut self, cx: &mut Context<'_>, received: u64, time: Duration) -> Poll<()> {
        if time == Duration::MAX {
            return Poll::Pending;
        }
        let least = (time.as_secs_f64() * BYTES_A_SECOND) as u64;
        let timer = self.timer.get_or_insert_with(|| {
            self.before = received;
            Box::pin(sleep(time))
        });
        while timer.as_mut().poll(cx).is_ready() {
            if received - self.before < least {
                return Poll::Ready(());
            }
            self.before = received;
            timer.as_mut().reset(Instant::now() + time);
        }
        Poll::Pending
    }

    /// Stops the timer while nothing is expected.
    pub(crate) fn pause(&mut self) {
        self.timer = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const TIME: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_body_that_stops_is_too_slow_and_one_that_goes_on_is_not() {
        let mut pace = Pace::default();
        poll_fn(|cx| pace.poll_too_slow(cx, 3, TIME)).await;
        let mut pace = Pace::default();
        let mut received = 0;
        let begin = Instant::now();
        poll_fn(|cx| {
            received += 1000;
            // Five windows in which more than enough came, and then none.
            if begin.elapsed() < 5 * TIME { pace.poll_too_slow(cx, received, TIME) } else { Poll::Ready(()) }
        })
        .await;
        assert!(begin.elapsed() >= 5 * TIME);
    }
}
