//! Calls of the Python backend that may never return. It waits without a limit for its processes, so that the end of one at the wrong
//! moment leaves a call waiting: an initialization, if the stub ends while it starts; a finalization, if it ends before it has
//! answered.
//!
//! Such a call has a thread of its own, but for executions: their thread is left alone by the scheduler. When the process has ended that it
//! waits for, and it still has not returned after some time, its waits are given up, so that it returns. If it does not return even then,
//! the thread is left alone. What the backend may use stays with the thread: handles stay good, and the objects are finalized by it, in the
//! usual order, if the call returns after all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use hippocamp_python_stubs::{Activity, Children, Stub, this_thread};
use parking_lot::{Condvar, Mutex};
use tracing::{error, warn};

use super::left_alone::{is_back, leave};
use super::terminated::{self, Terminated};
use crate::library::{Answer, Waits};

/// How often it is looked whether the process has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How long a call may take to notice that its process has ended. It has something to read then, and answers with an error.
const GRACE: Duration = Duration::from_secs(5);
/// How long a call may take that waits for no process.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a call may take whose waits were given up.
const TAKES_DOWN: Duration = Duration::from_secs(5);

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
    /// What becomes of a wait that is given up. An initialization would make something of what it reads then; a finalization does not, and
    /// its destructors must not throw.
    fn answer(&self) -> Answer {
        match self {
            Awaited::Started(_) => Answer::Throws,
            Awaited::Stub(_) | Awaited::Nothing => Answer::Woken,
        }
    }

    /// How the process has ended that a thread waits for, if it has.
    fn ended(&self, thread: i32, children: &mut Option<Children>) -> Option<Abandoned> {
        match self {
            Awaited::Started(prefix) => {
                match children.get_or_insert_with(|| Children::of_thread(thread, prefix)).look() {
                    Activity::Ended { how, region } => Some(Abandoned::new(how, region)),
                    Activity::Nothing | Activity::Runs => None,
                }
            }
            Awaited::Stub(Some(stub)) if !stub.is_alive() => {
                Some(Abandoned::new(format!("process {}", stub.pid()), self.region()))
            }
            Awaited::Stub(_) | Awaited::Nothing => None,
        }
    }

    /// The region that nobody removes if the call does not return.
    fn region(&self) -> Option<String> {
        match self {
            Awaited::Stub(Some(stub)) => stub.region().map(str::to_owned),
            Awaited::Stub(None) | Awaited::Started(_) | Awaited::Nothing => None,
        }
    }
}

/// A call that did not return, or only because its waits were given up.
#[derive(Clone, Debug)]
pub(super) struct Abandoned {
    /// How the process has ended.
    pub(super) how: String,
    /// Its region, which nobody removes now.
    pub(super) region: Option<String>,
    /// The call has returned: what it leaves is used by nobody once its object is finalized.
    pub(super) has_returned: bool,
}

impl Abandoned {
    pub(super) fn new(how: String, region: Option<String>) -> Abandoned {
        Abandoned { how, region, has_returned: false }
    }
}

/// What a call has is here until somebody takes it.
#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Condvar,
    /// The call has ended by an exception that nobody catches.
    terminated: Terminated,
    waits: Waits,
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
        waits: Waits::default(),
    });
    let answer = awaited.answer();
    let (on_thread, of) = (Arc::clone(&shared), name.to_owned());
    let thread = thread::Builder::new().name(format!("{what} {name}"));
    let spawned = thread.spawn(move || {
        terminated::may_happen_to(&on_thread.terminated);
        on_thread.waits.are_of_this_thread(answer);
        on_thread.run(body, (what, &of));
    });
    if let Err(error) = spawned {
        warn!("no thread for {what} of '{name}': {error}; it is waited for without a limit");
        shared.run(body, (what, name));
    }
    shared.wait(awaited, (what, name))
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

    fn wait(
        &self,
        awaited: &Awaited,
        (what, name): (&'static str, &str),
    ) -> Result<(K, Result<()>), Abandoned> {
        let mut children = None;
        let mut ended_at = None;
        let mut given_up: Option<Abandoned> = None;
        let mut state = self.state.lock();
        let began = Instant::now();
        let abandoned = loop {
            if let State::Returned(..) = *state {
                let State::Returned(kept, result) = std::mem::replace(&mut *state, State::Over) else {
                    unreachable!("it was looked at")
                };
                drop(state);
                let Some(mut abandoned) = given_up else { return Ok((kept, result)) };
                warn!(
                    instance = name,
                    "{what} of the Python backend waited for a process that has ended ({}): that was ended, with {result:?}",
                    abandoned.how
                );
                abandoned.has_returned = true;
                abandoned.region = self.waits.region().or(abandoned.region);
                // What it says is of its waits, not of why.
                return if result.is_ok() { Ok((kept, result)) } else { Err(abandoned) };
            }
            if !self.changed.wait_for(&mut state, LOOK).timed_out() {
                continue;
            }
            let State::Runs(thread) = *state else { continue };
            if self.terminated.load(Ordering::Acquire) {
                let how = "or never will: its call ended by an exception".to_owned();
                break Abandoned::new(how, awaited.region());
            }
            if matches!(awaited, Awaited::Nothing) && began.elapsed() > LONGEST {
                break Abandoned::new(format!("not within {LONGEST:?}"), None);
            }
            // It may have asked for the end of the process meanwhile.
            let Some(abandoned) = awaited.ended(thread, &mut children).or_else(|| given_up.clone()) else {
                ended_at = None;
                continue;
            };
            let since = ended_at.get_or_insert_with(Instant::now).elapsed();
            if since > GRACE && given_up.is_none() {
                self.waits.give_up();
                given_up = Some(abandoned);
            } else if since > GRACE + TAKES_DOWN {
                break abandoned;
            }
        };
        *state = State::LeftAlone;
        let left = leave();
        error!(
            instance = name,
            left,
            "{what} of the Python backend waits for a process that has ended ({}); its thread is left alone",
            abandoned.how
        );
        Err(abandoned)
    }
}
