//! Parts what is bound during a long execution, or while there is none.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tracing::warn;

use super::bound::Bound;

/// How often the thread looks, while anything is bound.
const PERIOD: Duration = Duration::from_millis(10);

/// How long nothing was executed before they are parted.
pub(super) const IDLE: Duration = Duration::from_millis(400);

/// After how many looks at the same execution, or at none, they are parted.
const LOOKS: (u32, u32) = (2, 50);

static WATCHED: Mutex<Watched> = Mutex::new(Watched { bound: Vec::new(), has_thread: false });
static MORE: Condvar = Condvar::new();

struct Watched {
    bound: Vec<Entry>,
    has_thread: bool,
}

struct Entry {
    bound: Weak<Bound>,
    turns: u64,
    /// How often nothing had changed.
    same: u32,
}

/// Watches it until it is dropped. False if there can be no thread that does.
pub(super) fn watch(bound: &Arc<Bound>) -> bool {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !watched.has_thread {
        let (thread, main) =
            (thread::Builder::new().name("shared cores".to_owned()), rustix::process::getpid());
        // It would begin with the caller's core.
        let run = move || {
            let cores = rustix::thread::sched_getaffinity(Some(main));
            let _ = cores.and_then(|cores| rustix::thread::sched_setaffinity(None, &cores));
            run();
        };
        if let Err(error) = thread.spawn(run) {
            warn!("no thread could be started that watches Python models: {error}");
            return false;
        }
        watched.has_thread = true;
    }
    watched.bound.push(Entry { bound: Arc::downgrade(bound), turns: 0, same: 0 });
    MORE.notify_one();
    true
}

fn run() {
    loop {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        while watched.bound.is_empty() {
            watched = MORE.wait(watched).unwrap_or_else(PoisonError::into_inner);
        }
        watched.bound.retain_mut(Entry::look);
        drop(watched);
        thread::sleep(PERIOD);
    }
}

impl Entry {
    /// Returns whether to look again.
    fn look(&mut self) -> bool {
        let Some(bound) = self.bound.upgrade() else { return false };
        let turns = bound.turns();
        self.same = if turns == self.turns { self.same + 1 } else { 0 };
        self.turns = turns;
        let executes = turns % 2 == 1;
        let parts = self.same >= if executes { LOOKS.0 } else { LOOKS.1 };
        if parts {
            bound.part();
        }
        !parts
    }
}
