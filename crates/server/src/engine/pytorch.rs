//! The backend for TorchScript models.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_pytorch::{PyTorchBackend, Settings};

use super::{Environment, Search, find_library};
use crate::args::Args;

/// The file name of the library. The shim, `libhippocamp_torch.so`, is beside it unless a setting names another.
const NAME: &str = "libtorch_cpu.so";
/// The environment variable that names the library's path.
const VARIABLE: &str = "HIPPOCAMP_PYTORCH_LIBRARY";

/// The backend, which opens the library when the first model is loaded.
pub(crate) fn backend(args: &Args) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let settings = match find(&Environment::of_process(VARIABLE)) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("pytorch"))?;
    Ok(vec![Arc::new(PyTorchBackend::new(settings))])
}

/// Searches in the places of every engine, and in the package of the active Python.
fn find(around: &Environment) -> Search {
    find_library(around, NAME, "torch", "torch/lib")
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
        assert_eq!(places[0], at("clone/target/release/libtorch_cpu.so"));
        for place in [
            "home/.local/lib/python3.12/site-packages/torch/lib/libtorch_cpu.so",
            "data/hippocamp/libtorch_cpu.so",
            "clone/.cache/torch/lib/libtorch_cpu.so",
            "clone/target/release/libtorch_cpu.so",
        ] {
            fs::create_dir_all(at(place).parent().unwrap()).unwrap();
            fs::write(at(place), "").unwrap();
            assert_eq!(find(&around), Search::Found(at(place)));
        }
        let named = Environment { named: Some("/none".into()), ..around };
        assert_eq!(find(&named), Search::Named("/none".into()), "who names one means that one");
    }
}
