//! The backends of this build. Here alone are they named.

use std::sync::Arc;

use hippocamp_backend::Backend;

use crate::args::Args;

/// All backends that were compiled in.
pub(crate) fn all(args: &Args) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    builtin(&mut backends);
    vision(&mut backends);
    onnxruntime(&mut backends, args)?;
    Ok(backends)
}

#[cfg(feature = "builtin")]
fn builtin(backends: &mut Vec<Arc<dyn Backend>>) {
    backends.extend(hippocamp_backend_builtin::backends());
}

#[cfg(not(feature = "builtin"))]
fn builtin(_: &mut Vec<Arc<dyn Backend>>) {}

#[cfg(feature = "vision")]
fn vision(backends: &mut Vec<Arc<dyn Backend>>) {
    backends.push(Arc::new(hippocamp_backend_vision::VisionBackend));
}

#[cfg(not(feature = "vision"))]
fn vision(_: &mut Vec<Arc<dyn Backend>>) {}

/// The library is opened when the first ONNX model is loaded.
#[cfg(feature = "onnxruntime")]
fn onnxruntime(backends: &mut Vec<Arc<dyn Backend>>, args: &Args) -> anyhow::Result<()> {
    use hippocamp_backend_onnxruntime::{OLDEST_MINOR_VERSION, OnnxRuntimeBackend, Settings};

    use crate::engine::{Search, Surroundings, find};

    let settings = match find(&Surroundings::of_process(), OLDEST_MINOR_VERSION) {
        Search::Named(library) | Search::Found(library) => Settings::new(library),
        Search::Nowhere(places) => Settings::not_found(places),
    };
    let settings = settings.with_options(args.models.backend_settings("onnxruntime"))?;
    backends.push(Arc::new(OnnxRuntimeBackend::new(settings)));
    Ok(())
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &mut Vec<Arc<dyn Backend>>, _: &Args) -> anyhow::Result<()> {
    Ok(())
}
