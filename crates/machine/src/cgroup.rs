//! The limits of the control groups around this process: of its container, its pod or its service.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// Where the hierarchies of control groups are mounted, everywhere.
pub(crate) const MOUNT: &str = "/sys/fs/cgroup";

/// The folders of one process's control groups, each before what it lies in. A limit may be set at each level.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    folders: Vec<PathBuf>,
    files: Files,
}

/// How the files are called in the two versions of control groups.
#[derive(Debug)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: pages of files, and memory of the kernel, that it drops before it ends a process. Weights that were read more than
    /// once are among the active ones.
    droppable: &'static [&'static str],
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    droppable: &["total_inactive_file", "total_active_file"],
};
const V2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    droppable: &["inactive_file", "active_file", "slab_reclaimable"],
};

impl Default for Files {
    fn default() -> Files {
        V2
    }
}

impl Cgroups {
    /// Those of this process.
    pub(crate) fn own() -> Cgroups {
        match fs::read_to_string("/proc/self/cgroup") {
            Ok(membership) => Cgroups::of(&membership, Path::new(MOUNT)),
            Err(_) => Cgroups::default(),
        }
    }

    /// From lines as `0::/system.slice/hippocamp.service` (version 2) or `7:memory:/docker/ab12` (version 1, which wins where it has the
    /// memory). A container may see the path that the host knows and have its own group mounted at the top, so levels may be missing.
    fn of(membership: &str, mount: &Path) -> Cgroups {
        let (folders, files) = match (levels(membership, mount, "memory"), levels(membership, mount, "")) {
            (Some(folders), _) => (folders, V1),
            (None, Some(folders)) => (folders, V2),
            (None, None) => return Cgroups::default(),
        };
        Cgroups { folders, files }
    }

    /// The least limit in bytes, of those that are set.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.folders.iter().filter_map(|folder| number(&folder.join(self.files.limit))).min()
    }

    /// The bytes that may still be used below every limit.
    pub(crate) fn memory_left(&self) -> Option<u64> {
        let left = |folder: &PathBuf| {
            let limit: u64 = number(&folder.join(self.files.limit))?;
            let usage: u64 = number(&folder.join(self.files.usage)).unwrap_or(0);
            Some(limit.saturating_sub(usage.saturating_sub(self.droppable(folder))))
        };
        self.folders.iter().filter_map(left).min()
    }

    fn droppable(&self, folder: &Path) -> u64 {
        let text = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let fields = text.lines().filter_map(|line| line.split_once(' '));
        let droppable = fields.filter(|(name, _)| self.files.droppable.contains(name));
        droppable.filter_map(|(_, bytes)| bytes.parse::<u64>().ok()).fold(0, u64::saturating_add)
    }
}

/// The folders of one process's group of a controller of version 1, or of version 2 for the empty name, each before what it lies in.
pub(crate) fn levels(membership: &str, mount: &Path, controller: &str) -> Option<Vec<PathBuf>> {
    let path = membership.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    let top = mount.join(controller);
    // `/../..` leads out of what a container can see.
    let names = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
    let own = top.join(names.collect::<PathBuf>());
    Some(own.ancestors().take_while(|folder| folder.starts_with(&top)).map(Path::to_owned).collect())
}

/// The number in a file; none where it says `max`.
pub(crate) fn number<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn write(mount: &TempDir, path: &str, text: &str) {
        let path = mount.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_least_limit_of_all_levels_holds() {
        let mount = tempfile::tempdir().unwrap();
        write(&mount, "pods/memory.max", "3000\n");
        write(&mount, "pods/memory.current", "2500\n");
        write(
            &mount,
            "pods/memory.stat",
            "anon 1\ninactive_file 400\nactive_file 200\nslab_reclaimable 100\nslab 150\n",
        );
        write(&mount, "pods/one/memory.max", "2000\n");
        write(&mount, "pods/one/memory.current", "500\n");
        write(&mount, "pods/one/two/memory.max", "max\n");
        let groups = Cgroups::of("0::/pods/one/two\n", mount.path());
        assert_eq!(groups.memory_limit(), Some(2000));
        assert_eq!(
            groups.memory_left(),
            Some(1200),
            "the level above has less left, without what is droppable"
        );
        let other = Cgroups::of("0::/others\n", mount.path());
        assert_eq!((other.memory_limit(), other.memory_left()), (None, None));
    }

    #[test]
    fn containers_have_their_group_at_the_top() {
        let mount = tempfile::tempdir().unwrap();
        write(&mount, "memory.max", "100\n");
        write(&mount, "memory/memory.limit_in_bytes", "90\n");
        write(&mount, "memory/memory.usage_in_bytes", "120\n");
        let limit = |membership| Cgroups::of(membership, mount.path()).memory_limit();
        assert_eq!(limit("0::/\n"), Some(100));
        assert_eq!(limit("0::/../../other\n"), Some(100), "of what is seen from here");
        assert_eq!(limit("12:cpu:/docker/ab\n7:hugetlb,memory:/docker/ab\n0::/docker/ab\n"), Some(90));
        assert_eq!(limit("12:cpu:/\n"), None);
        assert_eq!(
            Cgroups::of("7:memory:/\n", mount.path()).memory_left(),
            Some(0),
            "more is used than may be"
        );
    }
}
