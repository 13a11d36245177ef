//! Mends what a check found, where the cure is certain: configs are edited, and model files moved into folders of versions.
//!
//! What is tried is checked before anything is written, on a repository of links to the real one: as long as a change
//! brings further faults to light, these are mended as well. What does not make a model load in the end is not written.

mod cures;
mod diff;
mod draft;
mod overlay;
mod plans;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_core::{Settings, Severity};
use hippocamp_repository::RepositoryLocation;

use crate::{CheckOptions, CheckedModel, Report, check};
use cures::Cures;
pub use draft::Draft;
use overlay::Overlay;

/// How often the faults that a change brought to light are mended in turn.
const ROUNDS: usize = 8;

/// What was done about a model that could not be loaded.
#[derive(Debug)]
pub struct Fix {
    pub model: String,
    /// Its config.
    pub path: PathBuf,
    /// The changes as a unified diff, and a line for each file that is moved.
    pub changes: String,
    pub outcome: Outcome,
}

/// What became of a fix.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model loads with it, and it was written.
    Written,
    /// The model loads with it. Nothing was to be written.
    Shown,
    /// It was not written: the model does not load with it either, for this reason.
    LeftAlone(String),
    /// It could not be written, for this reason.
    Failed(String),
}

/// A model within the repositories: the number of its repository, and the name of its folder.
type Place = (usize, String);

/// What is to become of a model's folder.
#[derive(Clone, Debug)]
struct Change {
    /// The config, within the folder; `None` if there is none.
    config: Option<PathBuf>,
    /// The config's text as it is, and as it is to be.
    before: String,
    after: String,
    /// Files that are moved, from and to within the folder.
    moves: Vec<(PathBuf, PathBuf)>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.before == self.after && self.moves.is_empty()
    }
}

/// Mends the repositories as far as the cure of a fault is certain. Returns what was done, and the report of a check: of the
/// repositories as they are then, or as they were if `is_dry` says that nothing is to be written.
pub fn fix(
    settings: &Settings,
    backends: &[Arc<dyn Backend>],
    options: CheckOptions,
    is_dry: bool,
) -> (Vec<Fix>, Report) {
    let first = check(settings, backends, options);
    let roots: Vec<PathBuf> = settings.repositories.iter().filter_map(folder).collect();
    let is_whole = roots.len() == settings.repositories.len();
    if first.counts().0 == 0 {
        return (Vec::new(), first);
    }
    if !is_whole {
        let mut report = first;
        report
            .advice
            .push("nothing is fixed, as not all repositories are folders of this machine".to_owned());
        return (Vec::new(), report);
    }
    let shared = shared(&first, &roots);
    let mut changes = BTreeMap::new();
    let last = match tried(settings, backends, options, &roots, &first, &mut changes) {
        Ok(last) => last,
        Err(why) => {
            let mut report = first;
            report.repositories.push(format!("fixes could not be tried: {why}"));
            return (Vec::new(), report);
        }
    };
    let mut fixes = Vec::new();
    for ((root, name), change) in changes.into_iter().filter(|(_, change)| !change.is_empty()) {
        let folder = roots[root].join(&name);
        let path = change.config.as_ref().map_or_else(|| folder.clone(), |config| folder.join(config));
        let place = (root, name.clone());
        let outcome = match last.get(&place) {
            _ if shared.contains(&place) => {
                Outcome::LeftAlone("another model has the same config, by a link".to_owned())
            }
            Some(Some(why)) => Outcome::LeftAlone(why.clone()),
            None => Outcome::LeftAlone("it was not there when the fix was tried".to_owned()),
            Some(None) if is_dry => Outcome::Shown,
            Some(None) => write::write(&folder, &change).map_or_else(Outcome::Failed, |()| Outcome::Written),
        };
        fixes.push(Fix { model: name, changes: diff::changes(&path, &change), path, outcome });
    }
    let is_written = fixes.iter().any(|fix| fix.outcome == Outcome::Written);
    let report = if is_written { check(settings, backends, options) } else { first };
    (fixes, report)
}

/// The models whose config is that of another one as well. They are not written, and so are not tried: what they are steps of may
/// not count on them.
fn shared(report: &Report, roots: &[PathBuf]) -> BTreeSet<Place> {
    let mut by_file: BTreeMap<PathBuf, Vec<Place>> = BTreeMap::new();
    for model in &report.models {
        if let (Ok(file), Some((place, _))) = (std::fs::canonicalize(&model.path), place(model, roots)) {
            by_file.entry(file).or_default().push(place);
        }
    }
    by_file.into_values().filter(|places| places.len() > 1).flatten().collect()
}

/// The first error of each model, if it has any.
type Errors = BTreeMap<Place, Option<String>>;

/// Adds cures to the changes, and tries them, until no further fault has one. Returns what is wrong with each model then.
fn tried(
    settings: &Settings,
    backends: &[Arc<dyn Backend>],
    options: CheckOptions,
    roots: &[PathBuf],
    first: &Report,
    changes: &mut BTreeMap<Place, Change>,
) -> std::io::Result<Errors> {
    let shared = shared(first, roots);
    let mut errors = add_cures(first, roots, roots, backends, changes).1;
    for round in 0..ROUNDS {
        let of_their_own = changes.iter().filter(|(place, _)| !shared.contains(*place));
        let of_their_own: BTreeMap<_, _> =
            of_their_own.map(|(p, change)| (p.clone(), change.clone())).collect();
        if of_their_own.values().all(Change::is_empty) {
            break;
        }
        let overlay = Overlay::new(roots, &of_their_own)?;
        let locations = overlay.roots.iter().cloned().map(RepositoryLocation::Local).collect();
        let tried = check(&Settings { repositories: locations, ..settings.clone() }, backends, options);
        let is_last = round + 1 == ROUNDS;
        let mut further = changes.clone();
        let (is_changed, now) = add_cures(&tried, &overlay.roots, roots, backends, &mut further);
        errors = now;
        if !is_changed || is_last {
            break;
        }
        *changes = further;
    }
    Ok(errors)
}

/// Adds the cures of all errors in a report of repositories at `seen`, whose models are in `roots`. Returns whether there were
/// any, and the errors.
fn add_cures(
    report: &Report,
    seen: &[PathBuf],
    roots: &[PathBuf],
    backends: &[Arc<dyn Backend>],
    changes: &mut BTreeMap<Place, Change>,
) -> (bool, Errors) {
    let (mut is_changed, mut errors) = (false, Errors::new());
    let cures = Cures::new(report, backends);
    for model in &report.models {
        let Some((place, config)) = place(model, seen) else { continue };
        let folder = roots[place.0].join(&place.1);
        let engine = cures.missing_engine(model);
        let mut own = model.findings.iter().filter(|(finding, _)| finding.severity == Severity::Error);
        errors.insert(place.clone(), own.next().map(|(finding, _)| finding.message.clone()).or(engine));
        let fresh =
            Change { config, before: model.text.clone(), after: model.text.clone(), moves: Vec::new() };
        let change = changes.entry(place).or_insert(fresh);
        is_changed |= cures.add(model, &folder, change);
    }
    (is_changed, errors)
}

/// Where a model is, and its config within its folder.
fn place(model: &CheckedModel, roots: &[PathBuf]) -> Option<(Place, Option<PathBuf>)> {
    let mut within = roots.iter().enumerate();
    let (root, rest) =
        within.find_map(|(index, root)| Some((index, model.path.strip_prefix(root).ok()?.to_owned())))?;
    let mut parts = rest.components();
    let name = parts.next()?.as_os_str().to_str()?.to_owned();
    let config = Some(parts.as_path().to_owned()).filter(|config| !config.as_os_str().is_empty());
    Some(((root, name), config))
}

fn folder(location: &RepositoryLocation) -> Option<PathBuf> {
    match location {
        RepositoryLocation::Local(path) => Some(path.clone()),
        RepositoryLocation::Remote(_) => None,
    }
}

#[cfg(test)]
mod tests;
