//! How fast a body has to come.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A body has to come with so many bytes a second, taken over the time that it has.
const BYTES_A_SECOND: f64 = 256.0;

/// Looks, once in a while, whether enough came. Costs nothing for a body that need not be waited for.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    timer: Option<Pin<Box<Sleep>>>,
    /// What came before the timer was set.
    before: u64,
}

impl Pace {
    /// Ready if too little came; `received` is all that came so far.
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

    /// Nothing is awaited for now.
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
