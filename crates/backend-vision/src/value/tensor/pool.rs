//! A pool of memory for outputs, which is returned when the response is sent.
//!
//! Fresh memory is zeroed before its first use, which costs more than writing the output. The pool is that of the process: as many
//! blocks are there as responses were in flight at once, however many instances made them.

use std::collections::VecDeque;
use std::mem;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Blocks below this size in words come from the allocator, which is cheaper.
const LEAST_WORDS: usize = 8 << 10;

/// Blocks above this size in words are released.
const MOST_WORDS: usize = 8 << 20;

/// How long a free block is kept, as long as others are used.
const KEPT: Duration = Duration::from_secs(10);

/// The free blocks, of which the last was used last, and since when each is free.
struct Free(Mutex<VecDeque<(Instant, Vec<u64>)>>);

static FREE: Free = Free::new();

/// The most free blocks that are kept: about the number of responses in flight.
fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| 4 + thread::available_parallelism().map_or(1, usize::from))
}

impl Free {
    const fn new() -> Free {
        Free(Mutex::new(VecDeque::new()))
    }

    fn take(&self, words: usize) -> Option<Vec<u64>> {
        let mut blocks = self.0.lock();
        let fits = |(_, block): &(Instant, Vec<u64>)| block.len() >= words && block.len() / 2 <= words;
        let place = blocks.iter().rposition(fits)?;
        blocks.remove(place).map(|(_, block)| block)
    }

    fn give(&self, block: Vec<u64>, now: Instant, most: usize) {
        let mut blocks = self.0.lock();
        blocks.push_back((now, block));
        let is_old = |(since, _): &(Instant, Vec<u64>)| now.saturating_duration_since(*since) > KEPT;
        // One at a time: what is left of a load goes with the next requests.
        let goes = blocks.len() > most || blocks.front().is_some_and(is_old);
        let released = if goes { blocks.pop_front() } else { None };
        drop(blocks);
        drop(released);
    }
}

/// A block of at least `words` words with undefined content; `None` if the allocation fails.
pub(super) fn take(words: usize) -> Option<Vec<u64>> {
    if words >= LEAST_WORDS / 2
        && let Some(block) = FREE.take(words)
    {
        return Some(block);
    }
    let mut fresh = Vec::new();
    fresh.try_reserve_exact(words).ok()?;
    fresh.resize(words, 0);
    Some(fresh)
}

/// Takes a block back.
pub(super) fn give(block: Vec<u64>) {
    if (LEAST_WORDS..=MOST_WORDS).contains(&block.len()) {
        FREE.give(block, Instant::now(), most());
    }
}

/// A block that returns to the pool when dropped.
pub(super) struct Words(pub(super) Vec<u64>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        give(mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_where_it_fits_and_not_kept_for_ever() {
        let (free, now) = (Free::new(), Instant::now());
        assert_eq!(free.take(1), None);
        free.give(vec![0; 10], now, 2);
        assert_eq!((free.take(11), free.take(4)), (None, None), "it is too small, or far too large");
        assert_eq!(free.take(9).map(|block| block.len()), Some(10));
        for size in [20, 100, 400] {
            free.give(vec![0; size], now, 2);
        }
        assert_eq!(free.take(20), None, "two are kept");
        free.give(vec![0; 1000], now + KEPT + KEPT, 4);
        assert_eq!(free.take(100), None, "it was not needed for long");
        assert_eq!(free.take(300).map(|block| block.len()), Some(400));
        assert_eq!(free.take(600).map(|block| block.len()), Some(1000));
    }
}
