//! Turns of a bench, in which the same work is done in several ways by several threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a turn gave.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_second: f64,
    /// Milliseconds of CPU time of the process for one.
    pub cpu_ms: f64,
}

/// Runs a function in a loop on each thread, as `make` makes it there.
pub fn measure<F: FnMut()>(threads: usize, time: Duration, make: impl Fn() -> F + Sync) -> Rate {
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (begun, cpu) = (Instant::now(), cpu_time());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut run = make();
                while !stop.load(Ordering::Relaxed) {
                    run();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    let count = count.into_inner() as f64;
    let used = cpu_time().saturating_sub(cpu).as_secs_f64();
    Rate { per_second: count / begun.elapsed().as_secs_f64(), cpu_ms: used * 1e3 / count }
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may have spaces: user and system time are the 12th and 13th field, in hundredths of a second.
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// The median of a number of each round.
pub fn median<T>(rounds: &[T], get: impl Fn(&T) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(get).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// One line for each way, the first of which is compared with the others.
pub fn report<const WAYS: usize>(names: [&str; WAYS], rounds: &[[Rate; WAYS]]) -> String {
    let line = |(way, name): (usize, &str)| {
        format!(
            "  {name:30} {:9.1} a second, {:8.4} ms of CPU; the first one's speed is {:.3} of it, its CPU time {:.3}\n",
            median(rounds, |round| round[way].per_second),
            median(rounds, |round| round[way].cpu_ms),
            median(rounds, |round| round[0].per_second / round[way].per_second),
            median(rounds, |round| round[0].cpu_ms / round[way].cpu_ms),
        )
    };
    names.into_iter().enumerate().map(line).collect()
}
