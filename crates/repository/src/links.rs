//! Follows symbolic links name by name, so that each link on the path can be watched for changes.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The limit of links on one path, which is that of the kernel.
const MAX_LINKS: usize = 40;

/// The limit of path components that are read for all links of a model. Each costs a system call, so a folder full of links
/// costs some milliseconds at most.
const MAX_STEPS: usize = 16_384;

/// The paths at which a change redirects a link: every link that is followed, and the target of the last one.
///
/// The parent of each path is resolved; the last component is not. The target of a dangling link is the first component that
/// does not exist.
#[derive(Debug)]
pub(crate) struct Links {
    link_points: BTreeSet<PathBuf>,
    steps_left: usize,
}

impl Default for Links {
    fn default() -> Links {
        Links { link_points: BTreeSet::new(), steps_left: MAX_STEPS }
    }
}

impl Links {
    /// Follows every link among the components of `path`. Records nothing if there is no link.
    pub(crate) fn follow(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        self.follow_from(PathBuf::new(), &path);
    }

    /// Follows `name`, a link in `folder`. The path of the folder is resolved.
    pub(crate) fn follow_in(&mut self, folder: &Path, name: &OsStr) {
        self.follow_from(folder.to_owned(), Path::new(name));
    }

    pub(crate) fn into_points(self) -> Vec<PathBuf> {
        self.link_points.into_iter().collect()
    }

    fn follow_from(&mut self, mut at: PathBuf, path: &Path) {
        let mut ahead = Vec::new();
        push(&mut ahead, path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if self.steps_left == 0 {
                return;
            }
            self.steps_left -= 1;
            if part == ".." {
                // The parent of the root is the root.
                at.pop();
                continue;
            }
            // An absolute target begins with the root, which replaces the path so far.
            at.push(&part);
            match fs::read_link(&at) {
                Ok(target) => {
                    self.link_points.insert(at.clone());
                    links += 1;
                    if links > MAX_LINKS {
                        return;
                    }
                    at.pop();
                    push(&mut ahead, &target);
                }
                // The component exists and is no link.
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
                Err(e) => {
                    if e.kind() == io::ErrorKind::NotADirectory {
                        at.pop();
                    }
                    break;
                }
            }
        }
        if links > 0 && at.file_name().is_some() {
            self.link_points.insert(at);
        }
    }
}

/// Puts the components of a path in front of those that are still to be followed.
fn push(ahead: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    ahead.extend(parts.map(|part| part.as_os_str().to_owned()).rev());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Bench {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let path = fs::canonicalize(folder.path()).unwrap();
            Bench { _folder: folder, path }
        }

        /// Makes a folder.
        fn folder(&self, path: &str) {
            fs::create_dir_all(self.path.join(path)).unwrap();
        }

        /// Makes a link at `path`; a target that begins with `/` begins here.
        fn link(&self, target: &str, path: &str) {
            let target = match target.strip_prefix('/') {
                Some(target) => self.path.join(target),
                None => target.into(),
            };
            symlink(target, self.path.join(path)).unwrap();
        }

        /// Where the link at `path` leads, as paths inside of the folder.
        fn link_points(&self, path: &str) -> Vec<String> {
            let (mut links, path) = (Links::default(), self.path.join(path));
            links.follow_in(path.parent().unwrap(), path.file_name().unwrap());
            let inside = |hop: PathBuf| hop.strip_prefix(&self.path).unwrap().to_str().unwrap().to_owned();
            links.into_points().into_iter().map(inside).collect()
        }
    }

    #[test]
    fn each_link_on_the_way_is_a_hop_and_so_is_the_end() {
        let bench = Bench::new();
        for folder in ["m/1", "volume/..1", "elsewhere/v1"] {
            bench.folder(folder);
        }
        fs::write(bench.path.join("volume/..1/config.pbtxt"), "").unwrap();
        bench.link("..1", "volume/..data");
        bench.link("..data/./config.pbtxt", "volume/config.pbtxt");
        bench.link("../volume/config.pbtxt", "m/config.pbtxt");
        let expected = ["m/config.pbtxt", "volume/..1/config.pbtxt", "volume/..data", "volume/config.pbtxt"];
        assert_eq!(bench.link_points("m/config.pbtxt"), expected);

        bench.link("/elsewhere/v1", "elsewhere/current");
        bench.link("/elsewhere/current/model.onnx", "m/1/model.onnx");
        let expected = ["elsewhere/current", "elsewhere/v1/model.onnx", "m/1/model.onnx"];
        assert_eq!(bench.link_points("m/1/model.onnx"), expected, "the end is not there yet");

        bench.link("/elsewhere/current/..", "m/2");
        assert_eq!(bench.link_points("m/2"), ["elsewhere", "elsewhere/current", "m/2"]);
    }

    #[test]
    fn a_path_without_links_has_no_hops() {
        let bench = Bench::new();
        bench.folder("models");
        let mut links = Links::default();
        links.follow(&bench.path.join("models"));
        assert!(links.into_points().is_empty());
        bench.link("models", "current");
        let mut links = Links::default();
        links.follow(&bench.path.join("current/m"));
        assert_eq!(links.into_points(), [bench.path.join("current"), bench.path.join("models/m")]);
    }

    #[test]
    fn ways_that_end_nowhere_end() {
        let bench = Bench::new();
        bench.link("b", "a");
        bench.link("a", "b");
        assert_eq!(bench.link_points("a"), ["a", "b"]);
        bench.link("gone/and/deeper", "c");
        assert_eq!(bench.link_points("c"), ["c", "gone"], "the first that is not there");
        fs::write(bench.path.join("file"), "").unwrap();
        bench.link("file/inside", "d");
        assert_eq!(bench.link_points("d"), ["d", "file"]);
        bench.link("../../../../../../../../../../..", "e");
        let mut links = Links::default();
        links.follow_in(&bench.path, OsStr::new("e"));
        assert_eq!(links.into_points(), [bench.path.join("e")], "the root has no name");
    }

    #[test]
    fn the_kernel_gives_up_no_later() {
        let bench = Bench::new();
        for link in 0..60 {
            bench.link(&format!("{}", link + 1), &format!("{link}"));
        }
        fs::write(bench.path.join("60"), "").unwrap();
        for link in [0, 19, 20, 21, 40] {
            let (link_points, path) =
                (bench.link_points(&link.to_string()), bench.path.join(link.to_string()));
            let reached = link_points.iter().any(|hop| hop == "60");
            assert!(
                reached || fs::metadata(&path).is_err(),
                "{link} leads to a file, but by {link_points:?}"
            );
            assert!(link_points.len() <= MAX_LINKS + 1, "{link_points:?}");
        }
    }

    #[test]
    fn many_long_ways_are_followed_up_to_a_limit() {
        let bench = Bench::new();
        bench.folder("x");
        bench.link(&"x/../".repeat(400), "long");
        let mut links = Links::default();
        for _ in 0..MAX_STEPS {
            links.follow_in(&bench.path, OsStr::new("long"));
        }
        assert_eq!(links.steps_left, 0);
        let link_points = links.into_points();
        assert!(link_points.len() <= 2, "{link_points:?}");
    }
}
