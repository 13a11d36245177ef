//! The threads of a stub and of the processes below it, and when they have begun.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::{Stub, processes};

/// A time as the kernel tells when a thread has begun: in ticks since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks(u64);

impl Ticks {
    /// Not after what was so long ago.
    pub(super) fn ago(ago: Duration) -> Ticks {
        let now = clock_gettime(ClockId::Boottime);
        let now = Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned() as u32);
        let ticks = u128::from(rustix::param::clock_ticks_per_second());
        Ticks(u64::try_from(now.saturating_sub(ago).as_nanos() * ticks / 1_000_000_000).unwrap_or(0))
    }

    /// Whether a thread has begun since, as far as is known.
    pub(super) fn is_before(self, process: i32, task: i32) -> bool {
        processes::thread_started(process, task).is_none_or(|began| began >= self.0)
    }
}

/// The threads of a process.
pub(super) fn tasks(process: i32) -> impl Iterator<Item = i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    tasks.into_iter().flatten().flatten().filter_map(|task| task.file_name().to_str()?.parse().ok())
}

/// The processes that a thread has started, where the kernel tells of them.
fn children(process: i32, task: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{task}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Calls for each thread of a process, and of those that it has started, with the process and the thread.
pub(super) fn each_below(process: i32, call: &mut impl FnMut(i32, i32)) {
    for task in tasks(process) {
        call(process, task);
        for child in children(process, task) {
            each_below(child, call);
        }
    }
}

/// How many threads a stub has.
pub(super) fn threads(stub: &Stub) -> Option<u64> {
    fs::metadata(format!("/proc/{}/task", stub.pid())).ok().map(|folder| folder.nlink())
}

/// Whether a stub has started other processes that are there.
pub(super) fn has_children(stub: &Stub) -> bool {
    tasks(stub.pid()).any(|task| !children(stub.pid(), task).is_empty())
}
