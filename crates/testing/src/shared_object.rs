//! A shared memory object, created as a client does.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A shared memory object of a test, removed when dropped.
#[derive(Debug)]
pub struct SharedObject {
    /// The key by which to register it.
    pub key: String,
    path: PathBuf,
    file: File,
}

impl SharedObject {
    /// Creates an object with that content.
    pub fn new(content: &[u8]) -> SharedObject {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let key = format!("/hippocamp-testing-{}-{number}", std::process::id());
        let path = PathBuf::from(format!("/dev/shm{key}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = options.open(&path).expect("/dev/shm takes files");
        file.write_all_at(content, 0).expect("/dev/shm has room");
        SharedObject { key, path, file }
    }

    /// The current content.
    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.path).expect("the object is there")
    }

    /// Truncates the object, or extends it by zeros.
    pub fn set_len(&self, size: u64) {
        self.file.set_len(size).expect("the object can be cut");
    }

    /// Removes the object's name. Existing mappings stay valid.
    pub fn unlink(&self) {
        fs::remove_file(&self.path).expect("the object is there");
    }
}

impl Drop for SharedObject {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}
