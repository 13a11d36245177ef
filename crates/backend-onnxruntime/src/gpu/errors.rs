//! Errors of runs on a GPU.

use hippocamp_backend::{Code, Error};

/// What the engine and CUDA say when the memory of a device is exhausted, or the limit of a session's arena.
const EXHAUSTED: [&str; 6] = [
    "out of memory",
    "Failed to allocate memory",
    "is smaller than requested bytes",
    "_STATUS_ALLOC_FAILED",
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
];

/// Whether an error of the engine says that memory of the device is exhausted.
pub(super) fn is_out_of_memory(error: &Error) -> bool {
    error.code() == Code::Unavailable || EXHAUSTED.iter().any(|text| error.message().contains(text))
}

/// The error for the requests of a batch. Short memory is UNAVAILABLE, because the same batch may succeed later. `lost` says
/// why the device cannot be used any more, if that is so.
#[cold]
pub(super) fn of_run(model: &str, device: i32, lost: Option<&str>, error: Error) -> Error {
    if let Some(reason) = lost {
        return Error::unavailable(format!("model '{model}': GPU {device} is lost: {reason}"))
            .with_source(error);
    }
    if is_out_of_memory(&error) {
        let message =
            format!("model '{model}': the memory of GPU {device} is exhausted: {}", error.message());
        return Error::unavailable(message).with_source(error);
    }
    error
}

/// The error of an instance whose plan cannot be made.
#[cold]
pub(super) fn of_plan(model: &str, device: i32, what: &str, error: Error) -> Error {
    let message = if is_out_of_memory(&error) {
        format!(
            "unable to load model '{model}', the memory of GPU {device}, or its gpu_mem_limit, is too small for {what}: {}",
            error.message()
        )
    } else {
        format!("unable to load model '{model}', {what} fails on GPU {device}: {}", error.message())
    };
    error.with_message(message)
}

/// The error of a session for which a provider is not there. That of TensorRT comes with ONNX Runtime, TensorRT itself does not.
#[cold]
pub(crate) fn of_provider(model: &str, error: Error) -> Error {
    const PROVIDER: &str = "providers_tensorrt.so with error: ";
    let Some((_, missing)) = error.message().split_once(PROVIDER) else { return error };
    let missing = missing.lines().next().unwrap_or_default().trim();
    let message = format!(
        "unable to load model '{model}', its config asks for TensorRT, which cannot be opened ({missing}): install TensorRT where the \
         loader finds it (LD_LIBRARY_PATH), or take the accelerator out of the config, which leaves CUDA's"
    );
    Error::unsupported(message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tensorrt_lacks_is_named() {
        let text = "onnx runtime error 1: provider_bridge_ort.cc:2043 [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
                    /lib/libonnxruntime_providers_tensorrt.so with error: libnvinfer.so.10: cannot open shared object file: No such \
                    file or directory\n";
        let error = of_provider("m", Error::internal(text));
        assert_eq!(
            error.message(),
            "unable to load model 'm', its config asks for TensorRT, which cannot be opened (libnvinfer.so.10: cannot open shared \
             object file: No such file or directory): install TensorRT where the loader finds it (LD_LIBRARY_PATH), or take the \
             accelerator out of the config, which leaves CUDA's"
        );
        let other = of_provider("m", Error::internal("CUDA failure 35"));
        assert_eq!(other.message(), "CUDA failure 35");
    }

    #[test]
    fn short_memory_is_unavailable_and_says_so() {
        let arena = "onnx runtime error 6: bfc_arena.cc:359 Available memory of 0 is smaller than requested bytes of 9830400";
        let cuda = "onnx runtime error 1: CUDA failure 2: out of memory ; GPU=0";
        for text in [arena, cuda, "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"] {
            let error = of_run("m", 1, None, Error::internal(text));
            assert_eq!(error.code(), Code::Unavailable);
            assert_eq!(error.message(), format!("model 'm': the memory of GPU 1 is exhausted: {text}"));
        }
        let other = of_run("m", 1, None, Error::internal("CUDA failure 700: an illegal memory access"));
        assert_eq!(other.code(), Code::Internal);
        let lost = of_run("m", 1, Some("it fell off the bus"), Error::internal("CUDA failure 999"));
        assert_eq!(lost.reason(), "Unavailable: model 'm': GPU 1 is lost: it fell off the bus");
    }

    #[test]
    fn a_limit_that_is_too_small_is_found_by_the_load() {
        let error = Error::internal("Available memory of 0 is smaller than requested bytes of 9830400");
        let error = of_plan("m", 0, "a batch of 8", error);
        assert_eq!(
            error.message(),
            "unable to load model 'm', the memory of GPU 0, or its gpu_mem_limit, is too small for a batch of 8: Available \
             memory of 0 is smaller than requested bytes of 9830400"
        );
        let error = of_plan("m", 0, "a batch of 8", Error::internal("no kernel"));
        assert_eq!(error.message(), "unable to load model 'm', a batch of 8 fails on GPU 0: no kernel");
    }
}
