//! `hippocamp tune`: tries settings of a model under load, and writes the best into its config.

mod args;
mod comparison;
mod finals;
mod levels;
mod measure;
mod others;
mod outcome;
mod search;
mod settings;
mod svg;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_check::Draft;
use hippocamp_client::{Failure, Result};
use hippocamp_core::InferenceServer;
use hippocamp_model_config::{is_ensemble, parse, sequence_batching};

pub use args::TuneArgs;
use measure::Measurement;
use outcome::{Goal, Tried};
use search::{Found, search};
use settings::{Settings, Space};

use crate::bench::{has_folder, session, write};

/// What was tried, and what is best.
#[derive(Debug)]
pub struct Tuned {
    model: String,
    goal: Goal,
    tried: Vec<Tried>,
    /// The index of the best in `tried`, of which the first is the config as it was.
    best: usize,
    /// The config with the best settings, where these differ.
    change: Option<Change>,
    /// The share of the machine that other processes took meanwhile.
    others: Option<f64>,
}

#[derive(Debug)]
struct Change {
    path: PathBuf,
    text: String,
    is_written: bool,
}

/// Tries settings of a model that `server` has loaded from the repositories of `draft`, if it has a config that can be edited.
///
/// # Errors
/// If the model cannot be asked or has no config that can be edited, or files cannot be written.
pub async fn tune(args: &TuneArgs, server: &Arc<InferenceServer>, draft: Option<&Draft>) -> Result<Tuned> {
    let model = server.model(&args.model, None).map_err(|error| Failure::new(error.to_string()))?;
    if is_ensemble(&model.config) {
        return Err(Failure::new(format!("'{}' is an ensemble: tune the models of its steps", args.model)));
    }
    if sequence_batching(&model.config).is_some() {
        return Err(Failure::new(format!(
            "'{0}' takes sequences, whose settings are not tried; `hippocamp bench {0} --sequences N` measures it",
            args.model
        )));
    }
    let Some(draft) = draft else {
        return Err(Failure::new(format!(
            "'{}' has no config.pbtxt that could be edited; `hippocamp config` writes one",
            args.model
        )));
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let written =
        parse(draft.text(), "config.pbtxt").map_err(|faults| Failure::new(faults.to_string()))?.config;
    let space = Space::of(&written, &model.config, args, u32::try_from(cores).unwrap_or(u32::MAX));
    drop(model);
    if space.is_empty() {
        return Err(Failure::new(format!(
            "'{}' has no settings that could be tried: its instance_group names GPUs or has several groups, and it takes no batches, \
             or --only leaves these out",
            args.model
        )));
    }
    has_folder("--svg", args.svg.as_deref())?;
    let goal = Goal { latency_ms: args.latency };
    let mut measurement = Measurement::new(args, server, draft, session(&args.bench())?, goal);
    let measure = async |settings: &Settings, levels, worth| measurement.run(settings, levels, worth).await;
    let found = search(&space, goal, args.svg.is_some(), measure).await;
    let others = measurement.others();
    let Found { tried, best } = found?;
    if let Some(why) = &tried[best].outcome.refused {
        return Err(Failure::new(format!("'{}' cannot be measured with any settings: {why}", args.model)));
    }
    let mut change = None;
    if best > 0 {
        let text = settings::edited(draft.text(), &tried[best].settings)?;
        let path = draft.path().to_owned();
        if !args.dry_run {
            let failed = |why| Failure::new(format!("{} is left as it is: {why}", path.display()));
            draft.write(&text).map_err(failed)?;
        }
        change = Some(Change { path, text, is_written: !args.dry_run });
    }
    let tuned = Tuned { model: args.model.clone(), goal, tried, best, change, others };
    if let Some(file) = &args.svg {
        write(file, &svg::render(&tuned))?;
    }
    Ok(tuned)
}

impl Tuned {
    /// The result for people.
    pub fn table(&self) -> String {
        table::render(self)
    }
}
