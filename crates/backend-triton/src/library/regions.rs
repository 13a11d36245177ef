//! Regions of shared memory that a library has mapped and nobody unmaps: the Python backend forgets a model whose initialization is left by
//! an exception.

#![allow(unsafe_code, reason = "unmaps memory of a foreign library")]

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::maps::mappings;

/// Where they are, among the files.
const FOLDER: &str = "/dev/shm/";
/// What the kernel puts behind the name of a file that was removed.
const REMOVED: &str = " (deleted)";

/// A mapping of one, with its file as it was called.
struct Region {
    range: Range<usize>,
    path: PathBuf,
}

/// The name of the region that lies around an address.
pub(super) fn around(address: usize) -> Option<String> {
    let region = in_shared_memory().find(|region| region.range.contains(&address))?;
    Some(region.path.strip_prefix(FOLDER).ok()?.to_str()?.to_owned())
}

/// Unmaps a region, and closes its files. Its name is never given again, so that nothing else is meant.
///
/// # Safety
/// Nothing uses it any more.
pub(crate) unsafe fn release(region: &str) {
    let path = Path::new(FOLDER).join(region);
    for Region { range, .. } in in_shared_memory().filter(|region| region.path == path) {
        // SAFETY: the range is one of the mapping, which nobody uses.
        if unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(range.start), range.len()) } != 0 {
            warn!(region, "a region stays mapped: {}", std::io::Error::last_os_error());
        }
    }
    let files = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let of_region = files.filter(|file| fs::read_link(file.path()).is_ok_and(|to| called(&to) == path));
    let numbers: Vec<i32> = of_region.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        // SAFETY: it is a file of the region, and whoever has opened it has forgotten it.
        unsafe { libc::close(number) };
    }
}

/// The mappings of files in shared memory.
fn in_shared_memory() -> impl Iterator<Item = Region> {
    mappings().filter_map(|mapping| {
        let path = mapping.path.filter(|path| path.starts_with(FOLDER))?;
        Some(Region { range: mapping.range, path: called(&path) })
    })
}

/// The name of a file before it was removed.
fn called(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.strip_suffix(REMOVED.as_bytes()).unwrap_or(bytes);
    OsString::from(std::ffi::OsStr::from_bytes(name)).into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn a_region_is_found_by_an_address_and_leaves_nothing() {
        let names =
            [(); 2].map(|()| format!("hippocamp_regions_{:016x}", std::hash::RandomState::new().hash()));
        let mapped = names.each_ref().map(|name| {
            let path = Path::new(FOLDER).join(name);
            let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
            file.set_len(8192).unwrap();
            let (own, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            // SAFETY: a new mapping of a file of that size.
            let at = unsafe { libc::mmap(std::ptr::null_mut(), 8192, own, shared, file.as_raw_fd(), 0) };
            fs::remove_file(path).unwrap();
            (at.expose_provenance(), file)
        });
        let [(first, first_file), (second, second_file)] = mapped;
        assert_eq!(around(first + 5000).as_ref(), Some(&names[0]));
        assert_eq!(around(std::ptr::from_ref(&first).addr()), None);
        let number = first_file.into_raw_fd();
        // SAFETY: nobody else has it.
        unsafe { release(&names[0]) };
        assert_eq!(around(first), None);
        // SAFETY: it only asks.
        let closed = unsafe { libc::fcntl(number, libc::F_GETFD) } == -1;
        // Another test may have been given the number since.
        let is_of_region = |to: PathBuf| called(&to) == Path::new(FOLDER).join(&names[0]);
        assert!(closed || !fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(is_of_region));
        assert_eq!(around(second).as_ref(), Some(&names[1]), "the other one stays");
        assert!(second_file.metadata().is_ok());
        // SAFETY: as above.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(second), 8192) };
    }

    trait Hash {
        fn hash(&self) -> u64;
    }

    impl Hash for std::hash::RandomState {
        fn hash(&self) -> u64 {
            std::hash::Hasher::finish(&std::hash::BuildHasher::build_hasher(self))
        }
    }
}
