//! What the errors of paths say about what is there.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether there is nothing at the path of which this error speaks, or a link that leads to nothing; and not for instance a network disk
/// that does not answer.
pub fn is_absence(error: &io::Error) -> bool {
    let kinds = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];
    // A circle of links has no stable kind in the standard library.
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ELOOP)
}

/// Whether a file is gone from a folder that can be read, where to look at it gave this error: the folder of a disk that is away for a
/// moment may be gone as a whole.
pub fn is_gone(path: &Path, error: &io::Error) -> bool {
    is_absence(error) && path.parent().is_none_or(|folder| fs::read_dir(folder).is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_gone_only_from_a_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        symlink("circle", folder.path().join("circle")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for name in ["missing", "dangling", "circle", "file/below", "missing/below"] {
            let path = folder.path().join(name);
            let error = fs::metadata(&path).unwrap_err();
            assert!(is_absence(&error), "{name}: {error}");
            assert_eq!(is_gone(&path, &error), !name.ends_with("below"), "{name}");
        }
        assert!(!is_absence(&io::Error::from_raw_os_error(libc::EIO)));
    }
}
