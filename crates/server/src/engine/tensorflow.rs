//! The backend for TensorFlow's graphs.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_tensorflow::{Settings, TensorFlowBackend};

use super::{Environment, Search, find_library};
use crate::args::Args;

/// The file name of the library. Its other part, `libtensorflow_framework.so.2`, is beside it.
const NAME: &str = "libtensorflow_cc.so.2";
/// The environment variable that names the library's path.
const VARIABLE: &str = "HIPPOCAMP_TENSORFLOW_LIBRARY";

/// The backend, which opens the library when the first model is loaded.
pub(crate) fn backend(args: &Args) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let settings = match find(&Environment::of_process(VARIABLE)) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("tensorflow"))?;
    Ok(vec![Arc::new(TensorFlowBackend::new(settings))])
}

/// Searches in the places of every engine, and in the package of the active Python.
/// All packages of TensorFlow, also `tensorflow-cpu`, have that folder.
fn find(around: &Environment) -> Search {
    find_library(around, NAME, "tensorflow", "tensorflow")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::python::Pythons;

    #[test]
    fn it_is_found_beside_the_executable_in_the_clone_and_in_python() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join(path);
        let pythons = Pythons { home: Some(at("home")), ..Pythons::default() };
        let executable = Some(at("clone/target/release/hippocamp"));
        let around = Environment { executable, data: vec![at("data")], pythons, named: None };
        let Search::Nowhere(places) = find(&around) else { panic!("there is none") };
        assert_eq!(places[0], at("clone/target/release/libtensorflow_cc.so.2"));
        for place in [
            "home/.local/lib/python3.12/site-packages/tensorflow/libtensorflow_cc.so.2",
            "data/hippocamp/libtensorflow_cc.so.2",
            "clone/.cache/tensorflow/lib/libtensorflow_cc.so.2",
            "clone/target/release/libtensorflow_cc.so.2",
        ] {
            fs::create_dir_all(at(place).parent().unwrap()).unwrap();
            fs::write(at(place), "").unwrap();
            assert_eq!(find(&around), Search::Found(at(place)));
        }
        let named = Environment { named: Some("/none".into()), ..around };
        assert_eq!(find(&named), Search::Named("/none".into()), "who names one means that one");
    }
}
