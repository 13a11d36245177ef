//! The processes of this machine that are stubs with regions of a given host, as far as they can be seen from here.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tracing::warn;

/// How many arguments of a process are looked at.
const MOST_ARGUMENTS: usize = 16;

/// A stub, by its command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StubProcess {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// When it was started, in ticks since the machine was.
    pub(crate) started: u64,
    pub(crate) arguments: Vec<String>,
}

/// All stubs whose region's name begins so.
pub(crate) fn stubs(region_prefix: &str) -> Vec<StubProcess> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| stub(pid, region_prefix)).collect()
}

/// A process, if it is a stub whose region's name begins so.
fn stub(pid: i32, region_prefix: &str) -> Option<StubProcess> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments = arguments(&line);
    if !arguments.iter().skip(1).any(|argument| argument.starts_with(region_prefix)) {
        return None;
    }
    let (parent, started) = facts(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(StubProcess { pid, parent, started, arguments })
}

/// The name of the region of a process, wherever its command line has it: a shell that is to become a stub has it in a script.
pub(crate) fn region_of(pid: i32, region_prefix: &str) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    region_in(&String::from_utf8_lossy(&line), region_prefix)
}

fn region_in(line: &str, region_prefix: &str) -> Option<String> {
    let region = &line[line.find(region_prefix)?..];
    let end = region.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    Some(region[..end.unwrap_or(region.len())].to_owned())
}

fn arguments(line: &[u8]) -> Vec<String> {
    let parts = line.split(|&byte| byte == 0).take(MOST_ARGUMENTS);
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

/// When a process was started, in ticks since the machine was.
pub(crate) fn started(pid: i32) -> Option<u64> {
    Some(facts(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.1)
}

/// When a thread of a process was started, in ticks since the machine was.
pub(crate) fn thread_started(pid: i32, thread: i32) -> Option<u64> {
    Some(facts(&fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).ok()?)?.1)
}

/// The parent of a process, and when it was started.
fn facts(stat: &str) -> Option<(i32, u64)> {
    // The name in parentheses may have anything in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.nth(1)?.parse().ok()?, fields.nth(17)?.parse().ok()?))
}

/// Ends all stubs whose region's name begins so, and returns how many there were.
pub(crate) fn end_all(region_prefix: &str) -> usize {
    let mut ended = 0;
    for StubProcess { pid, .. } in stubs(region_prefix) {
        let Some(number) = Pid::from_raw(pid) else { continue };
        let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { continue };
        // Its number may have become that of another process before it was opened, but not after.
        if stub(pid, region_prefix).is_none() {
            continue;
        }
        match pidfd_send_signal(&process, Signal::KILL) {
            Ok(()) => ended += 1,
            Err(error) => {
                warn!("failed to end the process {pid}, a Python model of a server that is gone: {error}");
            }
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn parent_and_start_are_read_whatever_the_name_is() {
        let fields = "S 41 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 777 21";
        assert_eq!(facts(&format!("42 (a) b) ) {fields}")), Some((41, 777)));
        assert_eq!(facts("42 (a) S"), None);
    }

    #[test]
    fn a_region_is_found_in_an_argument_and_in_a_script() {
        let script = "bash\0-c\0exec stub model.py region_1a-2b 1048576 7\0";
        assert_eq!(region_in(script, "region_").as_deref(), Some("region_1a-2b"));
        assert_eq!(region_in("stub\0region_1a", "region_").as_deref(), Some("region_1a"));
        assert_eq!(region_in("stub\0model.py", "region_"), None);
    }

    #[test]
    fn a_process_is_found_by_its_region_and_ended() {
        let region = format!("test_{:016x}_", fastrand::u64(..));
        // A shell that waits by itself: what comes behind are its arguments, and a process that it started would have them, too, at first.
        let script = "read line";
        let mut command = Command::new("sh");
        command.args(["-c", script, "stub", "model.py", &format!("{region}9")]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut found = Vec::new();
        while found.is_empty() {
            found = stubs(&region);
        }
        assert_eq!(i64::from(found[0].pid), i64::from(child.id()));
        assert_eq!(i64::from(found[0].parent), i64::from(std::process::id()));
        assert!(stubs("test_another_").is_empty());
        assert_eq!(end_all(&region), 1);
        assert!(!child.wait().unwrap().success());
        assert_eq!(end_all(&region), 0);
    }
}
