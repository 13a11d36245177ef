//! Measures how runs of one model scale over threads: on one session or on one each, with the engine's arena or without it,
//! with outputs of the engine or of the caller.
//!
//! ```text
//! sessions LIBRARY MODEL SHAPE POOL SECONDS THREADS
//! ```
//!
//! Every input has the shape, written `1,16`, and 4 bytes an element. `POOL` is the size of the pool that operators are
//! divided among, whose threads do not spin; 0 for none. `THREADS` are numbers, written `1,2,4,8`. Thread n runs on core n.
//! Prints runs a second, and the CPU time of a run in microseconds.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]
#![allow(unsafe_code, reason = "calls the C interface, as a session may run on several threads there")]

use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use ort::AsPointer;
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::memory::MemoryInfo;
use ort::session::Session;
use ort::sys::{ONNXTensorElementDataType, OrtStatusPtr, OrtValue};
use ort::value::TensorElementType;

/// A way to run.
struct Way {
    name: &'static str,
    is_shared: bool,
    has_arena: bool,
    gives_outputs: bool,
}

const fn way(name: &'static str, is_shared: bool, has_arena: bool, gives_outputs: bool) -> Way {
    Way { name, is_shared, has_arena, gives_outputs }
}

const WAYS: [Way; 6] = [
    way("one session", true, true, false),
    way("one session, outputs of the caller", true, true, true),
    way("one session without an arena", true, false, false),
    way("a session each", false, true, false),
    way("a session each, outputs of the caller", false, true, true),
    way("a session each without an arena", false, false, false),
];

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [library, model, shape, pool, seconds, threads] = arguments.as_slice() else {
        println!("sessions LIBRARY MODEL SHAPE POOL SECONDS THREADS");
        return;
    };
    let shape: Vec<i64> = shape.split(',').map(|dimension| dimension.parse().unwrap()).collect();
    let (pool, seconds) = (pool.parse().unwrap(), seconds.parse().unwrap());
    let mut builder = ort::init_from(library).unwrap();
    if pool > 0 {
        let options = GlobalThreadPoolOptions::default().with_spin_control(false).unwrap();
        builder = builder.with_global_thread_pool(options.with_intra_threads(pool).unwrap());
    }
    let environment = builder.build().unwrap();
    for way in &WAYS {
        let open = || Arc::new(open(&environment, model, way, pool));
        let results = threads.split(',').map(|threads| {
            let first = open();
            let each = |_| if way.is_shared { Arc::clone(&first) } else { open() };
            let sessions: Vec<_> = (0..threads.parse().unwrap()).map(each).collect();
            let (rate, cpu) = measure(&sessions, way, &shape, seconds);
            format!("{threads}: {rate:.0}/s {cpu:.2} us")
        });
        println!("{:40}{}", way.name, results.collect::<Vec<_>>().join(", "));
    }
}

fn open(environment: &Environment, model: &str, way: &Way, pool: usize) -> Session {
    let mut builder = Session::builder(environment).unwrap();
    if pool == 0 {
        builder = builder.with_independent_thread_pool().unwrap().with_intra_threads(1).unwrap();
    }
    if !way.has_arena {
        // SAFETY: the options live as long as their builder.
        unsafe { succeeds((ort::api().DisableCpuMemArena)(builder.ptr_mut())) }
    }
    builder.commit_from_file(model).unwrap()
}

/// Runs a second, and the CPU time of each in microseconds.
fn measure(sessions: &[Arc<Session>], way: &Way, shape: &[i64], seconds: f64) -> (f64, f64) {
    let (runs, stop, ready) = (AtomicU64::new(0), AtomicBool::new(false), Barrier::new(sessions.len() + 1));
    let (begin, before) = thread::scope(|scope| {
        for (core, session) in sessions.iter().enumerate() {
            let (runs, stop, ready) = (&runs, &stop, &ready);
            scope.spawn(move || {
                pin(core);
                let runner = Runner::new(session, shape);
                (0..200).for_each(|_| runner.run(session, way));
                ready.wait();
                let mut own = 0;
                while !stop.load(Ordering::Relaxed) {
                    runner.run(session, way);
                    own += 1;
                }
                runs.fetch_add(own, Ordering::Relaxed);
            });
        }
        ready.wait();
        let begin = (Instant::now(), cpu_time());
        thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
        begin
    });
    let (elapsed, used, runs) =
        (begin.elapsed(), cpu_time().saturating_sub(before), runs.into_inner() as f64);
    (runs / elapsed.as_secs_f64(), used.as_secs_f64() / runs * 1e6)
}

/// The tensors of a thread.
struct Runner<'a> {
    memory: MemoryInfo<'static>,
    shape: &'a [i64],
    inputs: Vec<(CString, Kind)>,
    outputs: Vec<(CString, Kind)>,
    content: Vec<u32>,
    /// What the engine writes outputs to. Their shape is that of the inputs.
    written: Vec<Vec<u32>>,
}

type Kind = ONNXTensorElementDataType;

impl<'a> Runner<'a> {
    fn new(session: &Session, shape: &'a [i64]) -> Runner<'a> {
        let kind = |kind: &ort::value::ValueType| match kind.tensor_type().unwrap() {
            TensorElementType::Int32 => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
            _ => Kind::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        };
        let named =
            |outlet: &ort::value::Outlet| (CString::new(outlet.name()).unwrap(), kind(outlet.dtype()));
        let content = vec![0; shape.iter().product::<i64>() as usize];
        let written = session.outputs().iter().map(|_| content.clone()).collect();
        let inputs = session.inputs().iter().map(named).collect();
        let outputs = session.outputs().iter().map(named).collect();
        Runner { memory: MemoryInfo::default(), shape, inputs, outputs, content, written }
    }

    fn tensor(&self, content: &[u32], kind: Kind) -> *mut OrtValue {
        let mut value = null_mut();
        // SAFETY: shape and content outlive the run, and the engine writes to outputs alone, which no other thread has.
        unsafe {
            succeeds((ort::api().CreateTensorWithDataAsOrtValue)(
                self.memory.ptr(),
                content.as_ptr().cast_mut().cast(),
                size_of_val(content),
                self.shape.as_ptr(),
                self.shape.len(),
                kind,
                &raw mut value,
            ));
        }
        value
    }

    fn run(&self, session: &Session, way: &Way) {
        let names =
            |tensors: &[(CString, Kind)]| tensors.iter().map(|(name, _)| name.as_ptr()).collect::<Vec<_>>();
        let inputs: Vec<_> = self.inputs.iter().map(|(_, kind)| self.tensor(&self.content, *kind)).collect();
        let given = self.outputs.iter().zip(&self.written);
        let mut outputs: Vec<_> = given
            .map(
                |((_, kind), written)| {
                    if way.gives_outputs { self.tensor(written, *kind) } else { null_mut() }
                },
            )
            .collect();
        let (input_names, output_names) = (names(&self.inputs), names(&self.outputs));
        // SAFETY: the lists have the given lengths; a session may run on several threads. All values are owned here.
        unsafe {
            succeeds((ort::api().Run)(
                session.ptr().cast_mut(),
                null(),
                input_names.as_ptr(),
                inputs.as_ptr().cast(),
                inputs.len(),
                output_names.as_ptr(),
                outputs.len(),
                outputs.as_mut_ptr(),
            ));
            inputs.into_iter().chain(outputs).for_each(|value| (ort::api().ReleaseValue)(value));
        }
    }
}

fn succeeds(status: OrtStatusPtr) {
    assert!(status.0.is_null(), "the engine fails");
}

/// Has the calling thread run on that core alone.
fn pin(core: usize) {
    // SAFETY: the set is initialised, and its size is given.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes one value, which is valid even if it is all zeros.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}
