//! What the engine says, in our log: a line a message, with the name of the model that it is about, and what it would say again
//! for every request once.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ort::logging::LogLevel;
use parking_lot::Mutex;
use tracing::{Level, debug, enabled, error, trace, warn};

/// Begins the log id of a session; the model's name follows. Other ids are not a model's.
const OF_MODEL: &str = "model ";

/// Warnings of a model that are told. A model that has more has said enough.
const MOST: usize = 100;

/// What was told of each model that is loaded.
static TOLD: Mutex<BTreeMap<Arc<str>, Told>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Told {
    /// How many versions of the model there are.
    versions: usize,
    messages: BTreeSet<String>,
}

/// The log id for the sessions of a model.
pub(crate) fn log_id(model: &str) -> String {
    format!("{OF_MODEL}{model}")
}

/// What the engine need not even put into words.
pub(crate) fn log_level() -> LogLevel {
    if enabled!(target: "onnxruntime", Level::TRACE) {
        LogLevel::Verbose
    } else if enabled!(target: "onnxruntime", Level::DEBUG) {
        LogLevel::Info
    } else {
        LogLevel::Warning
    }
}

/// Called on the engine's threads. What it calls an error is also the error of a request or a load, and told there.
pub(crate) fn log(level: LogLevel, _category: &str, id: &str, location: &str, message: &str) {
    let model = id.strip_prefix(OF_MODEL);
    let line = one_line(message);
    match level {
        LogLevel::Verbose => trace!(target: "onnxruntime", model, location, "{line}"),
        LogLevel::Info => debug!(target: "onnxruntime", model, location, "{line}"),
        LogLevel::Fatal => error!(target: "onnxruntime", model, location, "{line}"),
        LogLevel::Warning | LogLevel::Error => {
            if model.is_none_or(|model| is_new(model, &line)) {
                warn!(target: "onnxruntime", model, location, "{line}");
            } else {
                debug!(target: "onnxruntime", model, location, "{line}");
            }
        }
    }
}

fn one_line(message: &str) -> Cow<'_, str> {
    let message = message.trim();
    if !message.contains(['\n', '\r']) {
        return message.into();
    }
    let lines = message.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").into()
}

/// Whether this was not told of a loaded model before, with whatever shapes in it.
fn is_new(model: &str, line: &str) -> bool {
    let mut told = TOLD.lock();
    // Not a loaded model's: nobody would forget it again.
    let Some(told) = told.get_mut(model) else { return true };
    told.messages.len() < MOST && told.messages.insert(without_shapes(line))
}

/// The text without what is between braces, as the engine writes shapes.
fn without_shapes(line: &str) -> String {
    let mut parts = line.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('}').map_or(part, |(_, behind)| behind))
}

/// A version of a model, of which messages are told once as long as this lives.
#[derive(Debug)]
pub(crate) struct Remembered(Arc<str>);

impl Remembered {
    /// Of a version that is about to be loaded, whose messages are told again.
    pub(crate) fn of(model: &Arc<str>) -> Remembered {
        let mut told = TOLD.lock();
        let entry = told.entry(Arc::clone(model)).or_default();
        entry.versions += 1;
        entry.messages.clear();
        Remembered(Arc::clone(model))
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        let mut told = TOLD.lock();
        if let Some(entry) = told.get_mut(&self.0) {
            entry.versions -= 1;
            if entry.versions == 0 {
                told.remove(&self.0);
            }
        }
    }
}
