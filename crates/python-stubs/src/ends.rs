//! The ends of stubs, told as they happen: by one thread, which sleeps until one ends.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tracing::warn;

/// What is called, once.
type Call = Box<dyn FnOnce() + Send>;

/// Waits for the end of a process until it is dropped.
#[derive(Debug)]
pub struct AwaitedEnd(u64);

struct Ends {
    state: Mutex<State>,
    /// A call has returned.
    returned: Condvar,
    /// Wakes the thread, so that it looks at what is awaited; `None` if there can be none.
    woken: Option<OwnedFd>,
}

#[derive(Default)]
struct State {
    awaited: Vec<Entry>,
    next: u64,
    /// The entry whose call runs.
    calls: Option<u64>,
    has_thread: bool,
}

struct Entry {
    number: u64,
    process: Arc<OwnedFd>,
    /// How long after the end it is called.
    after: Duration,
    /// When it is, once the process has ended.
    due: Option<Instant>,
    call: Call,
}

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let woken =
        woken.inspect_err(|error| warn!("the ends of Python models are not noticed at once: {error}"));
    Ends { state: Mutex::default(), returned: Condvar::new(), woken: woken.ok() }
});

/// Has `call` be called when a process has ended, so long `after` that, on a thread that waits for others, too: it has to be quick.
pub(crate) fn when_ended(process: &Arc<OwnedFd>, after: Duration, call: Call) -> AwaitedEnd {
    let ends = &*ENDS;
    let mut state = ends.lock();
    let number = state.next;
    state.next += 1;
    if ends.woken.is_some() {
        state.awaited.push(Entry { number, process: Arc::clone(process), after, due: None, call });
        if !state.has_thread {
            let thread = thread::Builder::new().name("ends of stubs".to_owned());
            let spawned = thread.spawn(|| ends.run());
            state.has_thread = spawned
                .inspect_err(|error| warn!("the ends of Python models are not noticed at once: {error}"))
                .is_ok();
        }
    }
    drop(state);
    ends.wake();
    AwaitedEnd(number)
}

impl Drop for AwaitedEnd {
    /// Waits for the call, if it runs.
    fn drop(&mut self) {
        let mut state = ENDS.lock();
        state.awaited.retain(|entry| entry.number != self.0);
        while state.calls == Some(self.0) {
            state = ENDS.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(woken) = &self.woken {
            // Should it be full, the thread is awake.
            let _ = rustix::io::write(woken, &1_u64.to_ne_bytes());
        }
    }

    fn run(&self) {
        let Some(woken) = &self.woken else { return };
        loop {
            let (processes, next) = self.next();
            let all = [woken.as_fd()].into_iter().chain(processes.iter().map(|(_, process)| process.as_fd()));
            let mut polled: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let timeout = next.map(|at| {
                let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
            });
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    warn!("the ends of Python models are not noticed at once any more: {error}");
                    self.lock().has_thread = false;
                    return;
                }
            }
            // What is read is of no interest.
            let _ = rustix::io::read(woken, &mut [0_u8; 8]);
            let ended = polled.iter().skip(1).zip(&processes).filter(|(fd, _)| !fd.revents().is_empty());
            self.note(ended.map(|(_, (number, _))| *number));
            while let Some(number) = self.due() {
                self.call(number);
            }
        }
    }

    /// The processes that have not ended, and when the next call is due.
    fn next(&self) -> (Vec<(u64, Arc<OwnedFd>)>, Option<Instant>) {
        let state = self.lock();
        let running = state.awaited.iter().filter(|entry| entry.due.is_none());
        let running = running.map(|entry| (entry.number, Arc::clone(&entry.process))).collect();
        (running, state.awaited.iter().filter_map(|entry| entry.due).min())
    }

    /// Notes that these have ended.
    fn note(&self, ended: impl Iterator<Item = u64>) {
        let (mut state, now) = (self.lock(), Instant::now());
        for number in ended {
            if let Some(entry) = state.awaited.iter_mut().find(|entry| entry.number == number) {
                entry.due = Some(now + entry.after);
            }
        }
    }

    /// One whose call is due.
    fn due(&self) -> Option<u64> {
        let (state, now) = (self.lock(), Instant::now());
        state.awaited.iter().find(|entry| entry.due.is_some_and(|due| due <= now)).map(|entry| entry.number)
    }

    fn call(&self, number: u64) {
        let mut state = self.lock();
        let Some(place) = state.awaited.iter().position(|entry| entry.number == number) else { return };
        let Entry { call, .. } = state.awaited.swap_remove(place);
        state.calls = Some(number);
        drop(state);
        // What a panic has left undone concerns nobody else, and it was reported.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)));
        self.lock().calls = None;
        self.returned.notify_all();
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} processes whose ends are awaited", self.lock().awaited.len())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::mpsc::{self, RecvTimeoutError};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn each_end_is_told_once_and_not_after_it_is_of_no_interest() {
        let start = || {
            let mut command = Command::new("sh");
            command.args(["-c", "read line"]).stdin(Stdio::piped());
            let child = command.spawn().unwrap();
            let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
            (child, Arc::new(pidfd_open(pid, PidfdFlags::empty()).unwrap()))
        };
        let (tell, told) = mpsc::channel();
        let mut all: Vec<_> = (0..3)
            .map(|number| {
                let (child, process) = start();
                let tell = tell.clone();
                let after = Duration::from_millis(number);
                let awaited = when_ended(&process, after, Box::new(move || tell.send(number).unwrap()));
                (child, awaited)
            })
            .collect();
        drop(tell);
        let patience = Duration::from_secs(30);
        let (mut second, awaited) = all.remove(1);
        drop(awaited);
        second.kill().unwrap();
        second.wait().unwrap();
        for (number, (child, _)) in [2, 0].into_iter().zip(all.iter_mut().rev()) {
            child.kill().unwrap();
            assert_eq!(told.recv_timeout(patience), Ok(number));
        }
        assert_eq!(told.recv_timeout(patience), Err(RecvTimeoutError::Disconnected));
        for (mut child, _) in all {
            child.wait().unwrap();
        }
    }
}
