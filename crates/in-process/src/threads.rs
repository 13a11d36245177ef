//! Threads for what may block: as many as processors at first, and one more whenever all of them are blocked.
//!
//! Whoever answers a request only adds a task. Threads that have nothing to do end after a while. Whether all are blocked is
//! looked at every millisecond while tasks wait, by a thread of its own: that no task was taken since the last look means
//! that none of the threads came back. A burst of short tasks so makes no thread, and a number of blocked ones
//! never keeps another task from being run.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::warn;

/// How long a thread waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// How long tasks wait, while none is taken, before there is one more thread.
const STUCK: Duration = Duration::from_millis(1);

/// What a thread does.
pub(crate) trait Task: Send + Sync {
    fn run(self: Arc<Self>, threads: &'static CallbackThreads);
}

/// The threads on which callbacks run.
#[derive(Debug)]
pub struct CallbackThreads {
    state: Mutex<State>,
    /// There is a task.
    added: Condvar,
    /// Tasks wait and all threads are busy.
    waiting: Condvar,
    /// As many threads are made at once.
    base: usize,
    idle: Duration,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Arc<dyn Task>>,
    threads: usize,
    /// Of these, how many wait for a task.
    idle: usize,
    /// How many tasks were taken so far.
    taken: u64,
    /// There is a thread that looks whether all are blocked.
    is_watched: bool,
}

impl CallbackThreads {
    /// Those of the process. There is none before the first callback.
    pub fn of_process() -> &'static CallbackThreads {
        static OF_PROCESS: LazyLock<CallbackThreads> = LazyLock::new(|| {
            CallbackThreads::new(thread::available_parallelism().map_or(2, usize::from), IDLE)
        });
        &OF_PROCESS
    }

    fn new(base: usize, idle: Duration) -> CallbackThreads {
        let (added, waiting) = (Condvar::new(), Condvar::new());
        CallbackThreads { state: Mutex::default(), added, waiting, base, idle }
    }

    /// How many threads there are now, without the one that watches.
    pub fn count(&self) -> usize {
        self.state.lock().threads
    }

    /// Has a thread run the task.
    pub(crate) fn add(&'static self, task: Arc<dyn Task>) {
        let mut state = self.state.lock();
        state.tasks.push_back(task);
        if state.tasks.len() <= state.idle {
            self.added.notify_one();
        } else if state.threads < self.base {
            self.start(&mut state);
        } else if state.is_watched {
            self.waiting.notify_one();
        } else {
            state.is_watched = true;
            let watch = thread::Builder::new().name("callback watch".to_owned());
            state.is_watched = watch.spawn(|| self.watch()).is_ok();
        }
    }

    /// Starts one more thread. If there can be none, tasks wait for the others.
    fn start(&'static self, state: &mut State) {
        let name = format!("callback {}", state.threads);
        match thread::Builder::new().name(name).spawn(|| self.work()) {
            Ok(_) => state.threads += 1,
            Err(error) => {
                let (threads, waiting) = (state.threads, state.tasks.len());
                warn!(
                    "no further thread for callbacks of backends: {error}; {waiting} wait for {threads} threads"
                );
            }
        }
    }

    fn work(&'static self) {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                state.taken += 1;
                drop(state);
                // A panic was reported where it happened, and concerns nobody else.
                drop(catch_unwind(AssertUnwindSafe(|| task.run(self))));
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let timed_out = self.added.wait_for(&mut state, self.idle).timed_out();
            state.idle -= 1;
            if timed_out && state.tasks.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn watch(&'static self) {
        let mut state = self.state.lock();
        loop {
            if state.tasks.is_empty() {
                if self.waiting.wait_for(&mut state, self.idle).timed_out() && state.tasks.is_empty() {
                    state.is_watched = false;
                    return;
                }
                continue;
            }
            let taken = state.taken;
            drop(state);
            thread::sleep(STUCK);
            state = self.state.lock();
            if !state.tasks.is_empty() && state.taken == taken && state.idle == 0 {
                self.start(&mut state);
            }
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let State { tasks, threads, idle, .. } = self;
        write!(f, "{threads} threads, {idle} idle, {} tasks wait", tasks.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    struct Once(Mutex<Option<Box<dyn FnOnce() + Send>>>);

    impl Task for Once {
        fn run(self: Arc<Self>, _: &'static CallbackThreads) {
            if let Some(act) = self.0.lock().take() {
                act();
            }
        }
    }

    fn task(act: impl FnOnce() + Send + 'static) -> Arc<dyn Task> {
        Arc::new(Once(Mutex::new(Some(Box::new(act)))))
    }

    fn threads(base: usize, idle: Duration) -> &'static CallbackThreads {
        Box::leak(Box::new(CallbackThreads::new(base, idle)))
    }

    #[test]
    fn any_number_of_blocked_tasks_lets_another_run() {
        let threads = threads(1, Duration::from_millis(20));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (told, heard) = mpsc::channel();
        for _ in 0..50 {
            let (gate, told) = (Arc::clone(&gate), told.clone());
            threads.add(task(move || {
                told.send("blocked").expect("the test listens");
                let mut is_open = gate.0.lock();
                while !*is_open {
                    gate.1.wait(&mut is_open);
                }
            }));
        }
        threads.add(task(move || told.send("free").expect("the test listens")));
        let heard: Vec<_> = heard.iter().take(51).collect();
        assert_eq!(heard[50], "free");
        assert!(threads.count() > 50);
        *gate.0.lock() = true;
        gate.1.notify_all();
        while threads.count() > 0 {
            thread::yield_now();
        }
        let (told, heard) = mpsc::channel();
        threads.add(task(move || told.send(()).expect("the test listens")));
        heard.recv().expect("a thread is made again");
    }

    #[test]
    fn many_short_tasks_need_few_threads_and_a_panic_ends_none() {
        let threads = threads(2, Duration::from_secs(1));
        let (told, heard) = mpsc::channel();
        let begin = Instant::now();
        for number in 0..10_000 {
            let told = told.clone();
            threads.add(task(move || {
                told.send(number).expect("the test listens");
                assert!(number % 5_000 != 1, "told to panic");
            }));
        }
        let mut all: Vec<_> = heard.iter().take(10_000).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..10_000));
        let looks = begin.elapsed().as_nanos() / STUCK.as_nanos();
        assert!(threads.count() as u128 <= 3 + looks, "{} threads, {looks} looks", threads.count());
    }
}
