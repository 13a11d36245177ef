//! Memory of outputs, which leaves with a response and comes back when that is sent.
//!
//! A megabyte that the system gives anew comes in pages that are cleared one by one when they are first written; that costs
//! more than what is written.

use std::sync::Arc;

use parking_lot::Mutex;

/// How many pieces wait, at most: as many responses as may well be on their way at once.
const MOST: usize = 4;

/// What is smaller is had from the allocator for less, in words.
const LEAST_WORDS: usize = 8 << 10;

/// What is larger is given back, in words.
const MOST_WORDS: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u64>>>);

impl Pool {
    /// At least so many words that hold anything, or `None` if there is no memory for them.
    pub(super) fn take(&self, words: usize) -> Option<Vec<u64>> {
        let mut waiting = self.0.lock();
        let fits = |piece: &Vec<u64>| piece.len() >= words && piece.len() / 2 <= words;
        if let Some(place) = waiting.iter().position(fits) {
            return Some(waiting.swap_remove(place));
        }
        // Those that are there are of a size that is no longer asked for.
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

/// Memory that is on its way.
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
