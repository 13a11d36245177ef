//! Returns freed memory to the system.
//!
//! The C library's allocator, which engines use, keeps freed memory between live blocks. When a model is dropped these are
//! its weights and the memory of loading and of runs: tens of MiB for a small network.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

static BEGUN: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

/// Returns freed memory to the system. Takes milliseconds, during which other threads may wait for the allocator, so it
/// is called when a model ends and never for a request. Concurrent calls share the work.
pub fn give_back() {
    let begun = BEGUN.load(Ordering::Acquire);
    let _turn = TURN.lock();
    // A trim that began while this call waited includes what the caller had freed.
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

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    /// Whether the page in the middle of a block is resident.
    fn is_resident(block: *mut libc::c_void, size: usize) -> bool {
        let page = (block as usize + size / 2) & !(PAGE - 1);
        let mut state = 0;
        // SAFETY: queries a page and writes one byte, for which `state` has room.
        let asked = unsafe { libc::mincore(page as *mut libc::c_void, PAGE, &raw mut state) };
        // A page that is not mapped any more is not resident either.
        asked == 0 && state & 1 == 1
    }

    #[test]
    fn gives_back_what_lies_between_live_blocks() {
        const SIZE: usize = 60 << 10; // too small to be mapped and unmapped by itself
        let block = |_| {
            // SAFETY: the result is checked, and writes stay within its length.
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
        // SAFETY: see above.
        unsafe { libc::free(*last) };
    }
}
