//! Functions of the interface that there are for programs which run a server in their own process: a backend can be linked with them,
//! and is told that they are not supported. So it loads where Triton loads it, and fails only where it would need them.

#![allow(non_snake_case, reason = "each has the name of its function in the interface")]

use hippocamp_backend::Error;

use crate::border::Returned;
use crate::objects::ErrorObject;

macro_rules! absent {
    ($($name:ident,)+) => {
        $(
            // Whatever the arguments are: a C function may be called with more than it looks at.
            pub(crate) extern "C" fn $name() -> Returned {
                refuse(stringify!($name))
            }
        )+

        /// All of them.
        #[cfg(test)]
        const ALL: &[(&str, extern "C" fn() -> Returned)] = &[$((stringify!($name), $name)),+];
    };
}

#[cold]
fn refuse(name: &'static str) -> Returned {
    ErrorObject::handle_of(&Error::unsupported(format!("{name} is not there for backends in this server")))
}

absent! {
    TRITONSERVER_BufferAttributesSetCudaIpcHandle,
    TRITONSERVER_GetMetricKind,
    TRITONSERVER_InferenceRequestAddRawInput,
    TRITONSERVER_InferenceRequestCorrelationIdString,
    TRITONSERVER_InferenceRequestId,
    TRITONSERVER_InferenceResponseId,
    TRITONSERVER_InferenceResponseModel,
    TRITONSERVER_InferenceResponseOutputClassificationLabel,
    TRITONSERVER_InferenceTraceId,
    TRITONSERVER_InferenceTraceModelName,
    TRITONSERVER_InferenceTraceModelVersion,
    TRITONSERVER_InferenceTraceNew,
    TRITONSERVER_InferenceTraceParentId,
    TRITONSERVER_InferenceTraceRequestId,
    TRITONSERVER_InferenceTraceSetContext,
    TRITONSERVER_InferenceTraceTensorNew,
    TRITONSERVER_MetricsDelete,
    TRITONSERVER_MetricsFormatted,
    TRITONSERVER_ResponseAllocatorSetBufferAttributesFunction,
    TRITONSERVER_ServerDelete,
    TRITONSERVER_ServerIsReady,
    TRITONSERVER_ServerLoadModel,
    TRITONSERVER_ServerMetadata,
    TRITONSERVER_ServerMetrics,
    TRITONSERVER_ServerModelConfig,
    TRITONSERVER_ServerModelIndex,
    TRITONSERVER_ServerModelMetadata,
    TRITONSERVER_ServerModelStatistics,
    TRITONSERVER_ServerNew,
    TRITONSERVER_ServerOptionsAddRateLimiterResource,
    TRITONSERVER_ServerOptionsDelete,
    TRITONSERVER_ServerOptionsNew,
    TRITONSERVER_ServerOptionsSetBackendConfig,
    TRITONSERVER_ServerOptionsSetBackendDirectory,
    TRITONSERVER_ServerOptionsSetBufferManagerThreadCount,
    TRITONSERVER_ServerOptionsSetCacheConfig,
    TRITONSERVER_ServerOptionsSetCacheDirectory,
    TRITONSERVER_ServerOptionsSetCpuMetrics,
    TRITONSERVER_ServerOptionsSetCudaMemoryPoolByteSize,
    TRITONSERVER_ServerOptionsSetCudaVirtualAddressSize,
    TRITONSERVER_ServerOptionsSetEnablePeerAccess,
    TRITONSERVER_ServerOptionsSetExitOnError,
    TRITONSERVER_ServerOptionsSetExitTimeout,
    TRITONSERVER_ServerOptionsSetGpuMetrics,
    TRITONSERVER_ServerOptionsSetHostPolicy,
    TRITONSERVER_ServerOptionsSetLogError,
    TRITONSERVER_ServerOptionsSetLogFile,
    TRITONSERVER_ServerOptionsSetLogFormat,
    TRITONSERVER_ServerOptionsSetLogInfo,
    TRITONSERVER_ServerOptionsSetLogVerbose,
    TRITONSERVER_ServerOptionsSetLogWarn,
    TRITONSERVER_ServerOptionsSetMetrics,
    TRITONSERVER_ServerOptionsSetMetricsConfig,
    TRITONSERVER_ServerOptionsSetMetricsInterval,
    TRITONSERVER_ServerOptionsSetMinSupportedComputeCapability,
    TRITONSERVER_ServerOptionsSetModelConfigName,
    TRITONSERVER_ServerOptionsSetModelControlMode,
    TRITONSERVER_ServerOptionsSetModelLoadDeviceLimit,
    TRITONSERVER_ServerOptionsSetModelLoadRetryCount,
    TRITONSERVER_ServerOptionsSetModelLoadThreadCount,
    TRITONSERVER_ServerOptionsSetModelNamespacing,
    TRITONSERVER_ServerOptionsSetModelRepositoryPath,
    TRITONSERVER_ServerOptionsSetPinnedMemoryPoolByteSize,
    TRITONSERVER_ServerOptionsSetRateLimiterMode,
    TRITONSERVER_ServerOptionsSetRepoAgentDirectory,
    TRITONSERVER_ServerOptionsSetResponseCacheByteSize,
    TRITONSERVER_ServerOptionsSetServerId,
    TRITONSERVER_ServerOptionsSetStartupModel,
    TRITONSERVER_ServerOptionsSetStrictModelConfig,
    TRITONSERVER_ServerOptionsSetStrictReadiness,
    TRITONSERVER_ServerPollModelRepository,
    TRITONSERVER_ServerRegisterModelRepository,
    TRITONSERVER_ServerSetExitTimeout,
    TRITONSERVER_ServerStop,
    TRITONSERVER_ServerUnregisterModelRepository,
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::Code;

    use super::*;

    #[test]
    fn each_says_its_name() {
        for (name, function) in ALL {
            let error = function().into_result().unwrap_err();
            let expected = format!("{name} is not there for backends in this server");
            assert_eq!((error.code(), error.message()), (Code::Unsupported, &*expected));
        }
    }
}
