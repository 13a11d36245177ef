//! A shared memory object, as a client makes one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An object of its own for a test, which is its client. Removed when it is dropped.
#[derive(Debug)]
pub struct SharedObject {
    /// What it is registered by.
    pub key: String,
    path: PathBuf,
    file: File,
}

impl SharedObject {
    /// An object with that content.
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

    /// What is in it now.
    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.path).expect("the object is there")
    }

    /// Cuts it short, or makes it longer by zeros.
    pub fn set_len(&self, size: u64) {
        self.file.set_len(size).expect("the object can be cut");
    }

    /// Takes its name away. Who has it mapped keeps it.
    pub fn unlink(&self) {
        fs::remove_file(&self.path).expect("the object is there");
    }
}

impl Drop for SharedObject {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}
