//! Reports images that could not be decoded and were replaced by black ones, in the log and in the response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{ParameterValue, Parameters};
use parking_lot::Mutex;

/// Response parameters: the indices of the replaced rows from 0, separated by commas, and the reason of the first one.
const ROWS: &str = "replaced_pictures";
const REASON: &str = "replaced_pictures_reason";

/// The least time between two log lines of a model, so that a client that sends many broken images cannot flood the
/// log.
const PAUSE: Duration = Duration::from_secs(1);

/// The replaced images of one request.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    rows: Vec<usize>,
    /// Why the first of them could not be decoded.
    reason: String,
}

impl Replaced {
    pub(crate) fn add(&mut self, row: usize, reason: String) {
        if self.rows.is_empty() {
            self.reason = reason;
        }
        self.rows.push(row);
    }

    /// Adds the response parameters, and writes a line to the log.
    pub(crate) fn report(self, parameters: &mut Parameters, log: &ReplacedLog) {
        if self.rows.is_empty() {
            return;
        }
        log.report(self.rows.len(), &self.reason, Instant::now());
        let rows: Vec<String> = self.rows.iter().map(ToString::to_string).collect();
        parameters.set(ROWS, ParameterValue::String(rows.join(",").into()));
        parameters.set(REASON, ParameterValue::String(self.reason.into()));
    }
}

/// Limits the rate of a model's log lines; shared by its instances.
#[derive(Debug)]
pub(crate) struct ReplacedLog {
    model: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    /// The number of requests since the last line, for which none was written.
    unreported: u64,
}

impl ReplacedLog {
    pub(crate) fn new(model: &Arc<str>) -> Arc<ReplacedLog> {
        Arc::new(ReplacedLog { model: Arc::clone(model), state: Mutex::default() })
    }

    fn report(&self, pictures: usize, reason: &str, now: Instant) {
        let Some(unreported) = self.admit(now) else { return };
        let more = if pictures > 1 { format!(", {pictures} of them in this request") } else { String::new() };
        let before = if unreported > 0 {
            format!(", and {unreported} requests since the last line")
        } else {
            String::new()
        };
        tracing::warn!(
            model = &*self.model,
            "model '{}': a black picture stands in for what is none{more}{before}: {reason}",
            self.model
        );
    }

    /// Whether a line may be written now; if so, for how many requests none was written before.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.unreported += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second() {
        let log = ReplacedLog::new(&"m".into());
        let begin = Instant::now();
        let after = |ms| log.admit(begin + Duration::from_millis(ms));
        assert_eq!([after(0), after(1), after(999)], [Some(0), None, None]);
        assert_eq!([after(1000), after(1500), after(2500)], [Some(2), None, Some(1)]);
    }
}
