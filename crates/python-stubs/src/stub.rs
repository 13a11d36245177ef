//! The stub of an instance.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::ends::{self, AwaitedEnd};
use crate::processes;

/// The processes that are some instance's: a number, and when it was started.
static KNOWN: Mutex<Vec<(i32, u64)>> = Mutex::new(Vec::new());

/// A stub process that was found after it was started.
#[derive(Debug)]
pub struct Stub {
    pid: i32,
    started: u64,
    process: Arc<OwnedFd>,
    region: Option<String>,
}

impl Stub {
    /// A child of this process whose region's name begins so, which was started for the instance, and which nobody has found yet.
    pub(crate) fn find(region_prefix: &str, instance: &str, version: &Path) -> Option<Stub> {
        let own = i32::try_from(std::process::id()).ok()?;
        let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found = processes::stubs(region_prefix);
        found.retain(|stub| {
            let mut arguments = stub.arguments.iter();
            let is_versions = arguments.any(|argument| Path::new(argument).starts_with(version));
            let is_instances = arguments.any(|argument| argument == instance);
            stub.parent == own && is_versions && is_instances && !known.contains(&(stub.pid, stub.started))
        });
        // What completed the config may not have ended yet.
        let newest = found.into_iter().max_by_key(|stub| (stub.started, stub.pid))?;
        let process = pidfd_open(Pid::from_raw(newest.pid)?, PidfdFlags::empty()).ok()?;
        known.push((newest.pid, newest.started));
        let region = newest.arguments.into_iter().find(|argument| argument.starts_with(region_prefix));
        Some(Stub { pid: newest.pid, started: newest.started, process: Arc::new(process), region })
    }

    /// A child of this process that nobody has waited for.
    pub(crate) fn of_child(pid: i32, region_prefix: &str) -> Option<Stub> {
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let started = processes::started(pid)?;
        KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((pid, started));
        let region = processes::region_of(pid, region_prefix);
        Some(Stub { pid, started, process: Arc::new(process), region })
    }

    /// The number of the process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The name of its region in the folder of shared memory.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Ends it, if it has not ended.
    pub fn kill(&self) {
        // No other process can have its number as long as this one's descriptor is open.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Has `call` be called when it has ended, so long `after` that, once, on a thread that has others to watch: it has to be quick.
    /// Not when what is returned has been dropped.
    pub fn when_ended(&self, after: Duration, call: impl FnOnce() + Send + 'static) -> AwaitedEnd {
        ends::when_ended(&self.process, after, Box::new(call))
    }

    /// Whether it has not ended. One call of the kernel, which does not wait.
    pub fn is_alive(&self) -> bool {
        let mut polled = [PollFd::new(&*self.process, PollFlags::IN)];
        // An error says nothing of the process.
        !matches!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(ready) if ready > 0)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|stub| *stub != (self.pid, self.started));
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn start(region: &str, instance: &str, version: u32) -> Child {
        let model = format!("/models/m/{version}/model.py");
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do sleep 1; done", "stub", &model, &format!("{region}9"), instance]);
        command.stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn each_stub_is_found_once_and_its_end_is_seen() {
        let region = format!("test_{:016x}_", fastrand::u64(..));
        let of = |instance, version| start(&region, instance, version);
        let children = [of("m_0_0", 1), of("m_0_0", 1), of("m_0_1", 1), of("m_0_0", 2)];
        let folder = Path::new("/models/m/1");
        let mut found = Vec::new();
        while found.len() < 2 {
            found.extend(Stub::find(&region, "m_0_0", folder));
        }
        assert!(Stub::find(&region, "m_0_0", folder).is_none(), "both are known");
        assert_ne!(found[0].pid(), found[1].pid());
        assert!(found.iter().all(Stub::is_alive));

        let mut stubs = found.into_iter();
        let (first, second) = (stubs.next().unwrap(), stubs.next().unwrap());
        first.kill();
        while first.is_alive() {}
        assert!(second.is_alive());
        for mut child in children {
            drop(child.kill());
            child.wait().unwrap();
        }
    }
}
