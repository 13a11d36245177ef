//! When the requests of an open loop are to be sent. It does not depend on answers: what the server makes wait, waits as long
//! as it does.

mod timer;

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::Notify;

use timer::Timer;

/// The times of a thread's requests.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: Instant,
    /// The mean time from one to the next.
    interval: Duration,
    /// For times as of many independent clients (a Poisson process); `None` for a constant rate.
    random: Option<Rng>,
}

impl Schedule {
    pub(crate) fn new(first: Instant, interval: Duration, random: Option<Rng>) -> Schedule {
        let mut schedule = Schedule { next: first, interval, random };
        if schedule.random.is_some() {
            schedule.take();
        }
        schedule
    }

    /// When the next request is to be sent.
    fn take(&mut self) -> Instant {
        let time = self.next;
        self.next += match &mut self.random {
            None => self.interval,
            // From 0 to less than 1, so that the logarithm is finite.
            Some(random) => self.interval.mul_f64(-(1.0 - random.f64()).ln()),
        };
        time
    }

    /// How many requests were to be sent between two times and have not been taken, and when the first of them was.
    fn left(&mut self, from: Instant, to: Instant) -> Option<(u64, Instant)> {
        if self.random.is_none() {
            self.pass_over(from);
            let first = self.next;
            let count = self.pass_over(to);
            return (count > 0).then_some((count, first));
        }
        let mut left = None;
        while self.next < to {
            let time = self.take();
            if time >= from {
                left = left.map_or(Some((1, time)), |(count, first)| Some((count + 1, first)));
            }
        }
        left
    }

    /// Takes all times before that one, which are the same apart, and says how many there were.
    fn pass_over(&mut self, until: Instant) -> u64 {
        let ahead = until.saturating_duration_since(self.next).as_nanos();
        let count = ahead.div_ceil(self.interval.as_nanos().max(1));
        self.next += Duration::from_nanos_u128(count * self.interval.as_nanos());
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Tells the workers of a thread when to send.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    /// Somebody waits, where nobody did.
    waits: Notify,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    /// Lanes that wait for their time, the first of them in front.
    waiting: VecDeque<(Instant, Waker)>,
    /// Nobody has to wait any more.
    is_over: bool,
}

impl Pace {
    pub(crate) fn new(schedule: Schedule) -> Pace {
        let state = State { schedule, waiting: VecDeque::new(), is_over: false };
        Pace { state: Mutex::new(state), waits: Notify::new() }
    }

    /// Takes the next time, and waits for it. Returns at once if it has passed, or if [`Pace::end`] is called meanwhile; `None` if it was
    /// called before, so that what is left of a backlog by then is not sent.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let mut taken = None;
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if state.is_over && taken.is_none() {
                return Poll::Ready(None);
            }
            let time = *taken.get_or_insert_with(|| state.schedule.take());
            if state.is_over || time <= Instant::now() {
                return Poll::Ready(taken);
            }
            let place = state.waiting.partition_point(|(other, _)| *other <= time);
            state.waiting.insert(place, (time, context.waker().clone()));
            if place == 0 {
                self.waits.notify_one();
            }
            Poll::Pending
        })
        .await
    }

    /// Wakes the workers when it is their time. Runs as long as the thread does.
    pub(crate) async fn run(&self) -> std::io::Result<()> {
        let timer = Timer::new()?;
        loop {
            let first = self.wake_due();
            match first {
                None => self.waits.notified().await,
                Some(time) => tokio::select! {
                    expired = timer.expires(time) => expired?,
                    () = self.waits.notified() => {}
                },
            }
        }
    }

    /// Wakes the workers whose time has come; returns the time of the next.
    fn wake_due(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        let now = Instant::now();
        while state.waiting.front().is_some_and(|(time, _)| *time <= now) {
            if let Some((_, waker)) = state.waiting.pop_front() {
                waker.wake();
            }
        }
        state.waiting.front().map(|(time, _)| *time)
    }

    /// Lets every worker continue at once.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.is_over = true;
        state.waiting.drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// How many requests were to be sent between two times that no worker has taken, and when the first of them was.
    pub(crate) fn left(&self, from: Instant, to: Instant) -> Option<(u64, Instant)> {
        self.state.lock().schedule.left(from, to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        /// The times of a Poisson process are as many as its rate says, and about a third of them come late by more than the mean.
        #[test]
        fn random_times_keep_the_rate(seed: u64, rate in 100u32..5_000) {
            let begin = Instant::now();
            let mut schedule = Schedule::new(begin, SECOND / rate, Some(fastrand::Rng::with_seed(seed)));
            let times: Vec<Instant> = (0..20_000).map(|_| schedule.take()).collect();
            prop_assert!(times.is_sorted());
            let gaps = || times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64() * f64::from(rate));
            let mean = gaps().sum::<f64>() / 19_999.0;
            prop_assert!((mean - 1.0).abs() < 0.05, "{mean}");
            let long = gaps().filter(|gap| *gap > 1.0).count() as f64 / 19_999.0;
            prop_assert!((long - (-1f64).exp()).abs() < 0.03, "{long}");
        }
    }

    #[test]
    fn constant_times_are_the_same_apart() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, SECOND / 4, None);
        assert_eq!([(); 3].map(|()| schedule.take() - begin), [0, 250, 500].map(Duration::from_millis));
        let left = schedule.left(begin + SECOND, begin + 2 * SECOND);
        assert_eq!(left, Some((4, begin + SECOND)), "not the one at 750 ms");
        assert_eq!(schedule.left(begin + SECOND, begin + 2 * SECOND), None);
        assert_eq!(schedule.take(), begin + 2 * SECOND);
        // However many there are.
        let hour = 3600 * SECOND;
        let mut schedule = Schedule::new(begin, Duration::from_nanos(1), None);
        assert_eq!(schedule.left(begin, begin + hour), Some((3_600_000_000_000, begin)));
    }

    #[tokio::test]
    async fn lanes_are_woken_at_their_time_and_past_times_come_at_once() {
        let begin = Instant::now();
        let pace = Pace::new(Schedule::new(begin, Duration::from_millis(5), None));
        let three = async {
            let (first, second, third) = tokio::join!(pace.next(), pace.next(), pace.next());
            assert!(Instant::now() >= third.unwrap());
            [first, second, third].map(|time| time.unwrap() - begin)
        };
        tokio::select! {
            times = three => assert_eq!(times, [0, 5, 10].map(Duration::from_millis)),
            failed = pace.run() => panic!("{failed:?}"),
        }
        // Whoever waits goes on at the end, and nobody begins to.
        let waits = pace.next();
        tokio::pin!(waits);
        assert!(std::future::poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending())).await);
        pace.end();
        assert_eq!(waits.await.map(|time| time - begin), Some(Duration::from_millis(15)));
        assert_eq!(pace.next().await, None);
        let end = begin + Duration::from_millis(30);
        assert_eq!(pace.left(begin, end), Some((2, begin + Duration::from_millis(20))));
    }
}
