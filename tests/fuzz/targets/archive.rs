//! Any bytes that are a file in a model store are an archive or a fault, and whatever an archive becomes can be unpacked or not, but
//! only within its folder.
#![no_main]

use std::fs;

use hippocamp_archive::{Archive, Content, Options, convert};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Entries of more bytes are not unpacked here.
const SMALL: u64 = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("m.mar");
    fs::write(&path, file).expect("a file");
    let Ok(archive) = Archive::open(&path) else { return };
    assert!(
        archive.entries().all(|entry| !entry.starts_with('/') && !entry.split('/').any(|part| part == ".."))
    );
    let Ok(conversion) = convert(&archive, &Options::default(), &|_| true) else { return };
    for model in conversion.models.values() {
        assert!(!model.config_text().is_empty());
        for (at, content) in &model.files {
            assert!(at.split('/').all(|part| !part.is_empty() && part != ".."), "{at}");
            if let Content::Entry(entry) = content
                && archive.size(entry).is_some_and(|size| size <= SMALL)
            {
                let copy = folder.path().join("copy");
                drop(archive.copy(entry, &copy));
                drop(fs::remove_file(copy));
            }
        }
    }
});
