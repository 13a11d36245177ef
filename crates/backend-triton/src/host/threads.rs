//! Threads of an instance of the Python backend that an exception ends. The backend frees the text of an error that it gives to a model
//! (of `pb_utils.load_model`, or of a metric) before the stub has read it. What that then writes there may be locks of the shared memory:
//! whoever locks one next throws `boost::interprocess::lock_exception`, out of a destructor or a thread, for which C++ ends the process.
//! Here the instance ends: its process is killed, and it is made anew as any other that was lost. A thread that the backend has
//! started ends, and that of an execution stays where it is.

#![allow(unsafe_code, reason = "ends a thread without unwinding it")]

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use hippocamp_python_stubs::{Stub, this_thread};
use parking_lot::Mutex;
use tracing::error;

use super::python::Python;

thread_local! {
    /// The instance that the thread has executed last.
    static EXECUTED: RefCell<Weak<InstanceThreads>> = const { RefCell::new(Weak::new()) };
    /// Whether it does now.
    static EXECUTES: Cell<bool> = const { Cell::new(false) };
}

static INSTANCES: Mutex<Vec<Weak<InstanceThreads>>> = Mutex::new(Vec::new());

/// The threads of an instance: the kernel gives them the name of that which has started them.
#[derive(Debug)]
pub(super) struct InstanceThreads {
    name: CString,
    instance: String,
    state: Mutex<State>,
}

/// An execution, until this is dropped, by a panic as well.
struct Executing;

impl Drop for Executing {
    fn drop(&mut self) {
        EXECUTES.set(false);
    }
}

#[derive(Debug)]
struct State {
    /// One of the threads has ended.
    has_ended: bool,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// The thread of that number starts it.
    Starts(Arc<Python>, i32),
    Runs(Arc<Stub>),
}

impl InstanceThreads {
    /// Those which the calling thread starts from now on. `is_named` says whether it has a name that no other instance has.
    pub(super) fn of_this_thread(
        python: &Arc<Python>,
        instance: &str,
        is_named: bool,
    ) -> Option<Arc<InstanceThreads>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !is_named {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = CString::new(format!("pd{number} {instance}")).ok()?;
            rustix::thread::set_name(&name).ok()?;
        }
        // As the kernel has cut it off.
        let name = rustix::thread::name().ok()?;
        let process = Process::Starts(Arc::clone(python), this_thread());
        let state = Mutex::new(State { has_ended: false, process });
        let threads = Arc::new(InstanceThreads { name, instance: instance.to_owned(), state });
        let mut all = INSTANCES.lock();
        all.retain(|threads| threads.upgrade().is_some());
        all.push(Arc::downgrade(&threads));
        Some(threads)
    }

    /// Makes an execution of the instance on the calling thread.
    pub(super) fn execute<T>(self: &Arc<Self>, call: impl FnOnce() -> T) -> T {
        EXECUTED.with_borrow_mut(|executed| {
            if executed.as_ptr() != Arc::as_ptr(self) {
                *executed = Arc::downgrade(self);
            }
        });
        EXECUTES.set(true);
        let _until_it_is_left = Executing;
        call()
    }

    /// The process has started.
    pub(super) fn belong_to(&self, stub: &Arc<Stub>) {
        let mut state = self.state.lock();
        state.process = Process::Runs(Arc::clone(stub));
        if state.has_ended {
            stub.kill();
        }
    }

    fn one_has_ended(&self) {
        error!(
            instance = self.instance,
            "an exception in the Python backend would have ended the server; the instance is made anew instead"
        );
        let mut state = self.state.lock();
        state.has_ended = true;
        match &state.process {
            Process::Runs(stub) => stub.kill(),
            Process::Starts(python, thread) => {
                if let Some(stub) = python.stub_of_thread(*thread) {
                    stub.kill();
                }
            }
        }
    }
}

/// Ends the calling thread, for which C++ is about to end the process, if it is one of an instance.
pub(super) fn end_this_thread() {
    if EXECUTES.try_with(Cell::get).unwrap_or(false) {
        if let Ok(Some(threads)) = EXECUTED.try_with(|executed| executed.borrow().upgrade()) {
            threads.one_has_ended();
        }
        // The execution is given up as any other that never returns.
        loop {
            thread::park();
        }
    }
    let Ok(name) = rustix::thread::name() else { return };
    let instance = INSTANCES.lock().iter().filter_map(Weak::upgrade).find(|threads| threads.name == name);
    let Some(threads) = instance else { return };
    threads.one_has_ended();
    drop(threads);
    // SAFETY: the thread is the backend's own, so that no frame of this server is above this one, and whoever joins it is woken by the
    // kernel. Neither is it unwound, which would end the process, nor are its variables destroyed.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}
