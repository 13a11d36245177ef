//! The faults of configs of models that have no version: a config that cannot be read is no version's, and the index says nothing
//! of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hippocamp_core::{InferenceServer, Severity};

/// How long what was found is told again.
const LASTING: Duration = Duration::from_secs(10);
/// The most configs that are checked for an answer. Others come with the next one.
const CHECKS: usize = 50;

/// What was found lately, by model.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: BTreeMap<String, (Instant, Option<String>)>,
    checked: usize,
}

impl Faults {
    /// Begins an answer: forgets the models that are none of it.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.found.retain(|name, _| is_there(name));
        self.checked = 0;
    }

    /// The first fault of a model's config, as far as it is known.
    pub(crate) fn of(&mut self, server: &InferenceServer, name: &str) -> Option<String> {
        let known = self.found.get(name);
        if let Some((at, fault)) = known
            && (at.elapsed() < LASTING || self.checked >= CHECKS)
        {
            return fault.clone();
        }
        if self.checked >= CHECKS {
            return None;
        }
        self.checked += 1;
        let fault = look(server, name);
        self.found.insert(name.to_owned(), (Instant::now(), fault.clone()));
        fault
    }
}

fn look(server: &InferenceServer, name: &str) -> Option<String> {
    let findings = server.written_config(name)?.findings;
    let (error, _) = findings.into_iter().find(|(finding, _)| finding.severity == Severity::Error)?;
    Some(match error.line {
        0 => error.message,
        line => format!("line {line} of its config: {}", error.message),
    })
}
