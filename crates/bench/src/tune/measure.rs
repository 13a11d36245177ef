//! Loads the model with settings, and measures it with more and more requests under way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_check::Draft;
use hippocamp_client::{Failure, Result};
use hippocamp_core::{InferenceServer, LoadOverrides};
use hippocamp_model_config::to_json;

use super::TuneArgs;
use super::levels::{Levels, Worth};
use super::others::Reading;
use super::outcome::{Goal, Level, Outcome};
use super::settings::{Settings, edited};
use crate::args::BenchArgs;
use crate::measure::Session;
use crate::plan::{Load, Plan};
use crate::point::Point;
use crate::prepare::prepare_local;
use crate::stop::Stop;

/// A level that has less than this more than the one before is no gain.
const GROWTH: f64 = 1.03;

/// Half the width of the interval that a level's throughput has to be known in, of 95 %, at first: what seems good is compared in the end.
const PRECISION: f64 = 0.05;

/// The same in the end. What a setting has to gain to be taken is more.
const PRECISION_AT_LAST: f64 = 0.02;

/// The share of the machine above which others disturb a level. The kernel counts in hundredths of a second, which is some in a hundred of a short one.
const DISTURBED: f64 = 0.2;

/// How many levels are measured again for that, so that a machine that is never quiet does not take for ever.
const REPEATS: u32 = 10;

/// How many requests a level should answer, so that it tells something of slow models, too.
const ENOUGH: f64 = 30.0;

/// How much longer than asked for a level may take for that, in seconds.
const LONGEST: f64 = 2.0;

/// From how many answers on they are counted. Of fewer, it would depend on when the measurement ends.
const MANY: u64 = 1000;

pub(crate) struct Measurement<'a> {
    args: &'a TuneArgs,
    server: &'a Arc<InferenceServer>,
    draft: &'a Draft,
    session: Session,
    goal: Goal,
    bench: BenchArgs,
    /// The completed configs that were measured.
    seen: HashSet<String>,
    /// What the last level reached.
    last: Option<Level>,
    /// The config that the model is loaded with.
    loaded: Option<String>,
    begin: Option<Reading>,
    /// How many more levels may be measured again because others disturbed them.
    repeats: u32,
}

impl<'a> Measurement<'a> {
    pub(crate) fn new(
        args: &'a TuneArgs,
        server: &'a Arc<InferenceServer>,
        draft: &'a Draft,
        session: Session,
        goal: Goal,
    ) -> Measurement<'a> {
        let (bench, seen) = (args.bench(), HashSet::new());
        // The server has loaded it as it is.
        let loaded = Some(draft.text().to_owned());
        Measurement {
            args,
            server,
            draft,
            session,
            goal,
            bench,
            seen,
            last: None,
            loaded,
            begin: Reading::now(),
            repeats: REPEATS,
        }
    }

    /// What comes of settings. `None` if they are the same as some that were measured, unless certain levels or all are wanted.
    pub(crate) async fn run(
        &mut self,
        settings: &Settings,
        levels: Levels,
        worth: Worth,
    ) -> Result<Option<Outcome>> {
        let text = edited(self.draft.text(), settings)?;
        if let Err(why) = self.load(text).await? {
            return Ok(Some(Outcome::refused(why)));
        }
        let model =
            self.server.model(&self.args.model, None).map_err(|error| Failure::new(error.to_string()))?;
        let is_new = self.seen.insert(to_json(&model.config));
        drop(model);
        if !is_new && matches!(levels, Levels::From(_)) {
            return Ok(None);
        }
        let prepared =
            self.session.interruptible(async { Ok(prepare_local(&self.bench, self.server).await) });
        let mut ready = match prepared.await? {
            Ok(ready) => ready,
            Err(failure) => return Ok(Some(Outcome::refused(failure.to_string()))),
        };
        let outcome = self.climb(settings, (levels, worth), &mut ready.plan).await?;
        drop(ready.finish().await);
        Ok(Some(outcome))
    }

    /// Loads the model with a config, unless that is what it is loaded with. The inner error is why the model cannot be loaded with it.
    async fn load(&mut self, text: String) -> Result<std::result::Result<(), String>> {
        if self.loaded.as_ref() == Some(&text) {
            return Ok(Ok(()));
        }
        self.draft.try_out(&text).map_err(|why| Failure::new(format!("no config can be tried: {why}")))?;
        self.loaded = None;
        let overrides = LoadOverrides::default();
        if let Err(error) = self.server.load_in_any_mode(&self.args.model, overrides).await {
            return Ok(Err(self.draft.with_real_paths(&error.to_string())));
        }
        self.loaded = Some(text);
        Ok(Ok(()))
    }

    async fn climb(
        &mut self,
        settings: &Settings,
        (levels, worth): (Levels, Worth),
        plan: &mut Arc<Plan>,
    ) -> Result<Outcome> {
        let levels = levels.within(self.args.concurrency);
        let mut measured = Vec::new();
        let (mut next, mut before, mut flat) = (Some(levels.first()), 0.0, 0);
        while let Some(concurrency) = next.filter(|concurrency| *concurrency <= self.args.concurrency) {
            self.session.progress.title(&format!("{settings}; {concurrency} under way"));
            self.set_time(plan, levels, worth);
            let point = self.point(plan, concurrency).await?;
            if let Some((error, count)) = point.record.errors.iter().next() {
                // More than a bounded queue takes is no reason against what it does take.
                let refused = || Outcome::refused(format!("{count} requests failed: {error}"));
                return Ok(if measured.is_empty() { refused() } else { Outcome::of(measured) });
            }
            let level = level(concurrency, &point);
            if level.rate <= 0.0 {
                return Ok(Outcome::refused("no request was answered in time".to_owned()));
            }
            measured.push(level);
            self.last = Some(level);
            flat = if level.rate < before * GROWTH { flat + 1 } else { 0 };
            before = level.rate;
            next = levels.after(&level, flat, self.goal, worth);
        }
        Ok(Outcome::of(measured))
    }

    /// Measures a level; once more if others have taken much of the machine meanwhile, of which the better counts.
    async fn point(&mut self, plan: &Arc<Plan>, concurrency: u32) -> Result<Point> {
        let mut best: Option<Point> = None;
        loop {
            let before = Reading::now();
            let point = self.session.measure(plan, Load::Closed { concurrency }).await?;
            if point.is_interrupted {
                return Err(Failure::new("interrupted; the config is as it was"));
            }
            let others = before.and_then(|before| Some(Reading::now()?.others_since(&before)));
            let is_disturbed =
                point.record.errors.is_empty() && others.is_some_and(|share| share > DISTURBED);
            let is_last = best.is_some() || self.repeats == 0 || !is_disturbed;
            if best.as_ref().is_none_or(|best| point.rate() > best.rate()) {
                best = Some(point);
            }
            if is_last {
                return best.ok_or_else(|| Failure::new("nothing was measured"));
            }
            self.repeats -= 1;
        }
    }

    /// The share of the machine that other processes have taken since this began, if the kernel tells.
    pub(crate) fn others(&self) -> Option<f64> {
        Some(Reading::now()?.others_since(&self.begin?))
    }

    /// Has the next level take long enough for some requests, as far as the last one tells, and end before that once it is known.
    fn set_time(&self, plan: &mut Arc<Plan>, levels: Levels, worth: Worth) {
        let needed = self.last.map_or(0.0, |last| ENOUGH / last.rate);
        let seconds = needed.clamp(self.args.seconds, self.args.seconds.max(LONGEST));
        // Nobody else has it between measurements.
        if let Some(plan) = Arc::get_mut(plan) {
            plan.seconds = Duration::from_secs_f64(seconds);
            plan.warm_up = Duration::from_secs_f64(seconds / 3.0);
            let latency = self.goal.latency_ms.map(|ms| Duration::from_secs_f64(ms / 1000.0));
            let is_last = matches!(levels, Levels::Both(..));
            let precision = if is_last { PRECISION_AT_LAST } else { PRECISION };
            plan.stop = Some(Stop { precision, worth, latency });
        }
    }
}

fn level(concurrency: u32, point: &Point) -> Level {
    let latencies = &point.record.latencies;
    let p99_ms = latencies.value_at_quantile(0.99) as f64 / 1e6;
    let mean = latencies.mean() / 1e9;
    // In a closed loop so many are always under way: how long they take tells how many there are in a second.
    let is_few = point.record.answered() < MANY && mean > 0.0;
    let rate = if is_few { f64::from(concurrency) / mean } else { point.rate() };
    Level { concurrency, rate, p99_ms }
}
