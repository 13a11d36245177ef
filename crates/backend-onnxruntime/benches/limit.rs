//! Measures the engine alone: a model in a loop, by the safe interface of the crate `ort`. For `scripts/bench compare`.
//!
//! ```text
//! limit LIBRARY MODEL SHAPE THREADS SECONDS
//! ```
//!
//! Every input has the shape, written `1,16`. Each thread has its own session with one thread. Prints the number of
//! runs, the seconds that they took, and the CPU seconds of the process.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ort::session::{Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType};

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [library, model, shape, threads, seconds] = arguments.as_slice() else {
        println!("limit LIBRARY MODEL SHAPE THREADS SECONDS");
        return;
    };
    let shape: Vec<i64> = shape.split(',').map(|dimension| dimension.parse().unwrap()).collect();
    let threads: usize = threads.parse().unwrap();
    let environment = ort::init_from(library).unwrap().build().unwrap();
    let (runs, stop, ready) = (AtomicU64::new(0), AtomicBool::new(false), Barrier::new(threads + 1));
    let (elapsed, used) = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let builder = Session::builder(&environment).unwrap();
                let mut session = builder.with_intra_threads(1).unwrap().commit_from_file(model).unwrap();
                let inputs = inputs(&session, &shape);
                let mut run = || {
                    let lent: Vec<SessionInputValue<'_>> = inputs.iter().map(lend).collect();
                    session.run(lent.as_slice()).unwrap();
                };
                run();
                ready.wait();
                let mut own = 0;
                while !stop.load(Ordering::Relaxed) {
                    run();
                    own += 1;
                }
                runs.fetch_add(own, Ordering::Relaxed);
            });
        }
        ready.wait();
        let (begin, before) = (Instant::now(), cpu_time());
        thread::sleep(Duration::from_secs_f64(seconds.parse().unwrap()));
        stop.store(true, Ordering::Relaxed);
        (begin, before)
    });
    // All threads have finished here, so the last runs are included.
    let (elapsed, used) = (elapsed.elapsed(), cpu_time().saturating_sub(used));
    println!("{} {} {}", runs.into_inner(), elapsed.as_secs_f64(), used.as_secs_f64());
}

enum Input {
    Floats(Tensor<f32>),
    Integers(Tensor<i32>),
}

fn inputs(session: &Session, shape: &[i64]) -> Vec<Input> {
    let count = shape.iter().product::<i64>() as usize;
    let types = session.inputs().iter().map(|input| input.dtype().tensor_type().unwrap());
    types
        .map(|element| {
            if element == TensorElementType::Int32 {
                let values: Vec<i32> = (0..count as i32).collect();
                return Input::Integers(Tensor::from_array((shape.to_vec(), values)).unwrap());
            }
            let values: Vec<f32> = (0..count).map(|i| (i % 251) as f32).collect();
            Input::Floats(Tensor::from_array((shape.to_vec(), values)).unwrap())
        })
        .collect()
}

fn lend(input: &Input) -> SessionInputValue<'_> {
    match input {
        Input::Floats(tensor) => tensor.into(),
        Input::Integers(tensor) => tensor.into(),
    }
}

/// User and system time of this process so far.
#[allow(unsafe_code, reason = "asks the C library")]
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
