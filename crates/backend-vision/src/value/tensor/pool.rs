//! A pool of memory for outputs, which is returned when the response is sent.
//!
//! Fresh memory from the kernel is zeroed page by page on first use, which costs more than writing the output.

use std::sync::Arc;

use parking_lot::Mutex;

/// The most free blocks that are kept: about the number of responses in flight.
const MOST: usize = 4;

/// Blocks below this size in words come from the allocator, which is cheaper.
const LEAST_WORDS: usize = 8 << 10;

/// Blocks above this size in words are released.
const MOST_WORDS: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u64>>>);

impl Pool {
    /// A block of at least `words` words with undefined content; `None` if the allocation fails.
    pub(super) fn take(&self, words: usize) -> Option<Vec<u64>> {
        let mut waiting = self.0.lock();
        let fits = |piece: &Vec<u64>| piece.len() >= words && piece.len() / 2 <= words;
        if let Some(place) = waiting.iter().position(fits) {
            return Some(waiting.swap_remove(place));
        }
        // The free blocks have a size that is no longer needed.
        waiting.pop();
        drop(waiting);
        let mut fresh = Vec::new();
        fresh.try_reserve_exact(words).ok()?;
        fresh.resize(words, 0);
        Some(fresh)
    }

    pub(super) fn give(&self, piece: Vec<u64>) {
        let mut waiting = self.0.lock();
        if waiting.len() < MOST && (LEAST_WORDS..=MOST_WORDS).contains(&piece.len()) {
            waiting.push(piece);
        }
    }
}

/// A block that returns to the pool when dropped.
pub(super) struct Words {
    words: Vec<u64>,
    pool: Arc<Pool>,
}

impl Words {
    pub(super) fn new(words: Vec<u64>, pool: Arc<Pool>) -> Words {
        Words { words, pool }
    }
}

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.words));
    }
}
