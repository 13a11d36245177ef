//! State that many threads update and few read.
//!
//! There is one copy of it as long as no two threads meet there: most models are not that busy, and a copy for each core
//! and model would cost memory. Once threads have met there are as many copies as cores, and each thread keeps to one
//! that it has for itself. Whoever reads locks all of them and takes the sum, so it sees one moment.

use std::iter;
use std::sync::OnceLock;

use hippocamp_per_thread::{Padded, move_to, parts, place};
use parking_lot::{Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(crate) struct Shards<T> {
    first: Mutex<T>,
    /// Used instead of the first once two threads have met there. Their number is a power of two.
    others: OnceLock<Box<[Padded<Mutex<T>>]>>,
}

/// State that is divided into shards.
pub(crate) trait Shard {
    /// A shard with the same settings that has counted nothing.
    fn empty(&self) -> Self;
}

impl<T: Shard> Shards<T> {
    /// Locks a shard for an update.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self.others.get() {
            None => self.first.try_lock().unwrap_or_else(|| lock_one_of(self.grow())),
            Some(others) => lock_one_of(others),
        }
    }

    /// Locks all shards, which are then the state of one moment.
    pub(crate) fn lock_all(&self) -> Vec<MutexGuard<'_, T>> {
        // The others are made under the lock of the first.
        let first = self.first.lock();
        let others = self.others.get().into_iter().flatten();
        iter::once(first).chain(others.map(|other| other.0.lock())).collect()
    }

    #[cold]
    fn grow(&self) -> &[Padded<Mutex<T>>] {
        let first = self.first.lock();
        let new = || Padded(Mutex::new(first.empty()));
        self.others.get_or_init(|| iter::repeat_with(new).take(parts()).collect())
    }
}

/// Locks the one that the thread has for itself. Threads that meet go on to others and stay there.
#[inline]
fn lock_one_of<T>(shards: &[Padded<Mutex<T>>]) -> MutexGuard<'_, T> {
    let at = |place: usize| &shards[place & (shards.len() - 1)].0;
    let place = place();
    at(place).try_lock().unwrap_or_else(|| {
        let free = (place + 1..place + shards.len()).find_map(|place| Some((place, at(place).try_lock()?)));
        let Some((place, shard)) = free else { return at(place).lock() };
        move_to(place);
        shard
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[derive(Debug, Default)]
    struct Count(u64);

    impl Shard for Count {
        fn empty(&self) -> Count {
            Count(0)
        }
    }

    fn sum(shards: &Shards<Count>) -> u64 {
        shards.lock_all().iter().map(|count| count.0).sum()
    }

    #[test]
    fn there_is_one_until_two_threads_meet_and_then_they_keep_apart() {
        let shards = Shards::<Count>::default();
        shards.lock().0 += 1;
        thread::scope(|scope| scope.spawn(|| shards.lock().0 += 1).join()).unwrap();
        assert_eq!(shards.lock_all().len(), 1, "they did not meet");
        shards.grow();
        assert_eq!(shards.lock_all().len(), 1 + parts());
        let mut held = shards.lock();
        held.0 += 1;
        // It would wait for ever if it were given the same one.
        thread::scope(|scope| scope.spawn(|| shards.lock().0 += 1).join()).unwrap();
        drop(held);
        assert_eq!(sum(&shards), 4);
    }

    #[test]
    fn nothing_is_lost_while_threads_meet() {
        const THREADS: u64 = 6;
        const UPDATES: u64 = 20_000;
        let (shards, begin) = (Shards::<Count>::default(), Barrier::new(THREADS as usize + 1));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    begin.wait();
                    for _ in 0..UPDATES {
                        shards.lock().0 += 1;
                    }
                });
            }
            begin.wait();
            let mut before = 0;
            while before < THREADS * UPDATES {
                let now = sum(&shards);
                assert!(now >= before, "{now} after {before}");
                before = now;
            }
        });
        assert_eq!(sum(&shards), THREADS * UPDATES);
    }
}
