//! The backend for TorchScript models.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_pytorch::{PyTorchBackend, Settings};

use super::{Environment, PackagedLibrary, Search};
use crate::args::Args;

/// The shim, `libhippocamp_torch.so`, is beside the library unless a setting names another.
pub(super) const LIBRARY: PackagedLibrary = PackagedLibrary {
    name: "libtorch_cpu.so",
    variable: "HIPPOCAMP_PYTORCH_LIBRARY",
    cache: "torch",
    package: "torch/lib",
};

/// The backend, which opens the library when the first model is loaded.
pub(crate) fn backend(args: &Args) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let settings = match LIBRARY.find(&Environment::of_process(LIBRARY.variable)) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("pytorch"))?;
    Ok(vec![Arc::new(PyTorchBackend::new(settings))])
}
