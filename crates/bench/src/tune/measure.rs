//! Loads the model with settings, and measures it with more and more requests under way.

use std::sync::Arc;

use hippocamp_client::{Failure, Result};
use hippocamp_core::{InferenceServer, LoadOverrides};
use hippocamp_model_config::{parse, to_json};

use super::TuneArgs;
use super::search::{Goal, Level, Outcome};
use super::settings::{Settings, edited};
use crate::measure::Session;
use crate::plan::Load;
use crate::prepare::prepare_local;

/// A level that has less than this more than the one before is no gain.
const GROWTH: f64 = 1.03;

pub(crate) struct Measurement<'a> {
    pub(crate) args: &'a TuneArgs,
    pub(crate) server: &'a Arc<InferenceServer>,
    /// The config as it is written.
    pub(crate) text: &'a str,
    pub(crate) session: Session,
    pub(crate) goal: Goal,
}

impl Measurement<'_> {
    pub(crate) async fn run(&mut self, settings: &Settings) -> Result<Outcome> {
        let text = edited(self.text, settings)?;
        let config = parse(&text, "config.pbtxt").map_err(|faults| Failure::new(faults.to_string()))?.config;
        let overrides = LoadOverrides { config: Some(to_json(&config)), ..LoadOverrides::default() };
        if let Err(error) = self.server.load_in_any_mode(&self.args.model, overrides).await {
            return Ok(Outcome { levels: Vec::new(), refused: Some(error.to_string()) });
        }
        let ready = self.session.interruptible(prepare_local(&self.args.bench(), self.server)).await?;
        let mut levels: Vec<Level> = Vec::new();
        let mut flat = 0;
        let doubled = std::iter::successors(Some(1u32), |concurrency| concurrency.checked_mul(2));
        for concurrency in doubled.take_while(|concurrency| *concurrency <= self.args.concurrency) {
            self.session.progress.title(&format!("{settings}; {concurrency} under way"));
            let point = self.session.measure(&ready.plan, Load::Closed { concurrency }).await?;
            if point.is_interrupted {
                return Err(Failure::new("interrupted; the config is as it was"));
            }
            if let Some((error, count)) = point.record.errors.iter().next() {
                return Ok(Outcome { levels, refused: Some(format!("{count} requests failed: {error}")) });
            }
            let p99_ms = point.record.latencies.value_at_quantile(0.99) as f64 / 1e6;
            let level = Level { concurrency, rate: point.rate(), p99_ms };
            let before = levels.last().map_or(0.0, |level| level.rate);
            flat = if level.rate < before * GROWTH { flat + 1 } else { 0 };
            levels.push(level);
            // A batch may need twice as many requests to be filled, so that one flat step is not the end.
            let is_late = self.goal.latency_ms.is_some_and(|most| p99_ms > 2.0 * most);
            if flat == 2 || is_late {
                break;
            }
        }
        drop(ready.finish().await);
        Ok(Outcome { levels, refused: None })
    }
}
