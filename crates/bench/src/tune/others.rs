//! What other processes take of the machine's processors meanwhile, which makes measurements less and never more.

use std::fs;

use hippocamp_machine::{Processors, TICKS};

use crate::process::cpu_time;

/// The processor seconds of the machine, or of the container that has a part of it, and those of this process, at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    all: Processors,
    /// With the processes that it has started: models in Python have some.
    own: f64,
}

impl Reading {
    /// `None` where the kernel does not tell.
    pub(crate) fn now() -> Option<Reading> {
        let ended = of_process(&fs::read_to_string("/proc/self/stat").ok()?, 15)?;
        let own = cpu_time().as_secs_f64() + ended + descendants().iter().sum::<f64>();
        Some(Reading { all: Processors::now()?, own })
    }

    /// The share of it that others have taken since `earlier`, 0 to 1.
    pub(crate) fn others_since(&self, earlier: &Reading) -> f64 {
        let others = Processors { busy: self.all.busy - (self.own - earlier.own), ..self.all };
        others.busy_since(&earlier.all)
    }
}

/// The sum of two fields of a process's `stat`, by the number of the first as `proc(5)` counts less one: 13 are its own user and system time, 15
/// those of its children that have ended.
fn of_process(stat: &str, field: usize) -> Option<f64> {
    // The name in front may have spaces in it, and stands in parentheses as the second field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(field - 2);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS)
}

/// The seconds of each process that runs and that this one has started, or one of those: a model in Python may have workers.
fn descendants() -> Vec<f64> {
    let stat = |pid: &String| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let mut pids = children("self");
    let mut next = 0;
    while let Some(pid) = pids.get(next) {
        let others = children(pid);
        pids.extend(others);
        next += 1;
    }
    // With what those of its own have taken that have ended.
    let seconds = |stat: String| Some(of_process(&stat, 13)? + of_process(&stat, 15)?);
    pids.iter().filter_map(stat).filter_map(seconds).collect()
}

/// The processes that one has started and that run.
fn children(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 10 0 0 0 150 50 30 20 20 0 1 0";
        assert_eq!((of_process(stat, 13), of_process(stat, 15)), (Some(2.0), Some(0.5)));
    }

    #[test]
    fn what_a_child_has_started_is_found() {
        use std::io::Read;
        use std::process::{Command, Stdio};

        // The shell waits for a process of its own, which has told its number, and which reads until its input ends.
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'echo $$; exec cat' && true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut told, mut byte) = (String::new(), [0]);
        while shell.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            told.push(char::from(byte[0]));
        }
        assert_eq!(children(&shell.id().to_string()), [told]);
        assert!(descendants().len() >= 2);
        drop(shell.stdin.take());
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn the_share_of_others_is_what_is_not_ones_own() {
        let earlier = Reading::now().unwrap();
        let (whole, time) = (earlier.all.at + std::time::Duration::from_secs(1), earlier.all.count);
        let all = Processors { at: whole, busy: earlier.all.busy + 0.75 * time, ..earlier.all };
        let later = Reading { all, own: earlier.own + 0.5 * time };
        assert!((later.others_since(&earlier) - 0.25).abs() < 1e-6);
        // Ticks are coarse.
        let alone = Reading { all: Processors { at: whole, ..earlier.all }, own: earlier.own + 0.1 };
        assert!(alone.others_since(&earlier).abs() < 1e-9);
    }
}
