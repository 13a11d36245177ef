//! The memory of runs, and its release.
//!
//! The engine keeps the memory of a session's runs in an arena and releases none of it by itself. Shrinking it after
//! every run costs much throughput, because the next run has to get the same memory again, page by page. So a thread
//! checks the sessions in use every few seconds: if all runs since the last check were much smaller than an earlier
//! one, or there were none, the arena is shrunk. It grows again to what later runs need.
//!
//! The first run takes its tensors one by one, and the engine notes what it took, so that each later run takes one block
//! that has them all. The pieces would stay beside the blocks: they are released before the second run, and those of runs
//! that had begun beside the first one a little later.

mod shrink;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use hippocamp_backend::Result;
use ort::session::Session;
use parking_lot::{Condvar, Mutex};
use tracing::{debug, warn};

use crate::ffi::arena::SessionMemory;
use hippocamp_engine_library::give_back;

use shrink::ShrinkingRun;

/// A session and its arena.
#[derive(Debug)]
pub(crate) struct OpenSession {
    model: Arc<str>,
    /// `None` if arenas are not shrunk.
    shrinking: Option<Arc<Shrinking>>,
    /// Made for the first run, as the engine reserves 1 MiB for it and 32 KiB to keep accounts of that: a model that
    /// nobody asks needs neither. `None` in it if it is not shrunk.
    arena: OnceLock<Option<Arc<Arena>>>,
    first_runs: FirstRuns,
    pub(crate) session: Arc<Session>,
}

/// Counts the first runs of a session.
#[derive(Debug, Default)]
struct FirstRuns(AtomicU32);

struct Arena {
    model: Arc<str>,
    /// Declared before the session, of which it is a part, so that it is dropped first.
    memory: SessionMemory,
    session: Arc<Session>,
    shrink: ShrinkingRun,
    shrinking: Arc<Shrinking>,
    usage: Usage,
}

impl OpenSession {
    /// With `shrinking`, the arena is checked from the first run on, as long as the session lives.
    pub(crate) fn new(model: &Arc<str>, session: Session, shrinking: Option<&Arc<Shrinking>>) -> OpenSession {
        let (model, shrinking) = (Arc::clone(model), shrinking.map(Arc::clone));
        let (arena, first_runs) = Default::default();
        OpenSession { model, shrinking, arena, first_runs, session: Arc::new(session) }
    }

    /// To be called before a run.
    #[inline]
    pub(crate) fn runs(&self) {
        let arena = self.arena.get_or_init(|| self.make_arena());
        if self.first_runs.leave_pieces()
            && let Some(arena) = arena
        {
            arena.release_pieces();
        }
    }

    #[cold]
    fn make_arena(&self) -> Option<Arc<Arena>> {
        let arena = Arena::of(&self.model, &self.session, self.shrinking.as_ref()?);
        arena.unwrap_or_else(|error| {
            warn!(model = &*self.model, "what its runs take is kept: {error}");
            None
        })
    }

    /// To be called after a run whose inputs had `bytes` bytes.
    pub(crate) fn has_run(&self, bytes: usize) {
        if let Some(Some(arena)) = self.arena.get() {
            arena.note((bytes as u64).max(1));
        }
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if let Some(Some(arena)) = self.arena.get() {
            // Waits for a check in progress, so that the session is released here and its memory is free on return.
            arena.shrinking.arenas.lock().retain(|other| !Arc::ptr_eq(other, arena));
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("model", &self.model)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

impl Arena {
    fn of(
        model: &Arc<str>,
        session: &Arc<Session>,
        shrinking: &Arc<Shrinking>,
    ) -> Result<Option<Arc<Arena>>> {
        let memory = SessionMemory::of(session)?;
        let (Some(_), Some(shrink)) = (memory.size(), ShrinkingRun::of(session)?) else { return Ok(None) };
        let (model, session, shrinking) = (Arc::clone(model), Arc::clone(session), Arc::clone(shrinking));
        let arena = Arc::new(Arena { model, memory, session, shrink, shrinking, usage: Usage::default() });
        arena.shrinking.arenas.lock().push(Arc::clone(&arena));
        Ok(Some(arena))
    }

    fn note(&self, bytes: u64) {
        if self.usage.note(bytes) {
            self.shrinking.wake();
        }
    }

    /// Releases what the first runs took piece by piece.
    #[cold]
    fn release_pieces(&self) {
        if self.size() >= WORTH_RELEASING && self.shrink() >= WORTH_TRIMMING {
            give_back();
        }
    }

    /// Shrinks the arena if that is worth it. Returns how many bytes became free, and whether to check again.
    fn look(&self) -> (u64, bool) {
        let (too_large, in_use) = self.usage.look();
        if !too_large {
            return (0, in_use);
        }
        (self.shrink(), in_use)
    }

    /// How many bytes became free.
    fn shrink(&self) -> u64 {
        let (model, before) = (&*self.model, self.size());
        if let Err(error) = self.shrink.run(&self.session) {
            warn!(model, "cannot shrink the memory of its runs: {error}");
        }
        let freed = before.saturating_sub(self.size());
        debug!(model, before, freed, "the memory of its runs was shrunk");
        freed
    }

    fn size(&self) -> u64 {
        self.memory.size().unwrap_or(0)
    }
}

impl FirstRuns {
    /// The runs before which pieces are released, counted from zero.
    const RELEASING: [u32; 2] = [1, 16];

    /// Counts a run that begins. True if earlier ones have left pieces.
    fn leave_pieces(&self) -> bool {
        // Not written for ever, because instances on several CPUs share the cache line.
        self.0.load(Ordering::Relaxed) <= Self::RELEASING[1]
            && Self::RELEASING.contains(&self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The size of a session's runs, by the bytes of their inputs; the other memory of a run grows with them.
#[derive(Debug, Default)]
struct Usage {
    /// The largest run since the last check.
    recent: AtomicU64,
    /// The largest run between the last shrinking and the last check.
    largest: AtomicU64,
}

impl Usage {
    /// Adds a run. True if it is the first since the last check.
    fn note(&self, bytes: u64) -> bool {
        let before = self.recent.load(Ordering::Relaxed);
        // Not written while runs are alike, because instances on several CPUs share the cache line.
        bytes > before && self.recent.fetch_max(bytes, Ordering::Relaxed) == 0
    }

    /// Whether runs have become so much smaller that the arena should be shrunk, and whether there were any.
    fn look(&self) -> (bool, bool) {
        let recent = self.recent.swap(0, Ordering::Relaxed);
        let largest = self.largest.load(Ordering::Relaxed);
        let too_large = largest > 0 && recent <= largest / 2;
        self.largest.store(if too_large { recent } else { largest.max(recent) }, Ordering::Relaxed);
        (too_large, recent > 0)
    }
}

/// Checks the arenas of the process.
#[derive(Debug)]
pub(crate) struct Shrinking {
    period: Duration,
    arenas: Mutex<Vec<Arc<Arena>>>,
    /// Whether another check is due after the period.
    awake: AtomicBool,
    turn: Mutex<()>,
    wake: Condvar,
}

/// Bytes of an arena from which on the pieces of first runs are released: there the second run takes its memory page by page again.
const WORTH_RELEASING: u64 = 8 << 20;

/// The least number of freed bytes for which the C library's allocator is trimmed, too.
const WORTH_TRIMMING: u64 = 1 << 20;

impl Shrinking {
    /// Starts the thread that checks once a period while sessions run, and sleeps otherwise.
    pub(crate) fn start(period: Duration) -> std::io::Result<Arc<Shrinking>> {
        let shrinking = Arc::new(Shrinking::new(period));
        let theirs = Arc::clone(&shrinking);
        thread::Builder::new().name("ort-memory".into()).spawn(move || theirs.work())?;
        Ok(shrinking)
    }

    fn new(period: Duration) -> Shrinking {
        let (arenas, awake, turn, wake) = Default::default();
        Shrinking { period, arenas, awake, turn, wake }
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            // The thread holds the lock until it waits, so it cannot miss the notification.
            drop(self.turn.lock());
            self.wake.notify_one();
        }
    }

    fn work(&self) {
        loop {
            let mut turn = self.turn.lock();
            self.wake.wait_while(&mut turn, |()| !self.awake.load(Ordering::Acquire));
            drop(turn);
            thread::sleep(self.period);
            // Before the check: a later run wakes this thread again.
            self.awake.store(false, Ordering::Release);
            if self.look() {
                self.awake.store(true, Ordering::Release);
            }
        }
    }

    /// Checks all arenas. True if another check is due, even if nothing runs any more.
    fn look(&self) -> bool {
        let looks: Vec<_> = self.arenas.lock().iter().map(|arena| arena.look()).collect();
        if looks.iter().map(|(freed, _)| freed).sum::<u64>() >= WORTH_TRIMMING {
            give_back();
        }
        looks.iter().any(|(_, again)| *again)
    }
}
