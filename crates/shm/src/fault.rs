//! Copies between memory of this process and mappings whose memory may disappear.
//!
//! Another process can truncate a shared object at any time. Touching a page behind its new end raises SIGBUS, which by
//! default ends the process. Reading and writing by system calls would return an error instead, but takes three times
//! as long as copying mapped memory. So each copy records the mappings that it touches in a thread-local variable,
//! which the signal handler reads: if the fault lies in one of them, the mapping is replaced by zeros and marked as
//! lost, and the copy continues. Any other SIGBUS is passed on to the previous handler.

#![allow(unsafe_code, reason = "handles a signal, and copies memory of which no slice may be made")]

use std::mem::{MaybeUninit, zeroed};
use std::ptr::{self, null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering, compiler_fence};
use std::{io, mem};

use libc::{SIG_DFL, SIG_IGN, SIGBUS, c_int, c_void, sigaction, siginfo_t};

use crate::mapping::Mapping;

/// The mappings that a copy touches; null if there are fewer than two.
struct Touched([*const Mapping; 2]);

thread_local! {
    /// The copy that runs on this thread. It has no destructor, so that a signal handler may read it.
    static RUNNING: AtomicPtr<Touched> = const { AtomicPtr::new(null_mut()) };
}

/// The previous handler of the signal.
static PREVIOUS: OnceLock<sigaction> = OnceLock::new();

/// Installs the signal handler. Has to be called before the first copy; further calls do nothing.
pub(crate) fn prepare() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| install().map_err(|e| e.raw_os_error().unwrap_or_default()));
    installed.map_err(io::Error::from_raw_os_error)
}

fn install() -> io::Result<()> {
    let mut previous = MaybeUninit::uninit();
    // SAFETY: only reads the current handler.
    if unsafe { libc::sigaction(SIGBUS, null(), previous.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has written it. It is stored before the new handler is installed, which needs it.
    PREVIOUS.get_or_init(|| unsafe { previous.assume_init() });
    // SAFETY: all zeros are a valid value.
    let mut action: sigaction = unsafe { zeroed() };
    action.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler only does what is async-signal-safe: reads atomics, maps memory, calls the previous handler.
    if unsafe { libc::sigaction(SIGBUS, &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Copies `count` bytes. From a mapping that has lost its memory zeros are read, and writes to it are discarded;
/// [`Mapping::is_lost`] tells afterwards.
///
/// # Safety
/// [`prepare`] has succeeded. Each end is valid for `count` bytes: it lies either within one of `touched`, or in memory
/// of this process that nobody else writes to (or, for the target, uses at all).
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, count: usize, touched: [Option<&Mapping>; 2]) {
    let mut touched = Touched(touched.map(|mapping| mapping.map_or(null(), ptr::from_ref)));
    RUNNING.with(|running| {
        running.store(&raw mut touched, Ordering::Relaxed);
        // The handler runs on this very thread, so only the compiler must be kept from reordering.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: required of the caller. Another process may write at the same time, so the bytes may be any; no value
        // is invalid. The ends may overlap, as `memmove` permits.
        unsafe { libc::memmove(to.cast(), from.cast(), count) };
        compiler_fence(Ordering::SeqCst);
        running.store(null_mut(), Ordering::Relaxed);
    });
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid pointer. A positive code means that the kernel raised the signal, so there is
    // an address.
    let address = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr() as usize) };
    let running = RUNNING.with(|running| running.load(Ordering::Relaxed));
    // SAFETY: set by the copy that this signal interrupted, which keeps it alive.
    if let (Some(address), Some(touched)) = (address, unsafe { running.as_ref() }) {
        for mapping in touched.0 {
            // SAFETY: the copy holds a reference to the mapping.
            let mapping = unsafe { mapping.as_ref() };
            if mapping.is_some_and(|mapping| mapping.contains(address) && mapping.give_up()) {
                return;
            }
        }
    }
    pass_on(signal, info, context);
}

/// Passes the signal on to the previous handler.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get().filter(|p| p.sa_sigaction != SIG_DFL && p.sa_sigaction != SIG_IGN);
    match previous {
        None => {
            // The default action is restored: the interrupted instruction faults again, and that ends the process.
            // SAFETY: restoring the default has no requirements.
            unsafe { libc::signal(signal, SIG_DFL) };
        }
        Some(previous) if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with SA_SIGINFO set it is a function of these three arguments.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { mem::transmute(previous.sa_sigaction) };
            handler(signal, info, context);
        }
        Some(previous) => {
            // SAFETY: without SA_SIGINFO it is a function of the signal alone.
            let handler: extern "C" fn(c_int) = unsafe { mem::transmute(previous.sa_sigaction) };
            handler(signal);
        }
    }
}
