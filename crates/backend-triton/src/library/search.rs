//! Finds the library of a backend: in the version's folder, the model's, and the backend's own.

use std::path::{Path, PathBuf};

use hippocamp_backend::{Error, Result};

use super::PYTHON_LIBRARY;

/// Where libraries of backends are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// The directory that has a folder for each backend.
    pub(crate) backend_directory: PathBuf,
}

/// The library of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) library: PathBuf,
    /// The backend's own folder, where it finds its files.
    pub(crate) folder: PathBuf,
    /// The backend is `model.py` in its folder, executed by the library of the Python backend.
    pub(crate) is_python_based: bool,
}

/// The name of the backend that executes Python.
pub(crate) const PYTHON: &str = "python";
/// What a backend consists of that is written in Python, and the runtime of models that want it by that.
const PYTHON_BASED: &str = "model.py";

impl Search {
    /// Finds the library of backend `name`. `folders` are those of the version and of the model; `runtime` is the name of the
    /// library's file, if the config gives one.
    pub(crate) fn find(&self, name: &str, runtime: &str, folders: &[&Path]) -> Result<Option<Found>> {
        plain(name, "backend")?;
        let folder = self.backend_directory.join(name);
        let file = if runtime.is_empty() { usual_file(name) } else { runtime.to_owned() };
        plain(&file, "runtime")?;
        let is_python_based = runtime == PYTHON_BASED;
        // What a model has of that name is the model, not a backend.
        let library = if is_python_based {
            None
        } else {
            first_with(folders.iter().copied().chain([&*folder]), &file)?
        };
        if let Some(library) = library {
            return Ok(Some(Found { library, folder, is_python_based: false }));
        }
        if (runtime.is_empty() || is_python_based) && name != PYTHON && folder.join(PYTHON_BASED).is_file() {
            let python = self.backend_directory.join(PYTHON);
            let in_order = folders.iter().copied().chain([&*folder, &*python]);
            if let Some(library) = first_with(in_order, PYTHON_LIBRARY)? {
                return Ok(Some(Found { library, folder, is_python_based: true }));
            }
        }
        Ok(None)
    }
}

/// The name of a backend's library, unless a config says another one.
pub(crate) fn usual_file(name: &str) -> String {
    format!("libtriton_{name}.so")
}

/// What Triton says of a backend without a library.
pub(crate) fn not_found(name: &str) -> Error {
    Error::invalid_arg(format!(
        "unable to find backend library for backend '{name}', try specifying runtime on the model configuration."
    ))
}

/// The first folder's file of that name. What has the name and is no file is an error rather than passed over: whoever put it there
/// wants it to be used.
fn first_with<'a>(mut folders: impl Iterator<Item = &'a Path>, file: &str) -> Result<Option<PathBuf>> {
    let Some(path) =
        folders.find_map(|folder| Some(folder.join(file)).filter(|path| path.symlink_metadata().is_ok()))
    else {
        return Ok(None);
    };
    let what = match path.metadata() {
        Ok(metadata) if metadata.is_file() => None,
        Ok(metadata) if metadata.is_dir() => Some("it is a folder".to_owned()),
        Ok(_) => Some("it is no regular file".to_owned()),
        Err(error) => Some(match path.read_link() {
            Ok(to) => format!("it is a link to '{}': {error}", to.display()),
            Err(_) => error.to_string(),
        }),
    };
    if let Some(what) = what {
        return Err(Error::invalid_arg(format!(
            "unable to load backend library '{}': {what}",
            path.display()
        )));
    }
    // The loader looks for relative paths elsewhere.
    Ok(std::path::absolute(path).ok())
}

/// Fails unless the text is the name of a file, which does not lead out of its folder.
fn plain(text: &str, field: &str) -> Result<()> {
    let is_name = !matches!(text, "" | "." | "..") && !text.contains(['/', '\0']);
    if is_name {
        return Ok(());
    }
    Err(Error::invalid_arg(format!("config field '{field}' should be a plain name, got '{text}'")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_library_is_found() {
        let root = tempfile::tempdir().unwrap();
        let [version, model, backends] = ["m/1", "m", "backends"].map(|folder| root.path().join(folder));
        for folder in [&version, &backends.join("x"), &backends.join("python"), &backends.join("mine")] {
            fs::create_dir_all(folder).unwrap();
        }
        let search = Search { backend_directory: backends.clone() };
        let folders = [&*version, &*model];
        let find = |name: &str, runtime: &str| search.find(name, runtime, &folders).unwrap();
        assert_eq!(find("x", ""), None);
        for folder in [&backends.join("x"), &model, &version] {
            fs::write(folder.join("libtriton_x.so"), "").unwrap();
            let found = find("x", "").unwrap();
            assert_eq!(found.library, folder.join("libtriton_x.so"));
            assert_eq!((found.folder, found.is_python_based), (backends.join("x"), false));
        }
        fs::write(model.join("other.so"), "").unwrap();
        assert_eq!(find("x", "other.so").unwrap().library, model.join("other.so"));
        assert_eq!(find("x", "none.so"), None);

        fs::write(backends.join("mine/model.py"), "").unwrap();
        assert_eq!(find("mine", ""), None, "there is nothing to execute it");
        fs::write(backends.join("python/libtriton_python.so"), "").unwrap();
        let found = find("mine", "").unwrap();
        assert_eq!(found.library, backends.join("python/libtriton_python.so"));
        assert_eq!((&found.folder, found.is_python_based), (&backends.join("mine"), true));
        assert!(!find("python", "").unwrap().is_python_based);
        assert_eq!(find("mine", "model.py").unwrap(), found);
        fs::write(backends.join("mine/libtriton_mine.so"), "").unwrap();
        assert_eq!(find("mine", "model.py").unwrap(), found);
        assert!(!find("mine", "").unwrap().is_python_based);
        // That is the model's own.
        fs::write(version.join("model.py"), "").unwrap();
        assert_eq!(find("x", "model.py"), None);
    }

    #[test]
    fn what_is_there_and_is_no_file_is_told_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        let (model, backends) = (root.path().join("m"), root.path().join("backends"));
        fs::create_dir_all(backends.join("x")).unwrap();
        fs::write(backends.join("x/libtriton_x.so"), "").unwrap();
        let search = Search { backend_directory: backends };
        let library = model.join("libtriton_x.so");
        fs::create_dir_all(&library).unwrap();
        let told = || search.find("x", "", &[&model]).unwrap_err().message().to_owned();
        assert!(told().ends_with("m/libtriton_x.so': it is a folder"), "{}", told());
        fs::remove_dir(&library).unwrap();
        std::os::unix::fs::symlink("/nowhere/there.so", &library).unwrap();
        assert!(
            told().contains("m/libtriton_x.so': it is a link to '/nowhere/there.so': No such file"),
            "{}",
            told()
        );
        fs::remove_file(&library).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&library).status().unwrap().success());
        assert!(told().ends_with("m/libtriton_x.so': it is no regular file"), "{}", told());
        fs::remove_file(&library).unwrap();
        assert!(search.find("x", "", &[&model]).unwrap().is_some());
    }

    #[test]
    fn names_do_not_lead_out_of_folders() {
        let search = Search { backend_directory: "/nowhere".into() };
        for (name, runtime) in [("../x", ""), ("x", "../libtriton_x.so"), ("x", "a/b.so"), ("..", "")] {
            let error = search.find(name, runtime, &[]).unwrap_err();
            assert!(error.message().contains("should be a plain name"), "{name} {runtime}: {error}");
        }
    }
}
