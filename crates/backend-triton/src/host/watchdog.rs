//! Calls of the Python backend that may never return. It waits without a limit for its processes, so that the end of one at the wrong
//! moment leaves a call waiting: an initialization, if the stub ends while it starts; a finalization, if it ends before it has
//! answered.
//!
//! Such a call has a thread of its own, but for executions: their thread is left alone by the scheduler. When the process has ended that it waits for, and it still has not returned after some
//! time, the thread is left alone. What the backend may use stays with the thread: handles stay good, and the objects are
//! finalized by it, in the usual order, if the call returns after all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use hippocamp_python_stubs::{Activity, Children, Stub, this_thread};
use parking_lot::{Condvar, Mutex};
use tracing::{error, warn};

use super::terminated::{self, Terminated};

/// How often it is looked whether the process has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How long a call may take to notice that its process has ended. It has something to read then, and answers with an error.
const GRACE: Duration = Duration::from_secs(5);
/// How long a call may take that waits for no process.
const LONGEST: Duration = Duration::from_secs(30);
/// So many threads may be left alone; then no instance of a Python model is made any more.
const MOST: usize = 64;

static LEFT_ALONE: AtomicUsize = AtomicUsize::new(0);

/// How many calls have not returned though what they wait for has ended.
pub(crate) fn left_alone() -> usize {
    LEFT_ALONE.load(Ordering::Relaxed)
}

/// Counts a call that is made elsewhere, on a thread that was left alone. Returns how many there are now.
pub(super) fn leave() -> usize {
    LEFT_ALONE.fetch_add(1, Ordering::Relaxed) + 1
}

/// Counts it no more.
pub(super) fn is_back() {
    LEFT_ALONE.fetch_sub(1, Ordering::Relaxed);
}

/// The same of one that has returned after all.
pub(super) fn returned(what: &str, name: &str) {
    is_back();
    warn!(instance = name, "{what} of the Python backend returned late");
}

/// What a call waits for.
#[derive(Clone, Debug)]
pub(super) enum Awaited {
    /// Processes that it starts itself, with regions whose names begin so.
    Started(String),
    /// A stub that runs; `None` if it was not found, which is waited for as long as it takes.
    Stub(Option<Arc<Stub>>),
    /// Nothing that could take long.
    Nothing,
}

impl Awaited {
    /// The region that nobody removes if the call does not return.
    fn region(&self) -> Option<String> {
        match self {
            Awaited::Stub(Some(stub)) => stub.region().map(str::to_owned),
            Awaited::Stub(None) | Awaited::Started(_) | Awaited::Nothing => None,
        }
    }
}

/// A call that did not return.
#[derive(Debug)]
pub(super) struct Abandoned {
    /// How the process has ended.
    pub(super) how: String,
    /// Its region, which nobody removes now.
    pub(super) region: Option<String>,
}

/// What a call has is here until somebody takes it.
#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Condvar,
    /// The call has ended by an exception that nobody catches.
    terminated: Terminated,
}

#[derive(Debug)]
enum State<K> {
    Begins(K),
    /// On the thread of that number.
    Runs(i32),
    Returned(K, Result<()>),
    LeftAlone,
    Over,
}

/// Fails if so many calls have been left alone that no further one may.
pub(super) fn check() -> Result<()> {
    let left = left_alone();
    if left < MOST {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "{left} calls of the Python backend have never returned, as their processes have ended: start the server again"
    )))
}

/// Makes a call of the backend, and returns what it was given, and the result. `what` and `name` are for the log.
pub(super) fn call<K: Send + 'static>(
    (what, name): (&'static str, &str),
    awaited: &Awaited,
    kept: K,
    body: fn(&K) -> Result<()>,
) -> Result<(K, Result<()>), Abandoned> {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::Begins(kept)),
        changed: Condvar::new(),
        terminated: Terminated::default(),
    });
    let (on_thread, of) = (Arc::clone(&shared), name.to_owned());
    let thread = thread::Builder::new().name(format!("{what} {name}"));
    let spawned = thread.spawn(move || {
        terminated::may_happen_to(&on_thread.terminated);
        on_thread.run(body, (what, &of));
    });
    if let Err(error) = spawned {
        warn!("no thread for {what} of '{name}': {error}; it is waited for without a limit");
        shared.run(body, (what, name));
    }
    shared.wait(awaited).inspect_err(|abandoned| {
        let left = left_alone();
        error!(
            instance = name,
            left,
            "{what} of the Python backend waits for a process that has ended ({}); its thread is left alone",
            abandoned.how
        );
    })
}

impl<K> Shared<K> {
    fn run(&self, body: fn(&K) -> Result<()>, (what, name): (&'static str, &str)) {
        let began = Instant::now();
        let before = std::mem::replace(&mut *self.state.lock(), State::Runs(this_thread()));
        let State::Begins(kept) = before else { return };
        let result = catch_unwind(AssertUnwindSafe(|| body(&kept)));
        let result = result.unwrap_or_else(|_| Err(Error::internal(format!("{what} of '{name}' panicked"))));
        let mut state = self.state.lock();
        if matches!(*state, State::LeftAlone) {
            drop(state);
            is_back();
            let after = began.elapsed();
            warn!(instance = name, ?after, "{what} of the Python backend returned late: {result:?}");
            drop(kept);
            return;
        }
        *state = State::Returned(kept, result);
        self.changed.notify_all();
    }

    fn wait(&self, awaited: &Awaited) -> Result<(K, Result<()>), Abandoned> {
        let mut children = None;
        let mut ended_at = None;
        let mut state = self.state.lock();
        let began = Instant::now();
        loop {
            if let State::Returned(..) = *state {
                match std::mem::replace(&mut *state, State::Over) {
                    State::Returned(kept, result) => return Ok((kept, result)),
                    _ => unreachable!("it was looked at"),
                }
            }
            if !self.changed.wait_for(&mut state, LOOK).timed_out() {
                continue;
            }
            let State::Runs(thread) = *state else { continue };
            if self.terminated.load(Ordering::Acquire) {
                *state = State::LeftAlone;
                leave();
                let how = "or never will: its call ended by an exception".to_owned();
                return Err(Abandoned { how, region: awaited.region() });
            }
            let abandoned = match awaited {
                Awaited::Started(prefix) => {
                    let children = children.get_or_insert_with(|| Children::of_thread(thread, prefix));
                    match children.look() {
                        Activity::Ended { how, region } => Some(Abandoned { how, region }),
                        Activity::Nothing | Activity::Runs => None,
                    }
                }
                Awaited::Stub(Some(stub)) if !stub.is_alive() => {
                    Some(Abandoned { how: format!("process {}", stub.pid()), region: awaited.region() })
                }
                Awaited::Nothing if began.elapsed() > LONGEST => {
                    Some(Abandoned { how: format!("not within {LONGEST:?}"), region: None })
                }
                Awaited::Stub(_) | Awaited::Nothing => None,
            };
            let Some(abandoned) = abandoned else {
                ended_at = None;
                continue;
            };
            if matches!(awaited, Awaited::Nothing)
                || ended_at.get_or_insert_with(Instant::now).elapsed() > GRACE
            {
                *state = State::LeftAlone;
                leave();
                return Err(abandoned);
            }
        }
    }
}
