//! Whether an instance's runs are divided among the threads of the shared pool.
//!
//! The engine divides the work of an operator by its size alone. Its threads sleep when they have nothing to do, so each
//! division wakes them, and waits for the last one to get a core. A run of some hundred microseconds takes as long with
//! them as without, and several times the CPU time. An instance of a [small model](SmallModel) whose runs
//! are that short therefore gets a session which computes on the calling thread alone, and uses it as long as that is
//! no slower, or fast enough.

#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::arena::OpenSession;
use crate::small_model::SmallModel;

/// A run that takes no longer on one thread is not divided, whatever that would gain.
const SHORT: Duration = Duration::from_micros(200);

/// A divided run that takes longer says that it is worth dividing.
const LONG: Duration = Duration::from_millis(2);

/// A run that is shorter than this was not divided, or did not suffer from it.
const SHORTEST: Duration = Duration::from_micros(15);

/// Every so many runs one is timed, before there is a choice.
const SAMPLE: u32 = 16;

/// How many timed runs between [`SHORTEST`] and [`LONG`] make it worth having a choice.
const ENOUGH: u32 = 16;

/// Every so many runs the slower way is tried again.
const AGAIN: u32 = 256;

/// Sizes of inputs are told apart by powers of two.
const SIZES: usize = 32;

/// The session of an instance that computes on the calling thread alone, if it has one.
#[derive(Debug)]
pub(crate) struct Undivided(State);

#[derive(Debug)]
enum State {
    /// Nothing is divided, or the model is large.
    Never,
    Watched {
        model: Arc<SmallModel>,
        runs: u32,
        between: u32,
    },
    /// A thread opens the session.
    Opening(JoinHandle<Option<Arc<OpenSession>>>),
    Open {
        session: Arc<OpenSession>,
        choices: Box<[Choice; SIZES]>,
    },
}

/// A run that begins.
#[derive(Debug)]
pub(crate) struct Turn {
    began: Option<Instant>,
    took: Duration,
    size: usize,
    pub(crate) is_undivided: bool,
}

impl Turn {
    /// To be called when the engine has run.
    pub(crate) fn stop(&mut self) {
        if let Some(began) = self.began {
            self.took = began.elapsed();
        }
    }
}

impl Undivided {
    /// Of an instance whose session divides its runs. `None` if there is no other way.
    pub(crate) fn of(model: Option<Arc<SmallModel>>) -> Undivided {
        Undivided(model.map_or(State::Never, |model| State::Watched { model, runs: 0, between: 0 }))
    }

    /// The session for a turn that is undivided.
    pub(crate) fn session(&self) -> Option<&OpenSession> {
        match &self.0 {
            State::Open { session, .. } => Some(session),
            _ => None,
        }
    }

    /// Decides about a run whose inputs have `bytes` bytes.
    pub(crate) fn begin(&mut self, bytes: usize) -> Turn {
        let size = (bytes.max(1).ilog2() as usize).min(SIZES - 1);
        let (is_timed, is_undivided) = match &mut self.0 {
            State::Never => (false, false),
            State::Watched { runs, .. } => {
                *runs = runs.wrapping_add(1);
                (runs.is_multiple_of(SAMPLE), false)
            }
            State::Opening(opening) => {
                if opening.is_finished() {
                    self.opened();
                }
                (false, false)
            }
            State::Open { choices, .. } => (true, choices[size].is_undivided()),
        };
        let began = is_timed.then(Instant::now);
        Turn { began, took: Duration::ZERO, size, is_undivided }
    }

    /// Notes a run that has stopped.
    pub(crate) fn end(&mut self, turn: &Turn) {
        if turn.began.is_none() {
            return;
        }
        match &mut self.0 {
            State::Watched { model, between, .. } if (SHORTEST..LONG).contains(&turn.took) => {
                *between += 1;
                if *between == ENOUGH {
                    let model = Arc::clone(model);
                    let opening = thread::Builder::new().name("ort-session".into());
                    let opening = opening.spawn(move || model.open());
                    self.0 = opening.map_or(State::Never, State::Opening);
                }
            }
            State::Open { choices, .. } => choices[turn.size].note(turn),
            _ => {}
        }
    }

    #[cold]
    fn opened(&mut self) {
        if let State::Opening(opening) = mem::replace(&mut self.0, State::Never)
            && let Ok(Some(session)) = opening.join()
        {
            self.0 = State::Open { session, choices: Box::default() };
        }
    }
}

impl Drop for Undivided {
    fn drop(&mut self) {
        // So that nothing of the model is left behind.
        self.opened();
    }
}

/// How long runs of one size take both ways: moving averages in nanoseconds, 0 where it is unknown.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    divided: u32,
    undivided: u32,
    runs: u32,
}

impl Choice {
    fn is_undivided(&mut self) -> bool {
        self.runs = self.runs.wrapping_add(1);
        let Choice { divided, undivided, runs } = *self;
        if divided == 0 {
            return false;
        }
        if undivided == 0 {
            return u128::from(divided) < LONG.as_nanos();
        }
        if u128::from(undivided) <= SHORT.as_nanos() {
            return true;
        }
        (undivided <= divided) != runs.is_multiple_of(AGAIN)
    }

    fn note(&mut self, turn: &Turn) {
        let average = if turn.is_undivided { &mut self.undivided } else { &mut self.divided };
        let took = u32::try_from(turn.took.as_nanos()).unwrap_or(u32::MAX).max(1);
        *average = if *average == 0 { took } else { *average - *average / 8 + took / 8 };
    }
}
