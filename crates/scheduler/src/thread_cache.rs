//! Threads that are kept for the next one who needs one.
//!
//! There is one cache for the process. How many threads work at the same time has no bound, as each may wait for
//! something that another one does; how many are kept idle, and for how long, has one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::error;

/// In bytes, as for the main thread of a C program: engines recurse deeply on large graphs. Untouched pages use no
/// memory.
pub(crate) const STACK_SIZE: usize = 8 << 20;

/// How many threads are kept that have nothing to do.
const MAX_IDLE: usize = 16;

/// How long each of them is kept.
const IDLE_TIME: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce() + Send>;

/// Something to do, and the name of a thread while it does it.
struct Job {
    name: Arc<str>,
    work: Work,
}

/// An idle thread, and the job that it is given.
#[derive(Default)]
struct IdleThread {
    job: Mutex<Option<Job>>,
    given: Condvar,
}

struct Cache {
    /// The idle threads. The one that was last to become idle is the first to be used.
    idle: Vec<Arc<IdleThread>>,
    /// What waits for a thread because none could be started.
    waiting: VecDeque<Job>,
}

static CACHE: Mutex<Cache> = Mutex::new(Cache { idle: Vec::new(), waiting: VecDeque::new() });

/// Does the work on another thread, which has that name meanwhile. Fails if there is no thread and none can be started.
pub(crate) fn run(name: Arc<str>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    begin(Job { name, work: Box::new(work) }).map_err(|(_, error)| error)
}

/// As [`run`], but the work waits for a thread to become free if none can be started.
pub(crate) fn run_or_wait(name: Arc<str>, work: impl FnOnce() + Send + 'static) {
    if let Err((job, why)) = begin(Job { name, work: Box::new(work) }) {
        error!("no thread could be started for '{}', which waits until one is free: {why}", job.name);
        CACHE.lock().waiting.push_back(job);
    }
}

fn begin(job: Job) -> Result<(), (Job, io::Error)> {
    #[cfg(test)]
    if tests::REFUSED.lock().iter().any(|refused| *job.name == **refused) {
        return Err((job, io::Error::from(io::ErrorKind::WouldBlock)));
    }
    let thread = CACHE.lock().idle.pop();
    if let Some(thread) = thread {
        *thread.job.lock() = Some(job);
        thread.given.notify_one();
        return Ok(());
    }
    // If the thread cannot be started, what it was to own is dropped.
    let name = job.name.to_string();
    let handed_over = Arc::new(Mutex::new(Some(job)));
    let first = Arc::clone(&handed_over);
    let thread = thread::Builder::new().name(name).stack_size(STACK_SIZE);
    let started = thread.spawn(move || {
        take_all_cores();
        let first = first.lock().take();
        first.into_iter().for_each(work_and_wait);
    });
    let Err(error) = started else { return Ok(()) };
    let job = handed_over.lock().take();
    job.map_or(Ok(()), |job| Err((job, error)))
}

/// Gives the calling thread the cores of the main thread: that which has started it may be bound to fewer.
fn take_all_cores() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{sched_getaffinity, sched_setaffinity};

        let all = sched_getaffinity(Some(rustix::process::getpid()));
        // Without them it runs where it may.
        let _ = all.and_then(|all| sched_setaffinity(None, &all));
    }
}

/// What a thread of the cache does from its first job until it ends.
fn work_and_wait(first: Job) {
    let thread = Arc::new(IdleThread::default());
    let mut next = Some(first);
    while let Some(Job { name, work }) = next {
        set_name(&name);
        work();
        next = await_job(&thread);
    }
}

/// Waits for the next job. `None` if the thread is not needed any more.
fn await_job(thread: &Arc<IdleThread>) -> Option<Job> {
    let mut cache = CACHE.lock();
    if let Some(job) = cache.waiting.pop_front() {
        return Some(job);
    }
    if cache.idle.len() >= MAX_IDLE {
        return None;
    }
    cache.idle.push(Arc::clone(thread));
    drop(cache);
    set_name("idle");
    let until = Instant::now() + IDLE_TIME;
    let mut job = thread.job.lock();
    while job.is_none() {
        if thread.given.wait_until(&mut job, until).timed_out() && job.is_none() {
            drop(job);
            if leave(thread) {
                return None;
            }
            // Somebody has taken it out and is about to give it a job.
            job = thread.job.lock();
            while job.is_none() {
                thread.given.wait(&mut job);
            }
        }
    }
    job.take()
}

/// Removes an idle thread. False if it was taken before.
fn leave(thread: &Arc<IdleThread>) -> bool {
    let mut cache = CACHE.lock();
    let place = cache.idle.iter().position(|idle| Arc::ptr_eq(idle, thread));
    place.map(|place| cache.idle.remove(place)).is_some()
}

/// Names the calling thread for debuggers and `top`. Longer names are cut off.
#[cfg(target_os = "linux")]
fn set_name(name: &str) {
    /// Without the zero at the end.
    const LONGEST: usize = 15;
    let bytes: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(LONGEST).collect();
    if let Ok(name) = std::ffi::CString::new(bytes) {
        let _ = rustix::thread::set_name(&name);
    }
}

#[cfg(not(target_os = "linux"))]
fn set_name(_: &str) {}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::*;

    /// The names of jobs for which no thread can be started.
    pub(crate) static REFUSED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn thread_of(name: &str) -> (ThreadId, String) {
        let (tell, told) = mpsc::channel();
        run(name.into(), move || {
            let id = thread::current().id();
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
            tell.send((id, name)).unwrap();
        })
        .unwrap();
        told.recv().unwrap()
    }

    #[test]
    fn a_thread_is_used_again_and_has_the_name_of_its_job() {
        let mut seen = std::collections::HashSet::new();
        // Other tests use the same cache, so not each time the same thread is there.
        let again = (0..1000).any(|n| {
            let (id, name) = thread_of(&format!("job {n}"));
            assert!(name.is_empty() || name == format!("job {n}\n"), "{name}");
            thread::yield_now();
            !seen.insert(id)
        });
        assert!(again);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_have_all_cores_whoever_starts_them() {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let all = sched_getaffinity(Some(rustix::process::getpid())).unwrap();
        let bound = thread::spawn(move || {
            let mut one = CpuSet::new();
            one.set((0..CpuSet::MAX_CPU).find(|&core| all.is_set(core)).unwrap());
            sched_setaffinity(None, &one).unwrap();
            // More than are idle now, so that some are started from here.
            let barrier = Arc::new(std::sync::Barrier::new(2 * MAX_IDLE));
            let (tell, told) = mpsc::channel();
            for _ in 0..2 * MAX_IDLE {
                let (barrier, tell) = (Arc::clone(&barrier), tell.clone());
                run_or_wait("looks".into(), move || {
                    barrier.wait();
                    tell.send(sched_getaffinity(None).unwrap()).unwrap();
                });
            }
            assert!(told.iter().take(2 * MAX_IDLE).all(|cores| cores == all));
        });
        bound.join().unwrap();
    }

    #[test]
    fn jobs_that_wait_for_each_other_all_run() {
        let barrier = Arc::new(std::sync::Barrier::new(3 * MAX_IDLE));
        let (tell, told) = mpsc::channel();
        for _ in 0..3 * MAX_IDLE {
            let (barrier, tell) = (Arc::clone(&barrier), tell.clone());
            run_or_wait("waits".into(), move || {
                barrier.wait();
                tell.send(()).unwrap();
            });
        }
        drop(tell);
        assert_eq!(told.iter().count(), 3 * MAX_IDLE);
        assert!(CACHE.lock().idle.len() <= MAX_IDLE);
    }
}
