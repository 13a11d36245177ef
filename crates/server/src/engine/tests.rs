use std::fs;

use tempfile::TempDir;

use super::*;

/// A file system in a temporary folder.
struct Disk(TempDir);

impl Disk {
    fn new() -> Disk {
        Disk(tempfile::tempdir().unwrap())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    fn link(&self, target: &str, path: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(self.at(target), self.at(path)).unwrap();
    }

    /// The executable is in a clone, `data` is a data folder, and `bin` is in `PATH`.
    fn environment(&self) -> Environment {
        let pythons =
            Pythons { path: vec![self.at("bin")], home: Some(self.at("home")), ..Pythons::default() };
        Environment {
            named: None,
            executable: Some(self.at("clone/target/release/hippocamp")),
            data: vec![self.at("data")],
            pythons,
        }
    }

    fn find(&self) -> Search {
        find(&self.environment(), 31)
    }
}

#[test]
fn places_are_tried_in_their_order() {
    let disk = Disk::new();
    let package = "home/.local/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1";
    let from_last_to_first = [
        package,
        "data/hippocamp/libonnxruntime.so",
        "clone/.cache/onnxruntime/lib/libonnxruntime.so",
        "clone/target/lib/hippocamp/libonnxruntime.so",
        "clone/target/release/lib/libonnxruntime.so",
        "clone/target/release/libonnxruntime.so",
    ];
    for place in from_last_to_first {
        let library = disk.file(place);
        assert_eq!(disk.find(), Search::Found(library));
    }
    let named = Environment { named: Some("/none".into()), ..disk.environment() };
    assert_eq!(find(&named, 31), Search::Named("/none".into()), "who names one means that one");
}

#[test]
fn what_was_not_found_says_where_it_was_looked_for() {
    let disk = Disk::new();
    // A folder of that name is no library, and the other version is too old.
    fs::create_dir_all(disk.at("data/hippocamp/libonnxruntime.so")).unwrap();
    disk.file("home/.local/lib/python3.9/site-packages/onnxruntime/capi/libonnxruntime.so.1.30.9");
    let Search::Nowhere(looked) = disk.find() else { panic!("there is none") };
    let places = [
        "clone/target/release/libonnxruntime.so",
        "clone/target/release/lib/libonnxruntime.so",
        "clone/target/lib/hippocamp/libonnxruntime.so",
        "clone/.cache/onnxruntime/lib/libonnxruntime.so",
        "data/hippocamp/libonnxruntime.so",
        "home/.local/lib/python3.9/site-packages/onnxruntime/capi/libonnxruntime.so.1.*",
    ];
    assert_eq!(looked, places.map(|place| disk.at(place)));
    let nothing = find(&Environment::default(), 31);
    assert_eq!(nothing, Search::Nowhere(vec!["libonnxruntime.so".into()]));
}

#[test]
fn the_highest_version_of_a_package_is_taken() {
    let disk = Disk::new();
    let capi = "home/.local/lib/python3.12/site-packages/onnxruntime/capi";
    for other in ["so", "so.1", "so.1.x.0", "so.2.40.0", "so.1.33.0.bak", "so.1.30.0"] {
        disk.file(&format!("{capi}/libonnxruntime.{other}"));
    }
    assert!(matches!(disk.find(), Search::Nowhere(_)));
    for version in ["1.31.1", "1.32.0", "1.101.0"] {
        let library = disk.file(&format!("{capi}/libonnxruntime.so.{version}"));
        assert_eq!(disk.find(), Search::Found(library));
    }
}

#[test]
fn the_active_python_comes_first() {
    let disk = Disk::new();
    let package = |prefix: &str| {
        disk.file(&format!("{prefix}/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"))
    };
    // The Python in `PATH` is that of a virtual environment, whose base is another one.
    disk.file("real/bin/python3");
    disk.link("real/bin/python3", "bin/python3");
    let expected = package("real");
    assert_eq!(disk.find(), Search::Found(expected.canonicalize().unwrap()));
    let expected = package(".");
    let Search::Found(found) = disk.find() else { panic!("it is there") };
    assert_eq!(found.canonicalize().unwrap(), expected.canonicalize().unwrap());

    let mut around = disk.environment();
    around.pythons.environments = vec![disk.at("venv"), disk.at("conda")];
    let conda = package("conda");
    assert_eq!(find(&around, 31), Search::Found(conda));
    let venv = package("venv");
    assert_eq!(find(&around, 31), Search::Found(venv));
}

#[test]
fn the_python_that_the_executable_was_installed_into_comes_before_the_active_one() {
    let disk = Disk::new();
    let library =
        |packages: &str| disk.file(&format!("{packages}/onnxruntime/capi/libonnxruntime.so.1.32.0"));
    let active = library("active/lib/python3.12/site-packages");
    let mut around = disk.environment();
    around.pythons.environments = vec![disk.at("active")];
    around.pythons.executable = Some(disk.at("env/bin/hippocamp"));
    let own = "env/lib/python3.11/site-packages";
    let beside = library(own);
    // An executable that lies beside a Python by chance, such as `/usr/bin/hippocamp`, says nothing of its packages.
    assert_eq!(find(&around, 31), Search::Found(active.clone()));
    disk.file(&format!("{own}/hippocamp-0.1.0.dist-info/RECORD"));
    assert_eq!(find(&around, 31), Search::Found(beside));
    // `pip install --target` knows no `lib`.
    around.pythons.executable = Some(disk.at("target-folder/bin/hippocamp"));
    let flat = library("target-folder");
    assert_eq!(find(&around, 31), Search::Found(active));
    disk.file("target-folder/hippocamp-0.1.0.dist-info/RECORD");
    assert_eq!(find(&around, 31), Search::Found(flat));
}

#[test]
fn pyenv_is_followed_to_the_version_that_it_would_start() {
    let disk = Disk::new();
    disk.file("pyenv/shims/python3");
    fs::write(disk.at("pyenv/version"), "3.11.7\n").unwrap();
    let package = |version: &str| {
        disk.file(&format!(
            "pyenv/versions/{version}/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"
        ))
    };
    let (global, chosen) = (package("3.11.7"), package("3.11.9"));
    let mut around = disk.environment();
    around.pythons.path = vec!["relative".into(), disk.at("pyenv/shims")];
    assert_eq!(find(&around, 31), Search::Found(global));
    around.pythons.pyenv_version = Some("3.11.9:3.10.1".to_owned());
    assert_eq!(find(&around, 31), Search::Found(chosen));
}

#[test]
fn debians_packages_are_found() {
    let disk = Disk::new();
    disk.file("bin/python3");
    let library = disk.file("local/lib/python3.12/dist-packages/onnxruntime/capi/libonnxruntime.so.1.31.1");
    fs::create_dir_all(disk.at("lib/python3/dist-packages")).unwrap();
    assert_eq!(disk.find(), Search::Found(library));
}

#[cfg(any(feature = "pytorch", feature = "tensorflow"))]
#[test]
fn libraries_of_python_packages_are_found_in_their_places() {
    for library in [
        #[cfg(feature = "pytorch")]
        pytorch::LIBRARY,
        #[cfg(feature = "tensorflow")]
        tensorflow::LIBRARY,
    ] {
        let PackagedLibrary { name, cache, package, .. } = library;
        let disk = Disk::new();
        let around = disk.environment();
        let Search::Nowhere(places) = library.find(&around) else { panic!("there is none") };
        assert_eq!(places[0], disk.at(&format!("clone/target/release/{name}")));
        for place in [
            format!("home/.local/lib/python3.12/site-packages/{package}/{name}"),
            format!("data/hippocamp/{name}"),
            format!("clone/.cache/{cache}/lib/{name}"),
            format!("clone/target/release/{name}"),
        ] {
            let file = disk.file(&place);
            assert_eq!(library.find(&around), Search::Found(file));
        }
        let named = Environment { named: Some("/none".into()), ..around };
        assert_eq!(library.find(&named), Search::Named("/none".into()), "who names one means that one");
    }
}
