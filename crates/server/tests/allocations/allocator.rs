//! Counts what the allocator is asked for.

#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

static LARGEST: AtomicUsize = AtomicUsize::new(0);

static COUNT: AtomicUsize = AtomicUsize::new(0);
static COUNTED_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Watching;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        if layout.size() >= COUNTED_FROM.load(Ordering::Relaxed) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as required of the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Only one test at a time may allocate.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// Counts blocks of at least so many bytes from now on.
pub(crate) fn begin(counted_from: usize) {
    COUNTED_FROM.store(counted_from, Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
}

/// The largest block that was asked for since [`begin`].
pub(crate) fn largest() -> usize {
    LARGEST.load(Ordering::Relaxed)
}

/// How many blocks were counted since then.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}
