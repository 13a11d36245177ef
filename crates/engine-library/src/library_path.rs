//! Where an engine's library is.

use std::path::{Path, PathBuf};

/// The path of an engine's library: one that is known, or the places where it was looked for in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryPath {
    path: PathBuf,
    looked_in: Vec<PathBuf>,
}

impl LibraryPath {
    /// The path of a library that somebody named, or that was found.
    pub fn at(path: impl Into<PathBuf>) -> LibraryPath {
        LibraryPath { path: path.into(), looked_in: Vec::new() }
    }

    /// Of a library that is in none of these places. They are looked through again whenever it is needed: it may be installed
    /// meanwhile.
    pub fn not_found(looked_in: Vec<PathBuf>) -> LibraryPath {
        LibraryPath { path: looked_in.first().cloned().unwrap_or_default(), looked_in }
    }

    /// Where the library is now, or where it was to be.
    pub fn now(&self) -> &Path {
        self.looked_in.iter().find(|place| place.is_file()).unwrap_or(&self.path)
    }

    /// The absolute path to be opened. Whether a named file is there shows when it is opened.
    ///
    /// # Errors
    /// The places where the library was looked for and still is not, as the end of a sentence.
    pub fn to_open(&self) -> Result<PathBuf, String> {
        let path = self.now();
        if !self.looked_in.is_empty() && !path.is_file() {
            let places: Vec<String> =
                self.looked_in.iter().map(|place| place.display().to_string()).collect();
            return Err(places.join(", "));
        }
        Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_was_not_found_may_be_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["first", "second", "third"].map(|name| folder.path().join(name));
        let library = LibraryPath::not_found(places.to_vec());
        assert_eq!(library.now(), places[0]);
        let [first, second, third] = places.each_ref().map(|place| place.display());
        assert_eq!(library.to_open(), Err(format!("{first}, {second}, {third}")));
        std::fs::write(&places[1], "").unwrap();
        assert_eq!((library.now(), library.to_open().as_ref()), (&*places[1], Ok(&places[1])));
    }

    #[test]
    fn a_library_that_was_named_is_opened_wherever_it_is() {
        assert_eq!(LibraryPath::at("/none/lib.so").to_open(), Ok("/none/lib.so".into()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(LibraryPath::at("lib.so").to_open(), Ok(here.join("lib.so")));
    }
}
