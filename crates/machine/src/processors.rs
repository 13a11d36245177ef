//! The processor time that this process may use, and what of it is used: of the machine, or of what a container has of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use crate::cgroup::{MOUNT, levels, number};

/// Ticks of the kernel's figures in a second, on every Linux that this is built for.
pub const TICKS: f64 = 100.0;

/// Busy processor time at a moment, of the processors that this process may run on, whoever uses them; in a container whose processor time is limited (a
/// quota of cgroups), of what runs in that container.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    pub at: Instant,
    /// How many processors there are to use; with a quota, how many it allows, which may be a part of one.
    pub count: f64,
    /// The seconds for which they were busy so far.
    pub busy: f64,
}

impl Processors {
    /// `None` where the kernel does not tell.
    pub fn now() -> Option<Processors> {
        static GROUP: OnceLock<Option<Group>> = OnceLock::new();
        let group = GROUP
            .get_or_init(|| Group::limited(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new(MOUNT)));
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Processors::read(group.as_ref(), &status, &fs::read_to_string("/proc/stat").ok()?)
    }

    fn read(group: Option<&Group>, status: &str, stat: &str) -> Option<Processors> {
        let (busy, processors) = of_machine(stat, &allowed(status)?)?;
        // A quota that was lifted meanwhile is none.
        let limit = group.and_then(|group| Some((group.limit()?, group.busy()?)));
        let (count, busy) = limit.map_or((processors, busy), |(limit, busy)| (limit.min(processors), busy));
        Some(Processors { at: Instant::now(), count, busy })
    }

    /// The share that was busy since `earlier`, 0 to 1.
    pub fn busy_since(&self, earlier: &Processors) -> f64 {
        let time = self.at.saturating_duration_since(earlier.at).as_secs_f64() * self.count;
        if time > 0.0 { ((self.busy - earlier.busy) / time).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The numbers of the processors that a process may run on, such as `0-3,6`.
fn allowed(status: &str) -> Option<Vec<usize>> {
    let text = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut numbers = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(numbers)
}

/// Seconds for which some processors were busy, and how many of them there are: `cpu0 user nice system idle iowait irq softirq steal ...`, where
/// guests are part of user.
fn of_machine(stat: &str, allowed: &[usize]) -> Option<(f64, f64)> {
    let (mut busy, mut count) = (0.0, 0.0);
    for line in stat.lines() {
        let Some((number, ticks)) = line.strip_prefix("cpu").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        if !number.parse().is_ok_and(|number| allowed.binary_search(&number).is_ok()) {
            continue;
        }
        let ticks: Vec<f64> =
            ticks.split_whitespace().take(8).map_while(|ticks| ticks.parse().ok()).collect();
        busy += ticks.iter().sum::<f64>() - (ticks.get(3)? + ticks.get(4)?);
        count += 1.0;
    }
    (count > 0.0).then_some((busy / TICKS, count))
}

/// A group of processes whose processor time is limited: this process's, or one around it.
#[derive(Debug, PartialEq)]
enum Group {
    /// Of version 2 of cgroups, by its folder.
    Unified(PathBuf),
    /// Of version 1: the folders of the controllers `cpu` and `cpuacct`.
    Split(PathBuf, PathBuf),
}

impl Group {
    /// The group with the tightest limit of those that a process is in, by its `/proc/PID/cgroup`.
    fn limited(membership: &str, mount: &Path) -> Option<Group> {
        let unified = levels(membership, mount, "").into_iter().flatten().map(Group::Unified);
        let split = levels(membership, mount, "cpu").into_iter().flatten().map(|folder| {
            let own = folder.strip_prefix(mount.join("cpu")).unwrap_or(Path::new("")).to_owned();
            Group::Split(folder, mount.join("cpuacct").join(own))
        });
        let known = unified.chain(split).filter_map(|group| Some((group.limit()?, group)));
        known.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, group)| group)
    }

    /// How many processors it may use; `None` if there is no limit.
    fn limit(&self) -> Option<f64> {
        let (quota, period) = match self {
            Group::Unified(folder) => {
                let limit = fs::read_to_string(folder.join("cpu.max")).ok()?;
                let (quota, period) = limit.trim().split_once(' ')?;
                (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
            }
            // -1 is no limit.
            Group::Split(folder, _) => {
                (number::<f64>(&folder.join("cpu.cfs_quota_us"))?, number(&folder.join("cpu.cfs_period_us"))?)
            }
        };
        (quota > 0.0 && period > 0.0).then_some(quota / period)
    }

    /// The seconds that its processes have used.
    fn busy(&self) -> Option<f64> {
        match self {
            Group::Unified(folder) => {
                let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
                let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(micros.trim().parse::<f64>().ok()? / 1e6)
            }
            Group::Split(_, folder) => Some(number::<f64>(&folder.join("cpuacct.usage"))? / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx y\nCpus_allowed:\tb\nCpus_allowed_list:\t0-1,3\nMems_allowed_list:\t0\n";
    const STAT: &str = "cpu  500 50 50 700 100 10 20 30 40 0\ncpu0 100 0 0 50 50 0 0 0 9 9\ncpu1 0 0 100 100 0 0 0 0 0 0\n\
                        cpu2 300 0 0 0 0 0 0 0 0 0\ncpu3 0 0 0 1 1 20 20 10 0 0\nintr 5\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn of(groups: &str, files: &[(&str, &str)]) -> (f64, f64) {
        let folder = folder(files);
        let group = Group::limited(groups, folder.path());
        let read = Processors::read(group.as_ref(), STATUS, STAT).unwrap();
        (read.count, read.busy)
    }

    #[test]
    fn processors_that_others_are_bound_to_do_not_count() {
        assert_eq!(of("", &[]), (3.0, 2.5), "not the second");
        assert_eq!(of("0::/\n", &[("cpu.stat", "usage_usec 7\n"), ("cpu.max", "max 100000\n")]), (3.0, 2.5));
        assert!(Processors::read(None, STATUS, "cpu  1 2 3 4 5\n").is_none());
        assert!(Processors::read(None, "Name:\tx\n", STAT).is_none());
    }

    #[test]
    fn a_container_has_what_its_quota_allows() {
        let files = [("cpu.max", "150000 100000\n"), ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n")];
        assert_eq!(of("0::/\n", &files), (1.5, 2.5));
        // Without a tree of its own the path is the host's, and nothing is there.
        assert_eq!(of("0::/docker/123\n", &files), (1.5, 2.5));
        // A quota above what there is allows no more.
        let files = [("cpu.max", "800000 100000\n"), ("cpu.stat", "usage_usec 4000000\n")];
        assert_eq!(of("0::/\n", &files), (3.0, 4.0));
    }

    #[test]
    fn the_tightest_limit_around_counts() {
        let files = [
            ("pod/cpu.max", "100000 100000\n"),
            ("pod/cpu.stat", "usage_usec 9000000\n"),
            ("pod/one/cpu.max", "200000 100000\n"),
            ("pod/one/cpu.stat", "usage_usec 3000000\n"),
        ];
        assert_eq!(of("0::/pod/one\n", &files), (1.0, 9.0));
        assert_eq!(of("0::/pod/one\n", &files[2..]), (2.0, 3.0));
    }

    #[test]
    fn the_first_version_of_groups_is_read_as_well() {
        let groups = "9:name=systemd:/\n2:cpuacct:/a\n1:cpu,x:/a\n0::/\n";
        let files = [
            ("cpu/a/cpu.cfs_quota_us", "50000\n"),
            ("cpu/a/cpu.cfs_period_us", "100000\n"),
            ("cpuacct/a/cpuacct.usage", "1500000000\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(of(groups, &files), (0.5, 1.5));
        assert_eq!(of(groups, &files[3..]), (3.0, 2.5));
    }

    #[test]
    fn a_share_is_of_what_there_is() {
        let earlier = Processors { at: Instant::now(), count: 2.0, busy: 1.0 };
        let later = Processors { at: earlier.at + std::time::Duration::from_secs(1), busy: 2.5, ..earlier };
        assert!((later.busy_since(&earlier) - 0.75).abs() < 1e-9);
        assert!(earlier.busy_since(&earlier).abs() < 1e-9);
        let now = Processors::now().unwrap();
        assert!(now.count > 0.0 && now.busy > 0.0, "{now:?}");
    }
}
