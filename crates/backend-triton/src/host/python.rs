//! What the Python backend needs of its host, beyond what every backend needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::ModelConfig;
use hippocamp_python_stubs::{
    Binding, Children, Host, SHARED_MEMORY, Stub, USUAL_PREFIX, await_children, check_path, this_thread,
    trial,
};
use tracing::warn;

use super::HostSettings;
use super::left_alone;
use super::watchdog::{Abandoned, Awaited};
use crate::library::{Found, PYTHON, PYTHON_LIBRARY};
use crate::life::ModelObject;

/// The setting of the Python backend that names its regions.
const PREFIX_SETTING: &str = "shm-region-prefix-name";
/// The parameter of a model that names its environment.
const ENVIRONMENT: &str = "EXECUTION_ENV_PATH";
/// Whether the stub of an instance may share a core with the thread of the instance: `auto` or `on`, as long as that is measured to be
/// faster, or `off`. The setting of the backend, and the parameter of a model, which goes before it. Without either they may where a
/// model does not notice, as it is known when the backend wakes its stub.
const SHARED_CORE: (&str, &str) = ("shared-core", "SHARED_CORE");
/// What a Python model is in, unless its config names another file.
const MODEL_FILE: &str = "model.py";
/// Stands for the model's folder in it.
const MODEL_FOLDER: &str = "$$TRITON_MODEL_DIRECTORY";

/// The host of the stubs of a backend.
#[derive(Debug)]
pub(super) struct Python {
    /// `None` where nothing can be written to shared memory.
    host: Option<Host>,
    /// Where the stub is, unless a model brings its own.
    folder: PathBuf,
    /// The code of a backend that is written in Python itself, whose models bring none.
    code: Option<PathBuf>,
    /// Whether it is known when the backend wakes a stub.
    tells_of_wakes: bool,
}

impl Python {
    /// The host for a library, if that is the Python backend's. The settings get a prefix of this process's own.
    pub(super) fn of(
        found: &Found,
        settings: &mut HostSettings,
        tells_of_wakes: bool,
    ) -> Option<Arc<Python>> {
        let is_python = found.library.file_name().is_some_and(|name| name == PYTHON_LIBRARY);
        if !is_python {
            return None;
        }
        await_children();
        let prefix = settings.own_or_general(PYTHON, PREFIX_SETTING).unwrap_or(USUAL_PREFIX);
        let host = Host::begin(Path::new(SHARED_MEMORY), prefix)
            .inspect_err(|error| {
                warn!("what Python models leave in {SHARED_MEMORY} is not swept up: {error}");
            })
            .ok();
        if let Some(host) = &host {
            let prefix = host.region_prefix().to_owned();
            settings.config.push((PYTHON.to_owned(), PREFIX_SETTING.to_owned(), prefix));
        }
        let folder = found.library.parent().unwrap_or(Path::new("")).to_owned();
        let code = found.is_python_based.then(|| found.folder.join(MODEL_FILE));
        Some(Arc::new(Python { host, folder, code, tells_of_wakes }))
    }

    /// Looks for the code of a model, and tries its stub, before the backend starts that and waits for it: a stub without code
    /// ends by a signal.
    pub(super) fn try_stub(&self, version: u64, folder: &Path, config: &ModelConfig) -> Result<()> {
        let model = &*config.name;
        self.find_code(version, folder, config)?;
        let stub = trial::stub_of(&self.folder, folder);
        let environment = environment(config, folder);
        let refused = |why| Error::unavailable(format!("model '{model}' cannot be executed: {why}"));
        check_path("the model", folder).map_err(refused)?;
        check_path("the backend's stub", &stub).map_err(refused)?;
        // The backend unpacks an archive itself, later than this.
        if environment.as_deref().is_some_and(Path::is_file) {
            return Ok(());
        }
        if let Some(environment) = &environment {
            check_path("EXECUTION_ENV_PATH", environment).map_err(refused)?;
        }
        trial::run(&stub, environment.as_deref()).map_err(refused)
    }

    fn find_code(&self, version: u64, folder: &Path, config: &ModelConfig) -> Result<()> {
        let name = match config.default_model_filename.as_str() {
            "" => MODEL_FILE,
            named => named,
        };
        let code = folder.join(version.to_string()).join(name);
        let looked = fs::metadata(&code);
        let is_there = looked.as_ref().is_ok_and(fs::Metadata::is_file);
        if is_there || self.code.as_deref().is_some_and(Path::is_file) {
            return Ok(());
        }
        let what = looked.map_or_else(|error| error.to_string(), |_| "it is no file".to_owned());
        Err(Error::invalid_arg(format!(
            "model '{}' cannot be executed: Python model file not found in '{}', {what}",
            config.name,
            code.display()
        )))
    }

    /// Says where a module is looked for that a model imports and that is not there.
    pub(super) fn explain(&self, error: &Error, model: &ModelObject) {
        let Some(module) = missing_module(error.message()) else { return };
        let folder = model.folder.to_string_lossy();
        let environment = environment(&model.config.lock().config, Path::new(&*folder));
        let own = || Some(self.folder.join("environment")).filter(|own| own.is_dir());
        let model = model.name.to_string_lossy();
        // Stubs up to Triton 24.10 need the older one.
        let package = if module == "numpy" { "'numpy<2'" } else { module };
        match environment.or_else(own) {
            Some(packed) if packed.is_file() => {
                warn!(
                    "model '{model}' imports '{module}', which is not in its environment, {}",
                    packed.display()
                );
            }
            found => {
                let python = found.map(|folder| folder.join("bin/python3")).or_else(first_python);
                let python = python.unwrap_or("python3".into());
                let python = python.display();
                warn!(
                    "model '{model}' imports '{module}', and its packages are those of {python}: {python} -m pip install \
                     {package}"
                );
            }
        }
    }

    /// What an initialization waits for. Fails if too many of them have never returned.
    pub(super) fn awaited(&self) -> Result<Awaited> {
        left_alone::check()?;
        // Without a host of their own, regions have the usual names.
        let prefix = self.host.as_ref().map_or(USUAL_PREFIX, Host::region_prefix);
        Ok(Awaited::Started(prefix.to_owned()))
    }

    /// The stub that the calling thread has started, whether it lives or not; `None` where the kernel does not tell.
    pub(super) fn stub_of_this_thread(&self) -> Option<Stub> {
        self.stub_of_thread(this_thread())
    }

    /// The same of another thread.
    pub(super) fn stub_of_thread(&self, thread: i32) -> Option<Stub> {
        Children::of_thread(thread, self.host.as_ref()?.region_prefix()).stub()
    }

    /// Removes what a call has left that did not return. Memory goes with the process only: the call has it mapped.
    pub(super) fn swept_up(&self, abandoned: &Abandoned) {
        if let Some((host, region)) = self.host.as_ref().zip(abandoned.region.as_ref()) {
            host.remove_region(region);
        }
    }

    /// Sweeps up for good: the server ends, even if calls have not returned.
    pub(super) fn end(&self) {
        if let Some(host) = &self.host {
            host.end();
        }
    }

    /// The stub that the backend has started for an instance.
    pub(super) fn stub_of(&self, instance: &str, version: &Path) -> Option<Stub> {
        let stub = self.host.as_ref()?.stub_of(instance, version);
        if stub.is_none() {
            warn!(instance, "the stub of the instance is not found: its end will not be noticed");
        }
        stub
    }
}

/// Whether the stubs of a model may share cores with the threads of its instances, and how.
pub(super) fn shares_cores(
    python: &Python,
    config: &ModelConfig,
    settings: &HostSettings,
) -> Result<Option<Binding>> {
    let (setting, parameter) = SHARED_CORE;
    let binding = if python.tells_of_wakes { Binding::AsItWakes } else { Binding::Throughout };
    let of_model = config.parameters.get(parameter).map(|parameter| parameter.string_value.as_str());
    let of_backend = settings.own_or_general(PYTHON, setting);
    match of_model.or(of_backend) {
        Some("auto" | "on") => Ok(Some(binding)),
        None => Ok(Some(binding).filter(|binding| *binding == Binding::AsItWakes)),
        Some("off") => Ok(None),
        Some(other) => {
            let what = match of_model {
                Some(_) => format!("the parameter {parameter} of model '{}'", config.name),
                None => format!("--backend-config={PYTHON},{setting}"),
            };
            Err(Error::invalid_arg(format!("{what} is '{other}', expected 'auto', 'on' or 'off'")))
        }
    }
}

/// Why a model or an instance cannot be had whose process has ended while it started.
pub(super) fn did_not_start(name: &str, abandoned: &Abandoned) -> Error {
    let how = &abandoned.how;
    Error::unavailable(format!("the process of the Python model '{name}' has ended while it started ({how})"))
}

/// Why an instance whose stub has ended can do nothing more.
pub(super) fn ended(instance: &str) -> Error {
    Error::unavailable(format!("the process of the Python model instance '{instance}' has ended"))
}

/// The module that an import has not found: the package that has it may have another name.
fn missing_module(message: &str) -> Option<&str> {
    let (module, _) = message.split_once("ModuleNotFoundError: No module named '")?.1.split_once('\'')?;
    module.split('.').next()
}

/// The Python whose packages stubs use that have no environment of their own.
fn first_python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|python| python.is_file())
}

/// The environment that the model's config names.
fn environment(config: &ModelConfig, folder: &Path) -> Option<PathBuf> {
    let named = &config.parameters.get(ENVIRONMENT)?.string_value;
    (!named.is_empty()).then(|| named.replace(MODEL_FOLDER, &folder.to_string_lossy()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_a_failed_import_is_known() {
        let told = "ModuleNotFoundError: No module named 'a.b'\n\nAt:\n  /m/1/model.py(1): <module>\n";
        assert_eq!(missing_module(told), Some("a"));
        assert_eq!(missing_module("ImportError: cannot import name 'x' from 'y'"), None);
    }
}
