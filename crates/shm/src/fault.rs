//! Copies that survive it when the memory goes away under them.
//!
//! Another process can cut an object short at any time. Touching a page behind its new end raises SIGBUS, which ends a
//! process that does not expect it. Reading and writing by system calls would fail softly, but costs three times as much
//! as copying mapped memory. So each copy leaves a note of the mappings that it touches, on its own thread, and the
//! handler of the signal looks there: if the fault lies in one of them, the mapping is replaced by zeros and marked as
//! lost, and the copy goes on. Any other SIGBUS goes where it would have gone.

#![allow(unsafe_code, reason = "handles a signal, and copies memory of which no slice may be made")]

use std::mem::{MaybeUninit, zeroed};
use std::ptr::{self, null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering, compiler_fence};
use std::{io, mem};

use libc::{SIG_DFL, SIG_IGN, SIGBUS, c_int, c_void, sigaction, siginfo_t};

use crate::mapping::Mapping;

/// The mappings that a copy touches; null where there is none.
struct Touched([*const Mapping; 2]);

thread_local! {
    /// The copy that runs on this thread. Without a destructor it is plain memory of the thread, which a handler may read.
    static RUNNING: AtomicPtr<Touched> = const { AtomicPtr::new(null_mut()) };
}

/// What handled the signal before.
static PREVIOUS: OnceLock<sigaction> = OnceLock::new();

/// Lets copies survive. Has to be called before the first one; again, it does nothing.
pub(crate) fn prepare() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| install().map_err(|e| e.raw_os_error().unwrap_or_default()));
    installed.map_err(io::Error::from_raw_os_error)
}

fn install() -> io::Result<()> {
    let mut previous = MaybeUninit::uninit();
    // SAFETY: asks what there is, and changes nothing.
    if unsafe { libc::sigaction(SIGBUS, null(), previous.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the call above. Kept before the handler that needs it is there.
    PREVIOUS.get_or_init(|| unsafe { previous.assume_init() });
    // SAFETY: all zeros are a valid value.
    let mut action: sigaction = unsafe { zeroed() };
    action.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler does only what a handler may: it reads atomics, maps memory, and calls what was there before.
    if unsafe { libc::sigaction(SIGBUS, &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Copies `count` bytes. Where a mapping has lost its memory, zeros are read, and what is written goes nowhere; the
/// mapping tells of it afterwards.
///
/// # Safety
/// [`prepare`] has succeeded. Each end is valid for `count` bytes: it lies either within one of `touched`, or in memory of
/// this process that nobody else writes to (or, for the target, uses at all).
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, count: usize, touched: [Option<&Mapping>; 2]) {
    let mut touched = Touched(touched.map(|mapping| mapping.map_or(null(), ptr::from_ref)));
    RUNNING.with(|running| {
        running.store(&raw mut touched, Ordering::Relaxed);
        // The handler runs on this very thread, so that it is only the compiler that must not reorder.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as required of the caller. Another process may write meanwhile: then the bytes are any, which is what they
        // are to us anyway. Both ends may be the same region.
        unsafe { libc::memmove(to.cast(), from.cast(), count) };
        compiler_fence(Ordering::SeqCst);
        running.store(null_mut(), Ordering::Relaxed);
    });
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid one. A positive code says that it was the kernel who sent it, and then it has an
    // address.
    let address = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr() as usize) };
    let running = RUNNING.with(|running| running.load(Ordering::Relaxed));
    // SAFETY: set by the copy that this signal interrupted, which still holds it.
    if let (Some(address), Some(touched)) = (address, unsafe { running.as_ref() }) {
        for mapping in touched.0 {
            // SAFETY: the copy has a reference to it.
            let mapping = unsafe { mapping.as_ref() };
            if mapping.is_some_and(|mapping| mapping.contains(address) && mapping.give_up()) {
                return;
            }
        }
    }
    pass_on(signal, info, context);
}

/// Does with the signal what would have been done without us.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get().filter(|p| p.sa_sigaction != SIG_DFL && p.sa_sigaction != SIG_IGN);
    match previous {
        None => {
            // Back in the interrupted code it faults again, and then that is the end.
            // SAFETY: the default needs nothing.
            unsafe { libc::signal(signal, SIG_DFL) };
        }
        Some(previous) if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with this flag it is a function of these three.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { mem::transmute(previous.sa_sigaction) };
            handler(signal, info, context);
        }
        Some(previous) => {
            // SAFETY: without the flag it is a function of the signal alone.
            let handler: extern "C" fn(c_int) = unsafe { mem::transmute(previous.sa_sigaction) };
            handler(signal);
        }
    }
}
