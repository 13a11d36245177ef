use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
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
        shared.learn(APART, Duration::ZERO, Duration::ZERO);
    }
    false
}

/// Executes for so many windows, each execution as long as these say of apart and together.
fn executes(shared: &mut SharedCore, windows: u32, apart: Duration, together: Duration) {
    for _ in 0..windows * decision::WINDOW {
        shared.learn(if shared.is_shared() { together } else { apart }, Duration::ZERO, Duration::ZERO);
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
            shared.learn(TOGETHER, Duration::ZERO, Duration::ZERO);
        }
        assert!(!shared.is_shared() && child.cores() == *all);
    });
}

/// A stub that starts a process for each line that it gets, which has one of its own, and tells their numbers.
struct Starting {
    child: Sleeping,
    stub: Arc<Stub>,
    lines: BufReader<ChildStdout>,
    started: Vec<Pid>,
}

impl Starting {
    fn new() -> Starting {
        let script = "while read line; do sh -c 'sleep 600 & echo $$ $!; wait' & done; wait";
        let mut command = Command::new("sh");
        let mut child =
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let stub = Arc::new(Stub::of_child(child.id().cast_signed(), "no region").unwrap());
        Starting { child: Sleeping(child), stub, lines, started: Vec::new() }
    }

    /// Has it start the two, and returns their cores.
    fn starts(&mut self) -> [CpuSet; 2] {
        self.child.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        self.started =
            line.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
        self.cores()
    }

    fn cores(&self) -> [CpuSet; 2] {
        [0, 1].map(|one| sched_getaffinity(Some(self.started[one])).unwrap())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        for process in &self.started {
            let _ = rustix::process::kill_process(*process, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn what_the_stub_has_started_meanwhile_gets_all_cores() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut starting = Starting::new();
    let (all, own) = (starting.child.cores(), sched_getaffinity(None).unwrap());
    if own.count() < 2 {
        return;
    }
    let bound = Bound::new(&starting.stub, &Arc::default(), Binding::Throughout, false).unwrap();
    assert_eq!(starting.starts().map(|cores| cores.count()), [1, 1]);
    let (tell, told) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid()).unwrap();
        end.recv().unwrap();
    });
    let thread_id = told.recv().unwrap();
    assert_eq!(sched_getaffinity(Some(thread_id)).unwrap().count(), 1);
    bound.part();
    assert_eq!((starting.cores(), starting.child.cores()), ([all, all], all));
    assert_eq!(sched_getaffinity(Some(thread_id)).unwrap(), own);
    ends.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn what_a_stub_has_started_before_it_got_its_cores_back_gets_them_too() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let mut starting = Starting::new();
        let (all, own) = (starting.child.cores(), sched_getaffinity(None).unwrap());
        if own.count() < 2 {
            return;
        }
        assert_eq!(starting.starts(), [all, all]);
        let before = starting.started.clone();
        let bound = Bound::new(&starting.stub, &Arc::default(), Binding::AsItWakes, false).unwrap();
        let only = sched_getaffinity(None).unwrap();
        // One that the model has bound itself, long enough before for the kernel's clock to tell.
        rustix::thread::sched_setaffinity(Some(before[0]), &only).unwrap();
        let ticks = descent::Ticks::ago(Duration::ZERO);
        while ticks == descent::Ticks::ago(Duration::ZERO) {
            std::thread::yield_now();
        }
        for _ in 0..2 {
            bound.begins();
            bound.wakes(|| assert_eq!((starting.starts(), starting.child.cores()), ([only, only], only)));
            assert_eq!((starting.cores(), starting.child.cores()), ([all, all], all));
            // As if it had been about to start.
            rustix::thread::sched_setaffinity(Some(starting.started[1]), &only).unwrap();
            assert_eq!(bound.ends(), After::Late);
            assert_eq!(starting.cores(), [all, all]);
        }
        assert_eq!(sched_getaffinity(Some(before[0])).unwrap(), only);
        bound.part();
        assert_eq!(sched_getaffinity(Some(before[0])).unwrap(), only);
        assert_eq!(sched_getaffinity(None).unwrap(), own);
        starting.started.extend(before);
    };
    std::thread::spawn(run).join().unwrap();
}

#[test]
fn a_core_that_others_want_is_not_shared() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let (_child, stub) = Sleeping::start();
        let mut shared = SharedCore::new(stub, Binding::AsItWakes);
        shared.is_watched = false;
        if sched_getaffinity(None).unwrap().count() < 2 {
            return;
        }
        assert!(shares(&mut shared));
        let late = || wakes_stub(|| std::thread::sleep(Duration::from_micros(200)));
        for _ in 0..=IN_A_ROW {
            assert!(shared.is_shared());
            shared.execute(Duration::ZERO, late);
        }
        assert!(!shared.is_shared());
    };
    std::thread::spawn(run).join().unwrap();
}

#[test]
fn a_stub_that_has_children_is_left_alone() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        let mut starting = Starting::new();
        let mut shared = SharedCore::new(Arc::clone(&starting.stub), Binding::AsItWakes);
        shared.is_watched = false;
        if sched_getaffinity(None).unwrap().count() < 2 {
            return;
        }
        assert!(shares(&mut shared));
        starting.starts();
        for _ in 0..COUNTED {
            shared.learn(TOGETHER, Duration::ZERO, Duration::ZERO);
        }
        assert!(!shared.is_shared());
        let mut shared = SharedCore::new(Arc::clone(&starting.stub), Binding::AsItWakes);
        shared.is_watched = false;
        assert!(!shares(&mut shared));
    };
    std::thread::spawn(run).join().unwrap();
}

#[test]
fn a_long_execution_gets_all_cores_while_it_lasts() {
    with_shared(true, |shared, child, all| {
        let until = Instant::now() + Duration::from_mins(1);
        shared.execute(Duration::ZERO, || {
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
        shared.execute(Duration::ZERO, || ());
        let until = Instant::now() + Duration::from_mins(1);
        while child.cores() != *all && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(child.cores(), *all);
        shared.learn(TOGETHER, watch::IDLE, Duration::ZERO);
        assert!(!shared.is_shared());
    });
}

#[test]
fn a_stub_that_has_ended_is_let_go_of() {
    with_shared(false, |shared, _, _| {
        let (child, stub) = Sleeping::start();
        let alone = SharedCore::new(stub, Binding::Throughout);
        drop(child);
        assert!(descent::threads(&alone.stub).is_none());
        assert!(Bound::new(&alone.stub, &alone.stub_ended, Binding::Throughout, false).is_none());
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
        let now = || child.cores();
        // Outside of an execution nothing happens.
        assert_eq!(wakes_stub(now), all);
        let only = sched_getaffinity(None).unwrap();
        shared.execute(Duration::ZERO, || {
            assert_eq!((wakes_stub(now), now()), (only, all));
            assert_eq!(wakes_stub(now), all, "it is woken once");
        });
        // Parted by the thread that looks.
        let bound = Arc::clone(shared.bound.as_ref().unwrap());
        shared.execute(Duration::ZERO, || {
            bound.part();
            assert_eq!((child.cores(), sched_getaffinity(None).unwrap()), (all, own));
            assert_eq!(wakes_stub(now), all);
        });
        // What the model has set stays.
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|&core| all.is_set(core)).unwrap());
        let (child, stub) = Sleeping::start();
        let mut shared = SharedCore::new(stub, Binding::AsItWakes);
        shared.is_watched = false;
        assert!(shares(&mut shared));
        rustix::thread::sched_setaffinity(Pid::from_raw(child.0.id().cast_signed()), &one).unwrap();
        shared.execute(Duration::ZERO, || wakes_stub(|| ()));
        assert_eq!(child.cores(), one);
    };
    std::thread::spawn(run).join().unwrap();
}
