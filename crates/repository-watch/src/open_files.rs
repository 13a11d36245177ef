//! Finds files that other processes have open for writing, by reading `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files directly in one of `folders` that are open for writing. The paths of the folders are resolved. Reading `/proc`
/// takes some milliseconds. Processes of other users, containers and machines are not seen; their files are noticed by the
/// event of their next write.
pub(crate) fn open_for_writing(folders: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut open = BTreeSet::new();
    if folders.is_empty() {
        return open;
    }
    for process in entries(Path::new("/proc")) {
        let is_process =
            process.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if !is_process {
            continue;
        }
        for descriptor in entries(&process.join("fd")) {
            let Ok(file) = fs::read_link(&descriptor) else { continue };
            if file.parent().is_some_and(|folder| folders.contains(folder))
                && is_writable(&process, &descriptor)
            {
                open.insert(file);
            }
        }
    }
    open
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether the descriptor was opened for writing, by the lowest bits of its flags.
fn is_writable(process: &Path, descriptor: &Path) -> bool {
    let Some(number) = descriptor.file_name() else { return false };
    let text = fs::read_to_string(process.join("fdinfo").join(number)).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 0o3 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_open_for_writing_and_not_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        let folders = BTreeSet::from([path.clone()]);
        let written = fs::File::create(path.join("written")).unwrap();
        fs::write(path.join("read"), "x").unwrap();
        let _read = fs::File::open(path.join("read")).unwrap();
        assert_eq!(open_for_writing(&folders), [path.join("written")].into());
        drop(written);
        assert!(open_for_writing(&folders).is_empty());
    }
}
