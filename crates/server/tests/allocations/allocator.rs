//! An allocator that counts large blocks.

#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

static LARGEST: AtomicUsize = AtomicUsize::new(0);

static COUNT: AtomicUsize = AtomicUsize::new(0);
static COUNTED_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Watching;

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() >= COUNTED_FROM.load(Ordering::Relaxed) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Held by the one test that may allocate.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// Starts counting blocks of at least `counted_from` bytes.
pub(crate) fn begin(counted_from: usize) {
    COUNTED_FROM.store(counted_from, Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
}

/// The size of the largest block allocated since [`begin`].
pub(crate) fn largest() -> usize {
    LARGEST.load(Ordering::Relaxed)
}

/// The number of counted blocks since [`begin`].
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}
