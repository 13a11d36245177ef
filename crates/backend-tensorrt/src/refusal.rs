//! What is said of a plan that the library does not take.

use std::path::Path;

use hippocamp_backend::Error;
use hippocamp_device::Device;
use hippocamp_tensorrt_sys::Library;

use crate::plan_file::Header;

/// The error of a plan that was refused: what built it, what is here, what the library says, and what to do.
#[cold]
pub(crate) fn refused(
    model: &str,
    path: &Path,
    header: Header,
    (library, device): (&Library, &Device),
    logged: &str,
) -> Error {
    let (major, minor) = device.compute_capability;
    let advice = advice(header, library, logged);
    let logged = if logged.is_empty() { "the library does not say why" } else { logged };
    Error::invalid_arg(format!(
        "unable to load model '{model}', the plan '{}' is not taken: {header}, here are {library} and GPU {} ({}, compute \
         capability {major}.{minor}); {logged}. {advice}",
        path.display(),
        device.id,
        device.name
    ))
}

const REBUILD: &str = "A plan runs with the version of TensorRT and on the kind of GPU that it was built for: build it here from its \
                       ONNX model, with 'hippocamp plan' or trtexec";

fn advice(header: Header, library: &Library, logged: &str) -> String {
    let logged = logged.to_ascii_lowercase();
    match header {
        Header::Unknown => "Is it a plan? An ONNX model is built into one with 'hippocamp plan' or trtexec".to_owned(),
        Header::Built(product, _) if product != library.product() => {
            format!("Plans of {product} run with its own library only; {REBUILD}")
        }
        _ if logged.contains("host code") || logged.contains("lean runtime") => {
            "It is version-compatible and brings the runtime that it was built with, which is code: if you trust the file, give \
             the server --backend-config=tensorrt,version-compatible=true"
                .to_owned()
        }
        _ if logged.contains("plugin") => {
            format!(
                "A plugin that it uses is missing: name its library with --backend-config=tensorrt,plugins=PATH. {REBUILD}"
            )
        }
        Header::Built(..) => {
            format!(
                "{REBUILD}; give --version-compatible for one that later versions run, and cc_model_filenames for a plan a kind of \
                 GPU"
            )
        }
    }
}
