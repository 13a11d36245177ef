//! Name, platform, backend, versions and files.

use hippocamp_proto::inference::model_config::SchedulingChoice;
use hippocamp_proto::inference::model_version_policy::PolicyChoice;

use super::{Check, paths};
use crate::{FaultKind, platform};

/// The runtime of a model whose backend is written in Python, as of those of PyTorch classes.
const PYTHON_BASED: &str = "model.py";

impl Check<'_> {
    pub(super) fn identity(&mut self) {
        self.name();
        self.backend();
        if self.config.max_batch_size < 0 {
            self.fault_for("max_batch_size", "'max_batch_size' must be non-negative value");
        }
        self.version_policy();
        self.files();
        self.runtime();
    }

    /// The library of the backend, or that it is written in Python. Each backend here has one, which is called as Triton calls it.
    fn runtime(&mut self) {
        let (runtime, backend, name) = (&self.config.runtime, &self.config.backend, self.name);
        if runtime.is_empty() {
            return;
        }
        if crate::is_ensemble(self.config) {
            let message = format!("runtime should not be specified for ensemble '{name}'");
            self.fault_of(FaultKind::Superfluous, "runtime", message);
            return;
        }
        // That the config has no backend is a fault of its own.
        if backend.is_empty() || *runtime == format!("libtriton_{backend}.so") || runtime == PYTHON_BASED {
            return;
        }
        let message = if runtime.contains('/') {
            format!(
                "backend library name '{runtime}' escapes backend directory of '{backend}', for model '{name}', check \
                 model config runtime field"
            )
        } else {
            format!(
                "unable to find backend library '{runtime}' for model '{name}', backend '{backend}' has \
                 'libtriton_{backend}.so'"
            )
        };
        self.fault("runtime", message);
    }

    fn name(&mut self) {
        let written = &self.config.name;
        if !written.is_empty() && written != self.name {
            let message = format!(
                "unexpected directory name '{}' for model '{written}', directory name must equal model name",
                self.name
            );
            self.fault_of(FaultKind::NameDiffers, "name", message);
        }
    }

    fn backend(&mut self) {
        let (name, platform, backend) = (self.name, &self.config.platform, &self.config.backend);
        if platform == hippocamp_interface::ENSEMBLE {
            if !backend.is_empty() {
                let message = format!(
                    "Ensemble model '{name}' must have platform type '{platform}' and empty backend type"
                );
                self.fault("backend", message);
            }
            return;
        }
        let of_platform = platform::backend_of(platform);
        if backend.is_empty() {
            let is_ensemble =
                matches!(self.config.scheduling_choice, Some(SchedulingChoice::EnsembleScheduling(_)));
            if platform.is_empty() && is_ensemble {
                // An ensemble whose platform was left out: nothing else could be meant.
            } else if platform.is_empty() {
                let message = format!(
                    "Invalid model name: Could not determine backend for model '{name}' with no backend in \
                     model configuration. Expected model name of the form 'model.<backend_name>'."
                );
                self.fault_of(FaultKind::NoBackend, "backend", message);
            } else if of_platform.is_none() {
                let message = format!("unexpected platform type '{platform}' for {}", self.name);
                self.fault_of(FaultKind::UnknownPlatform { wanted: platform.clone() }, "platform", message);
            }
        } else if !platform.is_empty()
            && platform::has_platforms(backend)
            && of_platform != Some(backend.as_str())
        {
            let message = format!("unexpected 'platform' and 'backend' pair, got:{platform}, {backend}");
            self.fault("platform", message);
        }
    }

    fn version_policy(&mut self) {
        let policy = self.config.version_policy.as_ref().and_then(|policy| policy.policy_choice.as_ref());
        let Some(PolicyChoice::Specific(specific)) = policy else { return };
        if specific.versions.is_empty() {
            let message = "version policy 'specific' must list at least one version";
            self.fault_for("version_policy.specific", message);
        }
        for (index, version) in specific.versions.iter().enumerate() {
            if *version < 1 {
                let path = format!("version_policy.specific.versions[{index}]");
                let message = format!("version policy 'specific' expects versions >= 1, got {version}");
                self.fault_for(&path, &message);
            }
        }
    }

    /// A config may come from a client, and file names in it must not lead to files of others.
    fn files(&mut self) {
        let filename = &self.config.default_model_filename;
        if paths::leaves_model(filename, 1) {
            self.outside("default_model_filename", filename);
        }
        for (capability, filename) in &self.config.cc_model_filenames {
            // Triton takes any key: one that is no device's capability is never looked up.
            if paths::leaves_model(filename, 1) {
                self.outside(&format!("cc_model_filenames[\"{capability}\"]"), filename);
            }
        }
        for (index, output) in self.config.output.iter().enumerate() {
            if paths::leaves_model(&output.label_filename, 0) {
                self.outside(&format!("output[{index}].label_filename"), &output.label_filename);
            }
        }
    }

    pub(super) fn outside(&mut self, path: &str, filename: &str) {
        self.fault_for(path, &format!("file '{filename}' must be inside of the model directory"));
    }
}
