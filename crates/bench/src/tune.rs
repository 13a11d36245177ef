//! `hippocamp tune`: tries settings of a model under load, and writes the best into its config.

mod args;
mod measure;
mod search;
mod settings;
mod svg;
mod table;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_client::{Failure, Result};
use hippocamp_core::InferenceServer;
use hippocamp_model_config::is_ensemble;

pub use args::TuneArgs;
use measure::Measurement;
use search::{Goal, Tried, search};
use settings::{Settings, Space};

use crate::bench::{session, write};

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
}

#[derive(Debug)]
struct Change {
    path: PathBuf,
    text: String,
    is_written: bool,
}

/// Tries settings of a model that `server` has loaded from a local repository. Clients must be able to load models of it.
///
/// # Errors
/// If the model cannot be asked or has no config that can be edited, or files cannot be written.
pub async fn tune(args: &TuneArgs, server: &Arc<InferenceServer>) -> Result<Tuned> {
    let model = server.model(&args.model, None).map_err(|error| Failure::new(error.to_string()))?;
    if is_ensemble(&model.config) {
        return Err(Failure::new(format!("'{}' is an ensemble: tune the models of its steps", args.model)));
    }
    let written = server.written_config(&args.model);
    let Some((path, text)) = written.and_then(|written| Some((written.path, written.text?))) else {
        return Err(Failure::new(format!(
            "'{}' has no config.pbtxt that could be edited; `hippocamp config` writes one",
            args.model
        )));
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let space = Space::of(&model.config, args, u32::try_from(cores).unwrap_or(u32::MAX));
    drop(model);
    let goal = Goal { latency_ms: args.latency };
    let mut measurement = Measurement { args, server, text: &text, session: session(&args.bench())?, goal };
    let tried = search(&space, goal, async |settings: &Settings| measurement.run(settings).await).await?;
    let best = best(&tried, goal);
    let mut change = None;
    if best > 0 {
        let text = settings::edited(&text, &tried[best].settings)?;
        if !args.dry_run {
            write_config(&path, &text)?;
        }
        change = Some(Change { path, text, is_written: !args.dry_run });
    }
    let tuned = Tuned { model: args.model.clone(), goal, tried, best, change };
    if let Some(file) = &args.svg {
        write(file, &svg::render(&tuned))?;
    }
    Ok(tuned)
}

/// Which of them is best: the first, unless another one is clearly better.
fn best(tried: &[Tried], goal: Goal) -> usize {
    let score = |index: usize| tried[index].outcome.score(goal);
    (1..tried.len())
        .fold(0, |best, index| if search::is_better(score(index), score(best)) { index } else { best })
}

/// Replaces the config at once.
fn write_config(path: &Path, text: &str) -> Result<()> {
    let failed = |why: std::io::Error| Failure::new(format!("{} cannot be written: {why}", path.display()));
    // A link stays a link.
    let path = fs::canonicalize(path).map_err(failed)?;
    let before = fs::metadata(&path).map_err(failed)?;
    let partial = path.with_extension(format!("pbtxt.{}.partial", std::process::id()));
    fs::write(&partial, text).map_err(failed)?;
    // Whoever owned it goes on to. Others than root may not give files away.
    drop(chown(&partial, Some(before.uid()), Some(before.gid())));
    fs::set_permissions(&partial, before.permissions()).map_err(failed)?;
    fs::rename(&partial, &path).map_err(failed)
}

impl Tuned {
    /// The result for people.
    pub fn table(&self) -> String {
        table::render(self)
    }
}
