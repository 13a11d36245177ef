//! Environment variables that containers of Triton are given.

use crate::{Finding, Verdict};

/// What becomes of a variable; without a value it is passed on as it is outside.
pub(crate) fn finding(name: &str, value: Option<&str>) -> Finding {
    let (verdict, why) = verdict(name, value.unwrap_or_default());
    let what = match value {
        None => name.to_owned(),
        Some(_) if secret(name) => format!("{name}=..."),
        Some(value) => format!("{name}={value}"),
    };
    Finding::new(verdict, what, why)
}

/// Whether a variable gives a container GPUs, as it does where NVIDIA's runtime is the one that is used.
pub(crate) fn gives_gpus(name: &str, value: &str) -> bool {
    name == "NVIDIA_VISIBLE_DEVICES" && !matches!(value, "" | "none" | "void")
}

fn verdict(name: &str, value: &str) -> (Verdict, &'static str) {
    match name {
        "LD_PRELOAD"
            if ["tcmalloc", "jemalloc", "mimalloc"].iter().any(|library| value.contains(library)) =>
        {
            (Verdict::Dropped, "an allocator is built in")
        }
        "LD_PRELOAD" => (
            Verdict::Different,
            "stays, for what it is needed for beside: libraries with custom operators of ONNX models are named by model_operations of config.pbtxt",
        ),
        "LD_LIBRARY_PATH" => (Verdict::Kept, "for the libraries that backends open"),
        "HTTP_PROXY"
        | "HTTPS_PROXY"
        | "NO_PROXY"
        | "http_proxy"
        | "https_proxy"
        | "no_proxy"
        | "NVIDIA_VISIBLE_DEVICES"
        | "NVIDIA_DRIVER_CAPABILITIES"
        | "CUDA_VISIBLE_DEVICES" => (Verdict::Kept, ""),
        "OMP_NUM_THREADS" | "MKL_NUM_THREADS" | "OPENBLAS_NUM_THREADS" => {
            (Verdict::Kept, "ONNX models share a pool of the server's, which does not read it")
        }
        "MALLOC_CONF" | "TCMALLOC_RELEASE_RATE" | "TCMALLOC_AGGRESSIVE_DECOMMIT" | "MALLOC_ARENA_MAX" => {
            (Verdict::Dropped, "the server's allocator has settings of its own")
        }
        "NVIDIA_TRITON_SERVER_VERSION"
        | "TRITON_SERVER_VERSION"
        | "TRITON_SERVER_GPU_ENABLED"
        | "TRITON_SERVER_USER" => (Verdict::Dropped, "of Triton's image"),
        "TRITON_CLOUD_CREDENTIAL_PATH" => (Verdict::Kept, "docs/repository.md"),
        _ if name.starts_with("TRITONSERVER_DELAY_") || name.starts_with("TRITONSERVER_BACKLOG_") => {
            (Verdict::Kept, "a hook for tests")
        }
        _ if name.starts_with("TRITON_") && name.ends_with("MOUNT_DIRECTORY") => {
            (Verdict::Kept, "docs/repository.md")
        }
        _ if ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)) => {
            (Verdict::Kept, "credentials of object stores: docs/repository.md")
        }
        _ => (Verdict::Kept, "the server does not read it; a model's Python may"),
    }
}

/// Whether a value does not belong into a report.
fn secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL"].iter().any(|part| name.contains(part))
        && !name.ends_with("_PATH")
}
