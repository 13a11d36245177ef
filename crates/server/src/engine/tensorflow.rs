//! The backend for TensorFlow's graphs.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_tensorflow::{Settings, TensorFlowBackend};

use super::{Environment, PackagedLibrary, Search};
use crate::args::Args;

/// Its other part, `libtensorflow_framework.so.2`, is beside it. All packages of TensorFlow, also `tensorflow-cpu`, have that folder.
pub(super) const LIBRARY: PackagedLibrary = PackagedLibrary {
    name: "libtensorflow_cc.so.2",
    variable: "HIPPOCAMP_TENSORFLOW_LIBRARY",
    cache: "tensorflow",
    package: "tensorflow",
};

/// The backend, which opens the library when the first model is loaded.
pub(crate) fn backend(args: &Args) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let settings = match LIBRARY.find(&Environment::of_process(LIBRARY.variable)) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("tensorflow"))?;
    Ok(vec![Arc::new(TensorFlowBackend::new(settings))])
}
