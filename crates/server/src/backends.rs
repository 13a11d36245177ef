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

#[cfg(feature = "onnxruntime")]
fn onnxruntime(backends: &mut Vec<Arc<dyn Backend>>, args: &Args) -> anyhow::Result<()> {
    use hippocamp_backend_onnxruntime::{OnnxRuntimeBackend, Settings};

    let settings = Settings::from_options(library(), args.models.backend_settings("onnxruntime"))?;
    backends.push(Arc::new(OnnxRuntimeBackend::new(settings)));
    Ok(())
}

/// Where ONNX Runtime is looked for if `--backend-config=onnxruntime,library=PATH` does not say: where the environment
/// says, beside the executable, or where scripts/fetch puts it. It is opened when the first ONNX model is loaded.
#[cfg(feature = "onnxruntime")]
fn library() -> std::path::PathBuf {
    const NAME: &str = "libonnxruntime.so";
    if let Some(path) = std::env::var_os("HIPPOCAMP_ONNXRUNTIME_LIBRARY") {
        return path.into();
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("lib").join(NAME)));
    let fetched = std::path::Path::new(".cache/onnxruntime/lib").join(NAME);
    beside.filter(|path| path.is_file()).unwrap_or(fetched)
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &mut Vec<Arc<dyn Backend>>, _: &Args) -> anyhow::Result<()> {
    Ok(())
}
