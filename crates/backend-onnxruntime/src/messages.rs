//! The engine's messages in the log: one line each, with the name of the model; messages that would repeat with every
//! request are logged once.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ort::logging::LogLevel;
use parking_lot::Mutex;
use tracing::{Level, debug, enabled, error, trace, warn};

/// The prefix of a session's log id; the model's name follows. Other ids do not belong to a model.
const OF_MODEL: &str = "model ";

/// The most warnings that are logged of a model.
const MOST: usize = 100;

/// The messages logged of each loaded model.
static LOGGED: Mutex<BTreeMap<Arc<str>, Logged>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Logged {
    /// The number of loaded versions of the model.
    versions: usize,
    messages: BTreeSet<String>,
}

/// The log id of a model's sessions.
pub(crate) fn log_id(model: &str) -> String {
    format!("{OF_MODEL}{model}")
}

/// The lowest level at which the engine produces messages.
pub(crate) fn log_level() -> LogLevel {
    if enabled!(target: "onnxruntime", Level::TRACE) {
        LogLevel::Verbose
    } else if enabled!(target: "onnxruntime", Level::DEBUG) {
        LogLevel::Info
    } else {
        LogLevel::Warning
    }
}

/// Logs a message; called on the engine's threads. Errors become warnings, because the request or the load reports them
/// as well.
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

/// Whether no such message of a loaded model was logged before; shapes in it are ignored, and which weight it is about.
fn is_new(model: &str, line: &str) -> bool {
    let mut logged = LOGGED.lock();
    // Not a loaded model: its messages would never be forgotten.
    let Some(logged) = logged.get_mut(model) else { return true };
    logged.messages.len() < MOST && logged.messages.insert(subject(line))
}

/// What a message is about: several of the same subject are logged once.
fn subject(line: &str) -> String {
    match line.split_once(" appears in graph inputs") {
        // There is one for each weight of a model, where an old exporter lists weights among the inputs.
        Some((weight, behind)) if weight.starts_with("Initializer ") => behind.to_owned(),
        _ => without_shapes(line),
    }
}

/// The text without the parts in braces, which are shapes.
fn without_shapes(line: &str) -> String {
    let mut parts = line.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('}').map_or(part, |(_, behind)| behind))
}

/// Keeps the logged messages of a model as long as one of its versions is loaded.
#[derive(Debug)]
pub(crate) struct LoggedMessages(Arc<str>);

impl LoggedMessages {
    /// To be called before a version is loaded; messages of the model are logged again then.
    pub(crate) fn of(model: &Arc<str>) -> LoggedMessages {
        let mut logged = LOGGED.lock();
        let entry = logged.entry(Arc::clone(model)).or_default();
        entry.versions += 1;
        entry.messages.clear();
        LoggedMessages(Arc::clone(model))
    }
}

impl Drop for LoggedMessages {
    fn drop(&mut self) {
        let mut logged = LOGGED.lock();
        if let Some(entry) = logged.get_mut(&self.0) {
            entry.versions -= 1;
            if entry.versions == 0 {
                logged.remove(&self.0);
            }
        }
    }
}
