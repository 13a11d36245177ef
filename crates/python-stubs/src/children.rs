//! The processes that a thread has started, as another thread sees them.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use tracing::debug;

use crate::processes;
use crate::stub::Stub;

/// The children of a thread of this process, which may wait for them for ever. Nothing of what the thread does is changed by that
/// they are looked at: it finds the ends of its children itself.
#[derive(Debug)]
pub struct Children {
    /// The kernel's list of them.
    list: String,
    region_prefix: String,
    /// The regions of those that were seen alive.
    regions: BTreeMap<i32, String>,
}

/// What the children of a thread do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// There is none, or the thread knows of their ends.
    Nothing,
    /// One runs.
    Runs,
    /// All have ended, and the thread has not asked how.
    Ended {
        /// How the last one did.
        how: String,
        /// The region of the last one, if it was seen.
        region: Option<String>,
    },
}

impl Children {
    /// Those of the thread with that number of the kernel's, whose regions have names that begin with the prefix.
    pub fn of_thread(thread: i32, region_prefix: &str) -> Children {
        let list = format!("/proc/self/task/{thread}/children");
        Children { list, region_prefix: region_prefix.to_owned(), regions: BTreeMap::new() }
    }

    /// The stub that was started last, if the thread has not asked how it has ended: it may have ended all the same. Nobody else's
    /// process can be meant, as its number is taken until then.
    pub fn stub(&self) -> Option<Stub> {
        let list = fs::read_to_string(&self.list).ok()?;
        Stub::of_child(list.split_whitespace().last()?.parse().ok()?, &self.region_prefix)
    }

    /// Looks at them. Where the kernel does not list children (`CONFIG_PROC_CHILDREN`), none is seen.
    pub fn look(&mut self) -> Activity {
        let list = fs::read_to_string(&self.list).unwrap_or_default();
        let mut ended = None;
        for pid in list.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if let Some(how) = how_ended(pid) {
                ended = Some((pid, how));
                continue;
            }
            // It is there for the short time of a trial, too.
            if let Some(region) = processes::region_of(pid, &self.region_prefix) {
                if !self.regions.contains_key(&pid) {
                    debug!(pid, region, "a process of the Python backend has started");
                }
                self.regions.insert(pid, region);
            }
            return Activity::Runs;
        }
        ended.map_or(Activity::Nothing, |(pid, how)| Activity::Ended {
            how,
            region: self.regions.get(&pid).cloned(),
        })
    }
}

/// The number by which the kernel knows the calling thread.
pub fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// How a child has ended that nobody has waited for; `None` if it runs, or somebody has.
fn how_ended(pid: i32) -> Option<String> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(Pid::from_raw(pid)?), options).ok()??;
    Some(told(&status))
}

fn told(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status: {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_of_a_child_is_seen_until_its_thread_asks_for_it() {
        let prefix = format!("test_{:016x}_", fastrand::u64(..));
        let region = format!("{prefix}1");
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(this_thread()).unwrap();
            gone.recv().unwrap();
            let script = "while :; do sleep 1; done";
            let mut command = Command::new("sh");
            command.args(["-c", script, "stub", "model.py", &region]).stdin(Stdio::null());
            let mut child = command.spawn().unwrap();
            tell.send(child.id().cast_signed()).unwrap();
            gone.recv().unwrap();
            child.wait().unwrap();
            tell.send(0).unwrap();
            gone.recv().unwrap_err();
        });
        let mut children = Children::of_thread(told.recv().unwrap(), &prefix);
        assert_eq!(children.look(), Activity::Nothing);
        assert!(children.stub().is_none());
        go.send(()).unwrap();
        let pid = told.recv().unwrap();
        while children.regions.is_empty() {
            assert_eq!(children.look(), Activity::Runs);
        }
        let stub = children.stub().unwrap();
        assert!(stub.pid() == pid && stub.is_alive() && stub.region().is_some());
        let pid = Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let ended = Activity::Ended { how: "signal: 9".to_owned(), region: Some(format!("{prefix}1")) };
        while children.look() == Activity::Runs {}
        assert!(!stub.is_alive());
        assert!(!children.stub().unwrap().is_alive(), "one that has ended is found, too");
        assert_eq!(children.look(), ended);
        assert_eq!(children.look(), ended, "looking takes nothing away");
        go.send(()).unwrap();
        told.recv().unwrap();
        assert_eq!(children.look(), Activity::Nothing);
        drop(go);
        thread.join().unwrap();
    }
}
