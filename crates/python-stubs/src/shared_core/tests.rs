use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity};

use super::*;

/// At most half of the cores are shared, so one test at a time.
static ONE: Mutex<()> = Mutex::new(());

const APART: Duration = Duration::from_micros(150);
const TOGETHER: Duration = Duration::from_micros(100);

struct Sleeping(Child);

impl Sleeping {
    fn start() -> (Sleeping, Arc<Stub>) {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let stub = Stub::of_child(child.id().cast_signed(), "no region").unwrap();
        (Sleeping(child), Arc::new(stub))
    }

    fn cores(&self) -> CpuSet {
        sched_getaffinity(Pid::from_raw(self.0.id().cast_signed())).unwrap()
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Executes until the two share a core. False if they never do: on one core, or where others have taken what there is.
fn shares(shared: &mut SharedCore) -> bool {
    for _ in 0..4 * decision::WINDOW {
        if shared.is_shared() {
            return true;
        }
        shared.learn(APART, Duration::ZERO);
    }
    false
}

/// Executes for so many windows, each execution as long as these say of apart and together.
fn executes(shared: &mut SharedCore, windows: u32, apart: Duration, together: Duration) {
    for _ in 0..windows * decision::WINDOW {
        shared.learn(if shared.is_shared() { together } else { apart }, Duration::ZERO);
    }
}

/// Runs a test on a thread of its own, with a stub that shares its core. Both have all cores again afterwards.
fn with_shared(is_watched: bool, test: impl FnOnce(&mut SharedCore, &Sleeping, &CpuSet) + Send + 'static) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = move || {
        let (child, stub) = Sleeping::start();
        let (all, own) = (child.cores(), sched_getaffinity(None).unwrap());
        let mut shared = SharedCore::new(stub, Binding::Throughout);
        shared.is_watched = is_watched;
        if own.count() < 2 {
            assert!(!shares(&mut shared), "there is one core");
            return;
        }
        assert!(shares(&mut shared));
        if !is_watched {
            assert_eq!((child.cores().count(), sched_getaffinity(None).unwrap()), (1, child.cores()));
        }
        test(&mut shared, &child, &all);
        drop(shared);
        assert_eq!((child.cores(), sched_getaffinity(None).unwrap()), (all, own));
    };
    std::thread::spawn(run).join().unwrap();
}

#[test]
fn they_share_a_core_while_that_is_better_and_have_all_again_afterwards() {
    with_shared(false, |shared, child, all| {
        executes(shared, 16, APART, TOGETHER);
        assert!(shared.is_shared() && child.cores().count() == 1);
        let (again, other) = Sleeping::start();
        let its = again.cores();
        if all.count() < 4 {
            assert!(!shares(&mut SharedCore::new(other, Binding::Throughout)), "half of the cores are taken");
            assert_eq!(again.cores(), its);
        }
    });
    with_shared(false, |shared, child, all| {
        executes(shared, 6, TOGETHER, APART);
        assert!(!shared.is_shared() && child.cores() == *all);
    });
}

#[test]
fn a_model_that_starts_a_thread_gets_all_cores() {
    with_shared(false, |shared, child, all| {
        shared.threads = shared.threads.map(|threads| threads + 1);
        for _ in 0..COUNTED {
            shared.learn(TOGETHER, Duration::ZERO);
        }
        assert!(!shared.is_shared() && child.cores() == *all);
    });
}

#[test]
fn what_the_stub_has_started_meanwhile_gets_all_cores() {
    use std::io::{BufRead, BufReader, Write};

    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let script = "read line; sh -c 'sleep 600 & echo $!; wait' & wait";
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Sleeping(command.spawn().unwrap());
    let stub = Arc::new(Stub::of_child(child.0.id().cast_signed(), "no region").unwrap());
    let (all, own) = (child.cores(), sched_getaffinity(None).unwrap());
    if own.count() < 2 {
        return;
    }
    let bound = Bound::new(&stub, Binding::Throughout, false).unwrap();
    child.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started = Pid::from_raw(line.trim().parse().unwrap());
    assert_eq!(sched_getaffinity(started).unwrap().count(), 1);
    let (tell, told) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid()).unwrap();
        end.recv().unwrap();
    });
    let thread_id = told.recv().unwrap();
    assert_eq!(sched_getaffinity(Some(thread_id)).unwrap().count(), 1);
    bound.part();
    assert_eq!((sched_getaffinity(started).unwrap(), child.cores()), (all, all));
    assert_eq!(sched_getaffinity(Some(thread_id)).unwrap(), own);
    ends.send(()).unwrap();
    thread.join().unwrap();
    rustix::process::kill_process(started.unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_long_execution_gets_all_cores_while_it_lasts() {
    with_shared(true, |shared, child, all| {
        let until = Instant::now() + Duration::from_mins(1);
        shared.execute(|| {
            while child.cores() != *all && Instant::now() < until {
                std::thread::yield_now();
            }
        });
        assert_eq!(child.cores(), *all);
        assert!(!shared.is_shared());
    });
}

#[test]
fn without_executions_nothing_is_bound() {
    with_shared(true, |shared, child, all| {
        shared.execute(|| ());
        let until = Instant::now() + Duration::from_mins(1);
        while child.cores() != *all && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(child.cores(), *all);
        shared.learn(TOGETHER, watch::IDLE);
        assert!(!shared.is_shared());
    });
}

#[test]
fn a_stub_that_has_ended_is_let_go_of() {
    with_shared(false, |shared, _, _| {
        let (child, stub) = Sleeping::start();
        let alone = SharedCore::new(stub, Binding::Throughout);
        drop(child);
        assert!(bound::threads(&alone.stub).is_none());
        assert!(Bound::new(&alone.stub, Binding::Throughout, false).is_none());
        assert!(shared.is_shared());
    });
}

#[test]
fn a_stub_that_is_bound_as_it_wakes_has_all_cores_otherwise() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let (child, stub) = Sleeping::start();
        let (all, own) = (child.cores(), sched_getaffinity(None).unwrap());
        let mut shared = SharedCore::new(stub, Binding::AsItWakes);
        shared.is_watched = false;
        if own.count() < 2 {
            return;
        }
        assert!(shares(&mut shared));
        assert_eq!((child.cores(), sched_getaffinity(None).unwrap().count()), (all, 1));
        // Outside of an execution nothing happens.
        wakes_stub();
        assert_eq!(child.cores(), all);
        shared.execute(|| {
            waits_for_stub();
            wakes_stub();
            assert_eq!(child.cores(), sched_getaffinity(None).unwrap());
            waits_for_stub();
            assert_eq!(child.cores(), all);
            wakes_stub();
            assert_eq!(child.cores(), all, "it is woken once");
        });
        // An execution that does not wait.
        shared.execute(wakes_stub);
        assert_eq!(child.cores(), all);
        // Parted while it is woken, by the thread that looks.
        let bound = Arc::clone(shared.bound.as_ref().unwrap());
        shared.execute(|| {
            wakes_stub();
            bound.part();
            assert_eq!((child.cores(), sched_getaffinity(None).unwrap()), (all, own));
            waits_for_stub();
            wakes_stub();
            assert_eq!(child.cores(), all);
        });
        // What the model has set stays.
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|&core| all.is_set(core)).unwrap());
        let (child, stub) = Sleeping::start();
        let mut shared = SharedCore::new(stub, Binding::AsItWakes);
        shared.is_watched = false;
        assert!(shares(&mut shared));
        rustix::thread::sched_setaffinity(Pid::from_raw(child.0.id().cast_signed()), &one).unwrap();
        shared.execute(|| {
            wakes_stub();
            waits_for_stub();
        });
        assert_eq!(child.cores(), one);
    };
    std::thread::spawn(run).join().unwrap();
}
