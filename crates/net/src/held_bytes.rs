//! The count of the bytes that the server holds for clients, against its limit.
//!
//! If every request of every thread changed one number, its cache line would move from core to core all the time. So each I/O
//! thread takes bytes in advance, and its requests take theirs from these. Near the limit nothing is taken in advance, and
//! what was is given back, so that the limit is exact.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hippocamp_per_thread::Padded;

/// The bytes that a thread takes in advance. It keeps twice as many at most.
const ADVANCE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct HeldBytes {
    limit: usize,
    /// The bytes that are held, and those that were taken in advance.
    taken: Padded<AtomicUsize>,
    /// The bytes that each I/O thread has taken in advance. Empty if there are no I/O threads.
    spare: Vec<Padded<AtomicUsize>>,
}

impl HeldBytes {
    pub(crate) fn new(limit: usize, threads: usize) -> HeldBytes {
        let spare = (0..threads).map(|_| Padded::default()).collect();
        HeldBytes { limit, taken: Padded::default(), spare }
    }

    /// Counts bytes as held. False if that would exceed the limit; then nothing is counted. `thread` is the I/O thread of the
    /// connection; `None` if there are no such threads.
    pub(crate) fn hold(&self, thread: Option<usize>, bytes: usize) -> bool {
        match thread {
            None => self.take(bytes),
            Some(thread) => {
                let spare = &self.spare[thread].0;
                take_spare(spare, bytes) || self.take_more(spare, bytes)
            }
        }
    }

    /// Counts bytes that exist already, even beyond the limit.
    pub(crate) fn hold_anyway(&self, thread: Option<usize>, bytes: usize) {
        if !self.hold(thread, bytes) {
            self.taken.0.fetch_add(bytes, Relaxed);
        }
    }

    /// Subtracts bytes that are no longer held.
    pub(crate) fn release(&self, thread: Option<usize>, bytes: usize) {
        let Some(thread) = thread.filter(|_| self.taken.0.load(Relaxed) <= self.limit / 2) else {
            self.taken.0.fetch_sub(bytes, Relaxed);
            return;
        };
        let spare = &self.spare[thread].0;
        if spare.fetch_add(bytes, Relaxed) + bytes > 2 * ADVANCE {
            let rest = |spare: usize| (spare > 2 * ADVANCE).then_some(ADVANCE);
            if let Ok(spare) = spare.fetch_update(Relaxed, Relaxed, rest) {
                self.taken.0.fetch_sub(spare - ADVANCE, Relaxed);
            }
        }
    }

    /// Whether so many bytes more could be held now.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        let fits = |held: usize| (held as u64).saturating_add(bytes) <= self.limit as u64;
        fits(self.taken.0.load(Relaxed)) || !self.spare.is_empty() && fits(self.get())
    }

    /// The number of bytes that are held.
    pub(crate) fn get(&self) -> usize {
        let spare = self.spare.iter().map(|spare| spare.0.load(Relaxed)).sum();
        self.taken.0.load(Relaxed).saturating_sub(spare)
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = self.taken.0.fetch_add(bytes, Relaxed).saturating_add(bytes) <= self.limit;
        if !fits {
            self.taken.0.fetch_sub(bytes, Relaxed);
        }
        fits
    }

    /// Takes bytes, and others in advance if the limit is far.
    fn take_more(&self, spare: &AtomicUsize, bytes: usize) -> bool {
        let more = |taken: usize| {
            Some(taken.saturating_add(bytes).saturating_add(ADVANCE)).filter(|sum| *sum <= self.limit / 2)
        };
        if self.taken.0.fetch_update(Relaxed, Relaxed, more).is_ok() {
            spare.fetch_add(ADVANCE, Relaxed);
            return true;
        }
        self.take(bytes) || {
            for Padded(spare) in &self.spare {
                self.taken.0.fetch_sub(spare.swap(0, Relaxed), Relaxed);
            }
            self.take(bytes)
        }
    }
}

fn take_spare(spare: &AtomicUsize, bytes: usize) -> bool {
    spare.fetch_update(Relaxed, Relaxed, |spare| spare.checked_sub(bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use proptest::prelude::*;

    use super::*;

    /// Limits without, with few and with many advances.
    const LIMITS: [usize; 4] = [100, 3 * ADVANCE, 40 * ADVANCE, usize::MAX];

    proptest! {
        /// With one thread at a time the count is that of a single number, however the bytes are spread.
        #[test]
        fn the_limit_is_exact(
            limit in prop::sample::select(&LIMITS[..]),
            steps in prop::collection::vec((0..3usize, 0..8 * ADVANCE, any::<bool>()), 1..200),
        ) {
            let held = HeldBytes::new(limit, 3);
            let (mut sum, mut parts) = (0, Vec::new());
            for (thread, bytes, gives_back) in steps {
                let bytes = if limit < ADVANCE { bytes % 60 } else { bytes };
                if gives_back && !parts.is_empty() {
                    let (thread, bytes) = parts.swap_remove(bytes % parts.len());
                    held.release(Some(thread), bytes);
                    sum -= bytes;
                } else {
                    let fits = bytes <= limit - sum;
                    prop_assert_eq!(held.has_room_for(bytes as u64), fits);
                    prop_assert_eq!(held.hold(Some(thread), bytes), fits);
                    if fits {
                        parts.push((thread, bytes));
                        sum += bytes;
                    }
                }
                prop_assert_eq!(held.get(), sum);
            }
        }
    }

    #[test]
    fn threads_never_exceed_the_limit_together() {
        for limit in [64 << 10, 40 * ADVANCE] {
            let (threads, part) = (4, limit / 16);
            let held = HeldBytes::new(limit, threads);
            let (real, begin) = (AtomicUsize::new(0), Barrier::new(threads));
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (held, real, begin) = (&held, &real, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        for step in 0..2000 {
                            let parts = (0..step % 9).filter(|_| held.hold(Some(thread), part)).count();
                            let sum = real.fetch_add(parts * part, Relaxed) + parts * part;
                            assert!(sum <= limit, "{sum} of {limit}");
                            real.fetch_sub(parts * part, Relaxed);
                            (0..parts).for_each(|_| held.release(Some((thread + 1) % threads), part));
                        }
                    });
                }
            });
            assert_eq!(held.get(), 0);
        }
    }

    #[test]
    fn more_bytes_than_there_can_be_are_refused_and_counted_nowhere() {
        for limit in [10, 40 * ADVANCE] {
            for thread in [None, Some(0)] {
                let held = HeldBytes::new(limit, 1);
                assert!(held.hold(thread, 1));
                for bytes in [usize::MAX, usize::MAX - ADVANCE / 2, usize::MAX / 2] {
                    assert!(!held.hold(thread, bytes));
                    assert_eq!(held.get(), 1);
                }
            }
        }
    }

    #[test]
    fn what_exists_is_counted_beyond_the_limit() {
        for thread in [None, Some(0)] {
            let held = HeldBytes::new(10, 1);
            held.hold_anyway(thread, 25);
            assert_eq!(held.get(), 25);
            assert!(!held.hold(thread, 1));
            held.release(thread, 25);
            assert!(held.hold(thread, 10));
        }
    }
}
