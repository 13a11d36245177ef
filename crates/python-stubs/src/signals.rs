//! The signal that tells of the end of a child.

#![allow(unsafe_code, reason = "what a signal does can be read and set by the C library only")]

/// Has the kernel keep the exit statuses of children until somebody asks. A process inherits from what started it that they are
/// discarded; the backend then takes a stub that can start for one that cannot, and makes its file unusable.
pub fn await_children() {
    // SAFETY: the structure is plain data, for which zeros are a value.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action the call only writes to the structure, which lives.
    let read = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut current) };
    if read == 0 && current.sa_sigaction == libc::SIG_IGN {
        // SAFETY: the default action runs no code of ours.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}
