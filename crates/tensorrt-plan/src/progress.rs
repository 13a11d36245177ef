//! How far a build is, on standard error.

#![allow(clippy::print_stderr, reason = "the progress of a command")]

use std::collections::BTreeMap;
use std::time::Instant;

use hippocamp_tensorrt_sys::build::Progress;
use parking_lot::Mutex;

/// Tells of the outer phases, and of the steps of long ones.
pub(crate) struct OnStandardError {
    started: Instant,
    phases: Mutex<BTreeMap<String, Phase>>,
}

#[derive(Clone, Copy)]
struct Phase {
    depth: usize,
    steps: i32,
    /// The tenth that was told last.
    told: i32,
}

/// Phases within phases within phases are of milliseconds.
const DEEPEST: usize = 1;
/// A phase of fewer steps says when it begins only.
const LONG: i32 = 20;

impl OnStandardError {
    pub(crate) fn new() -> OnStandardError {
        OnStandardError { started: Instant::now(), phases: Mutex::default() }
    }

    fn line(&self, depth: usize, text: &str) {
        eprintln!("{:7.1} s  {}{text}", self.started.elapsed().as_secs_f64(), "  ".repeat(depth));
    }
}

impl Progress for OnStandardError {
    fn begins(&self, phase: &str, parent: Option<&str>, steps: i32) {
        let mut phases = self.phases.lock();
        let depth = parent.and_then(|parent| phases.get(parent)).map_or(0, |parent| parent.depth + 1);
        phases.insert(phase.to_owned(), Phase { depth, steps, told: 0 });
        if depth <= DEEPEST {
            self.line(depth, phase);
        }
    }

    fn step(&self, phase: &str, step: i32) -> bool {
        if let Some(phase_now) = self.phases.lock().get_mut(phase)
            && phase_now.depth <= DEEPEST
            && phase_now.steps >= LONG
        {
            let tenth = step.saturating_add(1).saturating_mul(10) / phase_now.steps;
            if tenth > phase_now.told {
                phase_now.told = tenth;
                self.line(phase_now.depth, &format!("{phase}: {} %", tenth * 10));
            }
        }
        true
    }

    fn ends(&self, phase: &str) {
        self.phases.lock().remove(phase);
    }
}
