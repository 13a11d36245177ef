//! Memory that was freed, back to the system.
//!
//! The allocator of the C library, which the engine uses, keeps what is freed between blocks that still live. After a
//! model is gone these are its weights, its arena and what loading it took: tens of MiB for a small network.

#![allow(unsafe_code, reason = "a call of the C library")]

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

static BEGUN: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

/// Gives memory back that was freed before. Milliseconds, during which others may wait for the allocator: for the end of
/// a model, never for a request. Calls that come together share the work.
pub(crate) fn give_back() {
    let begun = BEGUN.load(Ordering::Acquire);
    let _turn = TURN.lock();
    // What began while this waited has seen what this caller had freed.
    if BEGUN.load(Ordering::Acquire) == begun {
        BEGUN.store(begun + 1, Ordering::Release);
        trim();
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: takes no pointer and moves no live block; other threads may allocate and free meanwhile.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have nothing to ask for it.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    /// Whether the page in the middle of a block is in memory. Of the block alone, whatever else the process does.
    fn is_resident(block: *mut libc::c_void, size: usize) -> bool {
        let page = (block as usize + size / 2) & !(PAGE - 1);
        let mut state = 0;
        // SAFETY: asks about a page of the heap and writes one byte, which is there.
        let asked = unsafe { libc::mincore(page as *mut libc::c_void, PAGE, &raw mut state) };
        // A page that the heap no longer has is not in memory either.
        asked == 0 && state & 1 == 1
    }

    #[test]
    fn gives_back_what_lies_between_live_blocks() {
        const SIZE: usize = 60 << 10; // too small to be mapped and unmapped by itself
        let block = |_| {
            // SAFETY: the result is checked, and written no further than it is long.
            unsafe {
                let block = libc::malloc(SIZE);
                assert!(!block.is_null());
                libc::memset(block, 1, SIZE);
                block
            }
        };
        let blocks: Vec<_> = (0..1024).map(block).collect();
        let (last, freed) = blocks.split_last().unwrap();
        // SAFETY: each comes from malloc and is freed once.
        freed.iter().for_each(|block| unsafe { libc::free(*block) });
        let kept = || freed.iter().filter(|block| is_resident(**block, SIZE)).count();
        let before = kept();
        give_back();
        let after = kept();
        assert!(
            before > 1000 && after < before / 2,
            "of {} freed blocks {before}, then {after}",
            freed.len()
        );
        // SAFETY: as before.
        unsafe { libc::free(*last) };
    }
}
