//! Instances that were lost, by a panic or the end of a process of theirs, and have to be made anew: with pauses that grow while
//! that fails or does not last, and during which the other instances take the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hippocamp_backend::{Error, Result};
use parking_lot::Mutex;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// An instance that lived so long was lost by chance.
const LASTING: Duration = Duration::from_secs(30);

/// The instances of a scheduler, as far as they are lost.
#[derive(Debug)]
pub(crate) struct Peers {
    instances: usize,
    lost: AtomicUsize,
    /// Why the last one is.
    error: Mutex<Option<Error>>,
}

impl Peers {
    pub(crate) fn new(instances: usize) -> Peers {
        Peers { instances, lost: AtomicUsize::new(0), error: Mutex::default() }
    }

    /// Whether there is one instance.
    pub(crate) fn is_alone(&self) -> bool {
        self.instances == 1
    }

    fn lose(&self, error: &Error) {
        *self.error.lock() = Some(error.clone());
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// An instance is lost until the result is dropped.
    pub(crate) fn lose_one(self: &Arc<Self>, error: &Error) -> LostPeer {
        self.lose(error);
        LostPeer(Arc::clone(self))
    }

    /// How many instances are lost and not made anew so far.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why no instance can execute batches, if none can.
    pub(crate) fn why_none_serves(&self) -> Option<Error> {
        if self.any_serves() { None } else { self.error.lock().clone() }
    }

    /// Whether an instance can execute batches, or may be able to.
    pub(crate) fn any_serves(&self) -> bool {
        self.lost.load(Ordering::Relaxed) < self.instances
    }
}

/// A lost instance that has no thread which could know of it.
#[derive(Debug)]
pub(crate) struct LostPeer(Arc<Peers>);

impl Drop for LostPeer {
    fn drop(&mut self) {
        self.0.lost.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an instance knows of its own losses.
#[derive(Debug)]
pub(crate) struct Mending<'a> {
    peers: &'a Peers,
    /// Set while the instance is lost.
    lost: Option<Lost>,
    last_made: Instant,
    /// How often in a row it was lost soon after it was made, or could not be made.
    times: u32,
}

#[derive(Debug)]
struct Lost {
    next: Instant,
    error: Error,
}

impl<'a> Mending<'a> {
    pub(crate) fn new(peers: &'a Peers) -> Mending<'a> {
        Mending { peers, lost: None, last_made: Instant::now(), times: 0 }
    }

    /// Notes that the instance is lost, unless that is known.
    pub(crate) fn lost(&mut self, error: impl FnOnce() -> Error) {
        if self.lost.is_some() {
            return;
        }
        let now = Instant::now();
        let error = error();
        self.peers.lose(&error);
        self.times = if now.saturating_duration_since(self.last_made) < LASTING { self.times + 1 } else { 0 };
        // The first one is made at once: most losses are single ones.
        let pause = if self.times > 1 { self.pause() } else { Duration::ZERO };
        self.lost = Some(Lost { next: now + pause, error });
    }

    /// Makes the instance anew, unless it is too early for that.
    ///
    /// # Errors
    /// Why it cannot be made, or why it was lost.
    pub(crate) fn attempt<T>(&mut self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(Lost { next, error }) = &self.lost
            && Instant::now() < *next
        {
            return Err(error.clone());
        }
        let result = make();
        self.last_made = Instant::now();
        match &result {
            Ok(_) => self.found(),
            Err(error) => {
                self.lost(|| error.clone());
                *self.peers.error.lock() = Some(error.clone());
                self.times = self.times.saturating_add(1);
                self.lost = Some(Lost { next: self.last_made + self.pause(), error: error.clone() });
            }
        }
        result
    }

    /// For how long the instance should leave requests to others; `None` if there is nobody who could take them, or it is not
    /// lost.
    pub(crate) fn stands_aside(&self) -> Option<Duration> {
        let lost = self.lost.as_ref().filter(|_| self.peers.any_serves())?;
        Some(lost.next.saturating_duration_since(Instant::now()))
    }

    /// When a lost instance may be made anew; `None` if it is not lost.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        self.lost.as_ref().map(|lost| lost.next)
    }

    fn pause(&self) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.times.saturating_sub(1).min(16));
        doubled.min(LONGEST_PAUSE)
    }

    fn found(&mut self) {
        if self.lost.take().is_some() {
            self.peers.lost.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Mending<'_> {
    fn drop(&mut self) {
        self.found();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing() -> Result<()> {
        Err(Error::unavailable("not now"))
    }

    fn pause(mending: &Mending<'_>) -> Duration {
        mending.lost.as_ref().unwrap().next.saturating_duration_since(mending.last_made)
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        let peers = Peers::new(2);
        let mut mending = Mending::new(&peers);
        let mut before = Duration::ZERO;
        for _ in 0..20 {
            mending.lost = None;
            mending.attempt(failing).unwrap_err();
            let now = pause(&mending);
            assert!(now >= before && (now > before || now == LONGEST_PAUSE), "{now:?}");
            before = now;
        }
        assert_eq!(before, LONGEST_PAUSE);
    }

    #[test]
    fn in_a_pause_nothing_is_tried_and_the_reason_stays() {
        let peers = Peers::new(2);
        let mut mending = Mending::new(&peers);
        mending.attempt(failing).unwrap_err();
        let again = mending.attempt(|| -> Result<()> { unreachable!("it is too early") });
        assert_eq!(again.unwrap_err().message(), "not now");
        assert!(mending.stands_aside().is_some(), "there is another one");
        let mut other = Mending::new(&peers);
        other.attempt(failing).unwrap_err();
        assert_eq!((mending.stands_aside(), other.stands_aside()), (None, None), "somebody has to answer");
        drop(other);
        assert!(mending.stands_aside().is_some());
    }

    #[test]
    fn a_single_loss_is_mended_at_once_and_counts_no_longer() {
        let peers = Peers::new(1);
        let mut mending = Mending::new(&peers);
        assert_eq!(peers.why_none_serves().map(|why| why.reason()), None);
        mending.lost(|| Error::internal("gone"));
        assert!(!peers.any_serves() && peers.lost() == 1);
        assert_eq!(peers.why_none_serves().unwrap().message(), "gone");
        mending.attempt(|| Ok(())).unwrap();
        assert!(peers.any_serves());
        mending.lost(|| Error::internal("gone again"));
        let error = mending.attempt(|| -> Result<()> { unreachable!("it is too early") }).unwrap_err();
        assert_eq!(error.message(), "gone again");
    }
}
