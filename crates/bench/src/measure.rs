//! Measures one level of the load: connect, warm up, measure, and wait for what is under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_client::Result;
use tokio::time::MissedTickBehavior;

use crate::control::{Control, Phase};
use crate::failure;
use crate::interrupts::Interrupts;
use crate::plan::{Load, Plan};
use crate::point::Point;
use crate::process::{cores, cpu_time};
use crate::progress::Progress;
use crate::samples::Samples;
use crate::stop::Stop;
use crate::threads::Threads;

/// How often answered requests are counted.
const TICK: Duration = Duration::from_millis(100);

/// The share of their time above which threads get company.
const BUSY: f64 = 0.8;

/// What all levels of a run share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) progress: Progress,
    pub(crate) interrupts: Interrupts,
    /// How many threads the last level needed.
    pub(crate) threads: u32,
}

/// Connected threads after the warm-up.
struct Warm {
    control: Arc<Control>,
    threads: Threads,
    count: u32,
    /// The requests of threads that were too few.
    discarded: u64,
    is_interrupted: bool,
}

impl Session {
    /// Waits for what comes before a measurement, unless the user wants to stop.
    pub(crate) async fn interruptible<T>(&mut self, before: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = before => done,
            () = self.interrupts.next() => failure("interrupted before it was measured"),
        }
    }

    pub(crate) async fn measure(&mut self, plan: &Arc<Plan>, load: Load) -> Result<Point> {
        let warm = self.warm_up(plan, load).await?;
        self.threads = warm.count;
        let Warm { control, mut threads, count, discarded, mut is_interrupted } = warm;
        let (cpu, begin) = (cpu_time(), Instant::now());
        let mut samples = Samples::new(begin);
        if !is_interrupted {
            control.enter(Phase::Measuring);
            let end = plan.requests.is_none().then_some(begin + plan.seconds);
            let stop = |samples: &Samples, threads: &Threads| {
                plan.stop.is_some_and(|stop| stop.is_known(samples, || threads.record()))
            };
            let tick = plan.stop.map_or(TICK, |_| Stop::tick(plan.seconds));
            is_interrupted = self.watch(plan, &mut threads, (end, tick), &mut samples, stop).await;
        }
        control.enter(Phase::Draining);
        let mut elapsed = begin.elapsed();
        let mut used = cpu_time().saturating_sub(cpu);
        is_interrupted |= self.drain(plan, &mut threads, &control).await;
        self.progress.clear();
        let record = threads.record();
        let until_last = record.last.map_or(elapsed, |last| last.saturating_duration_since(begin));
        if plan.requests.is_some() {
            elapsed = until_last;
        } else if matches!(load, Load::Open { .. }) {
            // A server that does not keep up answers the last of them late.
            elapsed = elapsed.max(until_last);
            used = cpu_time().saturating_sub(cpu);
        }
        Ok(Point {
            transport: plan.transport.clone(),
            load,
            connections: plan.connections(load, count),
            threads: count,
            elapsed,
            warm_up: discarded + record.warm_up,
            record,
            rates: samples.rates(),
            cpu: used,
            is_interrupted,
            gave_up: control.gave_up(),
        })
    }

    /// Starts threads and sends requests for the time of the warm-up; with more threads as long as they are busy all the time.
    async fn warm_up(&mut self, plan: &Arc<Plan>, load: Load) -> Result<Warm> {
        let most = plan.most_threads(load);
        let mut count = plan.threads.unwrap_or(self.threads).min(most);
        let mut discarded = 0;
        loop {
            let control = Arc::new(Control::new(plan.requests));
            let mut threads = self.interruptible(Threads::start(plan, &control, load, count)).await?;
            if plan.warm_up.is_zero() {
                return Ok(Warm { control, threads, count, discarded, is_interrupted: false });
            }
            let (cpu, begin) = (cpu_time(), Instant::now());
            control.enter(Phase::WarmUp);
            let end = Some(begin + plan.warm_up);
            let stop = |samples: &Samples, _: &Threads| {
                plan.stop.is_some() && Stop::is_warm(samples, load.workers())
            };
            let tick = plan.stop.map_or(TICK, |_| Stop::tick(plan.seconds));
            let samples = &mut Samples::new(begin);
            let is_interrupted = self.watch(plan, &mut threads, (end, tick), samples, stop).await;
            let time = begin.elapsed().as_secs_f64() * f64::from(count);
            let is_busy = cpu_time().saturating_sub(cpu).as_secs_f64() > BUSY * time;
            let more = (count * 2).min(most).min(cores());
            let may_grow = plan.threads.is_none() && more > count;
            if !is_busy || !may_grow || is_interrupted || control.gave_up().is_some() {
                return Ok(Warm { control, threads, count, discarded, is_interrupted });
            }
            control.enter(Phase::Draining);
            if self.drain(plan, &mut threads, &control).await {
                return Ok(Warm { control, threads, count, discarded, is_interrupted: true });
            }
            discarded += threads.record().warm_up;
            count = more;
        }
    }

    /// Counts answers, once a tick, until `end` or what `stop` says, until all threads have ended, until none has come for as long as
    /// one may take, or until the user wants to stop; true if it was he.
    async fn watch(
        &mut self,
        plan: &Plan,
        threads: &mut Threads,
        (end, tick): (Option<Instant>, Duration),
        samples: &mut Samples,
        stop: impl Fn(&Samples, &Threads) -> bool,
    ) -> bool {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let over = async {
            match end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        // What was begun before, and ends now, is part of the throughput.
        let before = threads.counts().ended_well();
        let mut last = (Instant::now(), 0);
        let is_interrupted = loop {
            tokio::select! {
                () = &mut over => break false,
                () = threads.ended() => break false,
                () = self.interrupts.next() => break true,
                _ = ticks.tick() => {
                    let now = Instant::now();
                    let counts = threads.counts();
                    samples.add(now, counts.ended_well() - before);
                    if stop(samples, threads) {
                        break false;
                    }
                    self.progress.show(counts.answered, counts.failed);
                    if counts.all() != last.1 {
                        last = (now, counts.all());
                    } else if end.is_none() && now.duration_since(last.0) > plan.timeout {
                        break false;
                    }
                }
            }
        };
        samples.add(Instant::now(), threads.counts().ended_well() - before);
        is_interrupted
    }

    /// Waits for the requests that are under way, at most as long as an answer may take, or until the user wants to stop;
    /// true if it was he.
    async fn drain(&mut self, plan: &Plan, threads: &mut Threads, control: &Control) -> bool {
        let is_interrupted = tokio::select! {
            () = threads.ended() => false,
            () = tokio::time::sleep(plan.timeout) => false,
            () = self.interrupts.next() => true,
        };
        control.enter(Phase::Abandoned);
        threads.ended().await;
        is_interrupted
    }
}
