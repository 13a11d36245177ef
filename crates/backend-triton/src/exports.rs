//! The functions of the interface, by their names. Nothing else names all of them: what is in this table is there for backends.

use crate::absent;
use crate::in_process;
use crate::life::{attribute, backend, instance, instance_facts, model};
use crate::objects::{
    self, buffer_attributes, error, log, message, metric, metric_family, names, parameter, trace,
};
use crate::request::{correlation, facts, input, parameters as request_parameters, release, state, tensors};
use crate::response::{factory, output, parameters as response_parameters, read_back, send, statistics};

macro_rules! functions {
    ($($name:ident = $function:path;)+) => {
        const COUNT: usize = [$(stringify!($name)),+].len();

        /// The names, in order.
        static NAMES: [&str; COUNT] = [$(stringify!($name)),+];

        /// The functions, in the order of their names.
        fn addresses() -> [usize; COUNT] {
            [$(($function as *const ()).expose_provenance()),+]
        }
    };
}

/// All functions with their addresses, by name.
pub(crate) fn all() -> impl ExactSizeIterator<Item = (&'static str, usize)> + Clone {
    // Not by `zip`: the length has to be known.
    let addresses = addresses();
    (0..COUNT).map(move |index| (NAMES[index], addresses[index]))
}

/// Whether there is a function of that name.
pub(crate) fn is_there(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

functions! {
    TRITONBACKEND_ApiVersion = backend::api_version;
    TRITONBACKEND_BackendArtifacts = backend::artifacts;
    TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup = attribute::add_preferred_instance_group;
    TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading = attribute::set_parallel_model_instance_loading;
    TRITONBACKEND_BackendConfig = backend::config;
    TRITONBACKEND_BackendExecutionPolicy = backend::execution_policy;
    TRITONBACKEND_BackendMemoryManager = backend::memory_manager;
    TRITONBACKEND_BackendName = backend::name;
    TRITONBACKEND_BackendSetExecutionPolicy = backend::set_execution_policy;
    TRITONBACKEND_BackendSetState = backend::set_state;
    TRITONBACKEND_BackendState = backend::state;
    TRITONBACKEND_InferenceRequestTimeoutMicroseconds = facts::timeout_microseconds;
    TRITONBACKEND_InferenceResponseOutput = read_back::output;
    TRITONBACKEND_InferenceResponseOutputByName = read_back::output_by_name;
    TRITONBACKEND_InputBuffer = input::buffer;
    TRITONBACKEND_InputBufferAttributes = input::buffer_attributes;
    TRITONBACKEND_InputBufferForHostPolicy = input::buffer_for_host_policy;
    TRITONBACKEND_InputProperties = input::properties;
    TRITONBACKEND_InputPropertiesForHostPolicy = input::properties_for_host_policy;
    TRITONBACKEND_MemoryManagerAllocate = objects::memory::allocate;
    TRITONBACKEND_MemoryManagerFree = objects::memory::free;
    TRITONBACKEND_ModelAutoCompleteConfig = model::auto_complete_config;
    TRITONBACKEND_ModelBackend = model::backend;
    TRITONBACKEND_ModelConfig = model::config;
    TRITONBACKEND_ModelInstanceDeviceId = instance_facts::device_id;
    TRITONBACKEND_ModelInstanceHostPolicy = instance_facts::host_policy;
    TRITONBACKEND_ModelInstanceIsPassive = instance_facts::is_passive;
    TRITONBACKEND_ModelInstanceKind = instance_facts::kind;
    TRITONBACKEND_ModelInstanceModel = instance::model;
    TRITONBACKEND_ModelInstanceName = instance_facts::name;
    TRITONBACKEND_ModelInstanceProfileCount = instance_facts::profile_count;
    TRITONBACKEND_ModelInstanceProfileName = instance_facts::profile_name;
    TRITONBACKEND_ModelInstanceReportBatchStatistics = statistics::report_batch_statistics;
    TRITONBACKEND_ModelInstanceReportMemoryUsage = instance_facts::report_memory_usage;
    TRITONBACKEND_ModelInstanceReportResponseStatistics = statistics::report;
    TRITONBACKEND_ModelInstanceReportStatistics = statistics::report_statistics;
    TRITONBACKEND_ModelInstanceResponseStatisticsDelete = statistics::delete;
    TRITONBACKEND_ModelInstanceResponseStatisticsNew = statistics::new;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetComputeOutputStart = statistics::set_compute_output_start;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetError = statistics::set_error;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetModelInstance = statistics::set_model_instance;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseEnd = statistics::set_response_end;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseFactory = statistics::set_response_factory;
    TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseStart = statistics::set_response_start;
    TRITONBACKEND_ModelInstanceSecondaryDeviceCount = instance_facts::secondary_device_count;
    TRITONBACKEND_ModelInstanceSecondaryDeviceProperties = instance_facts::secondary_device_properties;
    TRITONBACKEND_ModelInstanceSetState = instance::set_state;
    TRITONBACKEND_ModelInstanceState = instance::state;
    TRITONBACKEND_ModelName = model::name;
    TRITONBACKEND_ModelReportMemoryUsage = model::report_memory_usage;
    TRITONBACKEND_ModelRepository = model::repository;
    TRITONBACKEND_ModelServer = model::server;
    TRITONBACKEND_ModelSetConfig = model::set_config;
    TRITONBACKEND_ModelSetState = model::set_state;
    TRITONBACKEND_ModelState = model::state;
    TRITONBACKEND_ModelVersion = model::version;
    TRITONBACKEND_OutputBuffer = output::buffer;
    TRITONBACKEND_OutputBufferAttributes = output::buffer_attributes;
    TRITONBACKEND_RequestCorrelationId = correlation::number;
    TRITONBACKEND_RequestCorrelationIdString = correlation::string;
    TRITONBACKEND_RequestFlags = facts::flags;
    TRITONBACKEND_RequestId = facts::id;
    TRITONBACKEND_RequestInput = tensors::input;
    TRITONBACKEND_RequestInputByIndex = tensors::input_by_index;
    TRITONBACKEND_RequestInputCount = tensors::input_count;
    TRITONBACKEND_RequestInputName = tensors::input_name;
    TRITONBACKEND_RequestIsCancelled = facts::is_cancelled;
    TRITONBACKEND_RequestOutputBufferProperties = tensors::output_buffer_properties;
    TRITONBACKEND_RequestOutputCount = tensors::output_count;
    TRITONBACKEND_RequestOutputName = tensors::output_name;
    TRITONBACKEND_RequestParameter = request_parameters::parameter;
    TRITONBACKEND_RequestParameterCount = request_parameters::count;
    TRITONBACKEND_RequestRelease = release::release;
    TRITONBACKEND_RequestTrace = facts::trace;
    TRITONBACKEND_ResponseDelete = send::delete;
    TRITONBACKEND_ResponseFactoryDelete = factory::delete;
    TRITONBACKEND_ResponseFactoryIsCancelled = factory::is_cancelled;
    TRITONBACKEND_ResponseFactoryNew = factory::new;
    TRITONBACKEND_ResponseFactorySendFlags = factory::send_flags;
    TRITONBACKEND_ResponseNew = send::new;
    TRITONBACKEND_ResponseNewFromFactory = send::new_from_factory;
    TRITONBACKEND_ResponseOutput = output::new;
    TRITONBACKEND_ResponseSend = send::send;
    TRITONBACKEND_ResponseSetBoolParameter = response_parameters::set_bool;
    TRITONBACKEND_ResponseSetDoubleParameter = response_parameters::set_double;
    TRITONBACKEND_ResponseSetIntParameter = response_parameters::set_int;
    TRITONBACKEND_ResponseSetStringParameter = response_parameters::set_string;
    TRITONBACKEND_StateBuffer = state::buffer;
    TRITONBACKEND_StateBufferAttributes = state::buffer_attributes;
    TRITONBACKEND_StateNew = state::new;
    TRITONBACKEND_StateUpdate = state::update;
    TRITONSERVER_ApiVersion = backend::server_api_version;
    TRITONSERVER_BufferAttributesByteSize = buffer_attributes::byte_size;
    TRITONSERVER_BufferAttributesCudaIpcHandle = buffer_attributes::cuda_ipc_handle;
    TRITONSERVER_BufferAttributesDelete = buffer_attributes::delete;
    TRITONSERVER_BufferAttributesMemoryType = buffer_attributes::memory_type;
    TRITONSERVER_BufferAttributesMemoryTypeId = buffer_attributes::memory_type_id;
    TRITONSERVER_BufferAttributesNew = buffer_attributes::new;
    TRITONSERVER_BufferAttributesSetByteSize = buffer_attributes::set_byte_size;
    TRITONSERVER_BufferAttributesSetCudaIpcHandle = absent::TRITONSERVER_BufferAttributesSetCudaIpcHandle;
    TRITONSERVER_BufferAttributesSetMemoryType = buffer_attributes::set_memory_type;
    TRITONSERVER_BufferAttributesSetMemoryTypeId = buffer_attributes::set_memory_type_id;
    TRITONSERVER_DataTypeByteSize = names::data_type_byte_size;
    TRITONSERVER_DataTypeString = names::data_type_string;
    TRITONSERVER_ErrorCode = error::code;
    TRITONSERVER_ErrorCodeString = error::code_string;
    TRITONSERVER_ErrorDelete = error::delete;
    TRITONSERVER_ErrorMessage = error::message;
    TRITONSERVER_ErrorNew = error::new;
    TRITONSERVER_GetMetricFamilyKind = metric_family::kind;
    TRITONSERVER_GetMetricKind = absent::TRITONSERVER_GetMetricKind;
    TRITONSERVER_InferenceRequestAddInput = in_process::request::add_input;
    TRITONSERVER_InferenceRequestAddRawInput = absent::TRITONSERVER_InferenceRequestAddRawInput;
    TRITONSERVER_InferenceRequestAddRequestedOutput = in_process::request::add_requested_output;
    TRITONSERVER_InferenceRequestAppendInputData = in_process::request::append_input_data;
    TRITONSERVER_InferenceRequestAppendInputDataWithBufferAttributes = in_process::request::amendments::append_input_data_with_buffer_attributes;
    TRITONSERVER_InferenceRequestAppendInputDataWithHostPolicy = in_process::request::amendments::append_input_data_with_host_policy;
    TRITONSERVER_InferenceRequestCancel = in_process::request::cancel;
    TRITONSERVER_InferenceRequestCorrelationId = in_process::request::amendments::correlation_id;
    TRITONSERVER_InferenceRequestCorrelationIdString = absent::TRITONSERVER_InferenceRequestCorrelationIdString;
    TRITONSERVER_InferenceRequestDelete = in_process::request::delete;
    TRITONSERVER_InferenceRequestFlags = in_process::request::amendments::flags;
    TRITONSERVER_InferenceRequestId = absent::TRITONSERVER_InferenceRequestId;
    TRITONSERVER_InferenceRequestIsCancelled = in_process::request::amendments::is_cancelled;
    TRITONSERVER_InferenceRequestNew = in_process::request::new;
    TRITONSERVER_InferenceRequestPriority = in_process::request::amendments::priority;
    TRITONSERVER_InferenceRequestPriorityUInt64 = in_process::request::amendments::priority_uint64;
    TRITONSERVER_InferenceRequestRemoveAllInputData = in_process::request::amendments::remove_all_input_data;
    TRITONSERVER_InferenceRequestRemoveAllInputs = in_process::request::amendments::remove_all_inputs;
    TRITONSERVER_InferenceRequestRemoveAllRequestedOutputs = in_process::request::amendments::remove_all_requested_outputs;
    TRITONSERVER_InferenceRequestRemoveInput = in_process::request::amendments::remove_input;
    TRITONSERVER_InferenceRequestRemoveRequestedOutput = in_process::request::amendments::remove_requested_output;
    TRITONSERVER_InferenceRequestSetBoolParameter = in_process::request::set_bool_parameter;
    TRITONSERVER_InferenceRequestSetCorrelationId = in_process::request::set_correlation_id;
    TRITONSERVER_InferenceRequestSetCorrelationIdString = in_process::request::set_correlation_id_string;
    TRITONSERVER_InferenceRequestSetDoubleParameter = in_process::request::amendments::set_double_parameter;
    TRITONSERVER_InferenceRequestSetFlags = in_process::request::set_flags;
    TRITONSERVER_InferenceRequestSetId = in_process::request::set_id;
    TRITONSERVER_InferenceRequestSetIntParameter = in_process::request::set_int_parameter;
    TRITONSERVER_InferenceRequestSetPriority = in_process::request::amendments::set_priority;
    TRITONSERVER_InferenceRequestSetPriorityUInt64 = in_process::request::amendments::set_priority_uint64;
    TRITONSERVER_InferenceRequestSetReleaseCallback = in_process::request::set_release_callback;
    TRITONSERVER_InferenceRequestSetResponseCallback = in_process::request::set_response_callback;
    TRITONSERVER_InferenceRequestSetStringParameter = in_process::request::set_string_parameter;
    TRITONSERVER_InferenceRequestSetTimeoutMicroseconds = in_process::request::set_timeout_microseconds;
    TRITONSERVER_InferenceRequestTimeoutMicroseconds = in_process::request::amendments::timeout_microseconds;
    TRITONSERVER_InferenceResponseDelete = in_process::response::delete;
    TRITONSERVER_InferenceResponseError = in_process::response::error;
    TRITONSERVER_InferenceResponseId = absent::TRITONSERVER_InferenceResponseId;
    TRITONSERVER_InferenceResponseModel = absent::TRITONSERVER_InferenceResponseModel;
    TRITONSERVER_InferenceResponseOutput = in_process::response::output;
    TRITONSERVER_InferenceResponseOutputClassificationLabel = absent::TRITONSERVER_InferenceResponseOutputClassificationLabel;
    TRITONSERVER_InferenceResponseOutputCount = in_process::response::output_count;
    TRITONSERVER_InferenceResponseParameter = in_process::response::parameter;
    TRITONSERVER_InferenceResponseParameterCount = in_process::response::parameter_count;
    TRITONSERVER_InferenceTraceActivityString = names::trace_activity_string;
    TRITONSERVER_InferenceTraceContext = trace::context;
    TRITONSERVER_InferenceTraceDelete = trace::delete;
    TRITONSERVER_InferenceTraceId = absent::TRITONSERVER_InferenceTraceId;
    TRITONSERVER_InferenceTraceLevelString = names::trace_level_string;
    TRITONSERVER_InferenceTraceModelName = absent::TRITONSERVER_InferenceTraceModelName;
    TRITONSERVER_InferenceTraceModelVersion = absent::TRITONSERVER_InferenceTraceModelVersion;
    TRITONSERVER_InferenceTraceNew = absent::TRITONSERVER_InferenceTraceNew;
    TRITONSERVER_InferenceTraceParentId = absent::TRITONSERVER_InferenceTraceParentId;
    TRITONSERVER_InferenceTraceReportActivity = trace::report_activity;
    TRITONSERVER_InferenceTraceRequestId = absent::TRITONSERVER_InferenceTraceRequestId;
    TRITONSERVER_InferenceTraceSetContext = absent::TRITONSERVER_InferenceTraceSetContext;
    TRITONSERVER_InferenceTraceSpawnChildTrace = trace::spawn_child_trace;
    TRITONSERVER_InferenceTraceTensorNew = absent::TRITONSERVER_InferenceTraceTensorNew;
    TRITONSERVER_InstanceGroupKindString = names::instance_group_kind_string;
    TRITONSERVER_LogIsEnabled = log::is_enabled;
    TRITONSERVER_LogMessage = log::message;
    TRITONSERVER_MemoryTypeString = names::memory_type_string;
    TRITONSERVER_MessageDelete = message::delete;
    TRITONSERVER_MessageNewFromSerializedJson = message::new_from_serialized_json;
    TRITONSERVER_MessageSerializeToJson = message::serialize_to_json;
    TRITONSERVER_MetricArgsDelete = metric::args_delete;
    TRITONSERVER_MetricArgsNew = metric::args_new;
    TRITONSERVER_MetricArgsSetHistogram = metric::args_set_histogram;
    TRITONSERVER_MetricDelete = metric::delete;
    TRITONSERVER_MetricFamilyDelete = metric_family::delete;
    TRITONSERVER_MetricFamilyNew = metric_family::new;
    TRITONSERVER_MetricIncrement = metric::increment;
    TRITONSERVER_MetricNew = metric::new;
    TRITONSERVER_MetricNewWithArgs = metric::new_with_args;
    TRITONSERVER_MetricObserve = metric::observe;
    TRITONSERVER_MetricSet = metric::set;
    TRITONSERVER_MetricValue = metric::value;
    TRITONSERVER_MetricsDelete = absent::TRITONSERVER_MetricsDelete;
    TRITONSERVER_MetricsFormatted = absent::TRITONSERVER_MetricsFormatted;
    TRITONSERVER_ParameterBytesNew = parameter::bytes_new;
    TRITONSERVER_ParameterDelete = parameter::delete;
    TRITONSERVER_ParameterNew = parameter::new;
    TRITONSERVER_ParameterTypeString = names::parameter_type_string;
    TRITONSERVER_ResponseAllocatorDelete = in_process::allocator::delete;
    TRITONSERVER_ResponseAllocatorNew = in_process::allocator::new;
    TRITONSERVER_ResponseAllocatorSetBufferAttributesFunction = absent::TRITONSERVER_ResponseAllocatorSetBufferAttributesFunction;
    TRITONSERVER_ResponseAllocatorSetQueryFunction = in_process::allocator::set_query_function;
    TRITONSERVER_ServerDelete = absent::TRITONSERVER_ServerDelete;
    TRITONSERVER_ServerInferAsync = in_process::server::infer_async;
    TRITONSERVER_ServerIsLive = in_process::server::is_live;
    TRITONSERVER_ServerIsReady = absent::TRITONSERVER_ServerIsReady;
    TRITONSERVER_ServerLoadModel = absent::TRITONSERVER_ServerLoadModel;
    TRITONSERVER_ServerLoadModelWithParameters = in_process::server::load_model_with_parameters;
    TRITONSERVER_ServerMetadata = absent::TRITONSERVER_ServerMetadata;
    TRITONSERVER_ServerMetrics = absent::TRITONSERVER_ServerMetrics;
    TRITONSERVER_ServerModelBatchProperties = in_process::server::model_batch_properties;
    TRITONSERVER_ServerModelConfig = absent::TRITONSERVER_ServerModelConfig;
    TRITONSERVER_ServerModelIndex = absent::TRITONSERVER_ServerModelIndex;
    TRITONSERVER_ServerModelIsReady = in_process::server::model_is_ready;
    TRITONSERVER_ServerModelMetadata = absent::TRITONSERVER_ServerModelMetadata;
    TRITONSERVER_ServerModelStatistics = absent::TRITONSERVER_ServerModelStatistics;
    TRITONSERVER_ServerModelTransactionProperties = in_process::server::model_transaction_properties;
    TRITONSERVER_ServerNew = absent::TRITONSERVER_ServerNew;
    TRITONSERVER_ServerOptionsAddRateLimiterResource = absent::TRITONSERVER_ServerOptionsAddRateLimiterResource;
    TRITONSERVER_ServerOptionsDelete = absent::TRITONSERVER_ServerOptionsDelete;
    TRITONSERVER_ServerOptionsNew = absent::TRITONSERVER_ServerOptionsNew;
    TRITONSERVER_ServerOptionsSetBackendConfig = absent::TRITONSERVER_ServerOptionsSetBackendConfig;
    TRITONSERVER_ServerOptionsSetBackendDirectory = absent::TRITONSERVER_ServerOptionsSetBackendDirectory;
    TRITONSERVER_ServerOptionsSetBufferManagerThreadCount = absent::TRITONSERVER_ServerOptionsSetBufferManagerThreadCount;
    TRITONSERVER_ServerOptionsSetCacheConfig = absent::TRITONSERVER_ServerOptionsSetCacheConfig;
    TRITONSERVER_ServerOptionsSetCacheDirectory = absent::TRITONSERVER_ServerOptionsSetCacheDirectory;
    TRITONSERVER_ServerOptionsSetCpuMetrics = absent::TRITONSERVER_ServerOptionsSetCpuMetrics;
    TRITONSERVER_ServerOptionsSetCudaMemoryPoolByteSize = absent::TRITONSERVER_ServerOptionsSetCudaMemoryPoolByteSize;
    TRITONSERVER_ServerOptionsSetCudaVirtualAddressSize = absent::TRITONSERVER_ServerOptionsSetCudaVirtualAddressSize;
    TRITONSERVER_ServerOptionsSetEnablePeerAccess = absent::TRITONSERVER_ServerOptionsSetEnablePeerAccess;
    TRITONSERVER_ServerOptionsSetExitOnError = absent::TRITONSERVER_ServerOptionsSetExitOnError;
    TRITONSERVER_ServerOptionsSetExitTimeout = absent::TRITONSERVER_ServerOptionsSetExitTimeout;
    TRITONSERVER_ServerOptionsSetGpuMetrics = absent::TRITONSERVER_ServerOptionsSetGpuMetrics;
    TRITONSERVER_ServerOptionsSetHostPolicy = absent::TRITONSERVER_ServerOptionsSetHostPolicy;
    TRITONSERVER_ServerOptionsSetLogError = absent::TRITONSERVER_ServerOptionsSetLogError;
    TRITONSERVER_ServerOptionsSetLogFile = absent::TRITONSERVER_ServerOptionsSetLogFile;
    TRITONSERVER_ServerOptionsSetLogFormat = absent::TRITONSERVER_ServerOptionsSetLogFormat;
    TRITONSERVER_ServerOptionsSetLogInfo = absent::TRITONSERVER_ServerOptionsSetLogInfo;
    TRITONSERVER_ServerOptionsSetLogVerbose = absent::TRITONSERVER_ServerOptionsSetLogVerbose;
    TRITONSERVER_ServerOptionsSetLogWarn = absent::TRITONSERVER_ServerOptionsSetLogWarn;
    TRITONSERVER_ServerOptionsSetMetrics = absent::TRITONSERVER_ServerOptionsSetMetrics;
    TRITONSERVER_ServerOptionsSetMetricsConfig = absent::TRITONSERVER_ServerOptionsSetMetricsConfig;
    TRITONSERVER_ServerOptionsSetMetricsInterval = absent::TRITONSERVER_ServerOptionsSetMetricsInterval;
    TRITONSERVER_ServerOptionsSetMinSupportedComputeCapability = absent::TRITONSERVER_ServerOptionsSetMinSupportedComputeCapability;
    TRITONSERVER_ServerOptionsSetModelConfigName = absent::TRITONSERVER_ServerOptionsSetModelConfigName;
    TRITONSERVER_ServerOptionsSetModelControlMode = absent::TRITONSERVER_ServerOptionsSetModelControlMode;
    TRITONSERVER_ServerOptionsSetModelLoadDeviceLimit = absent::TRITONSERVER_ServerOptionsSetModelLoadDeviceLimit;
    TRITONSERVER_ServerOptionsSetModelLoadRetryCount = absent::TRITONSERVER_ServerOptionsSetModelLoadRetryCount;
    TRITONSERVER_ServerOptionsSetModelLoadThreadCount = absent::TRITONSERVER_ServerOptionsSetModelLoadThreadCount;
    TRITONSERVER_ServerOptionsSetModelNamespacing = absent::TRITONSERVER_ServerOptionsSetModelNamespacing;
    TRITONSERVER_ServerOptionsSetModelRepositoryPath = absent::TRITONSERVER_ServerOptionsSetModelRepositoryPath;
    TRITONSERVER_ServerOptionsSetPinnedMemoryPoolByteSize = absent::TRITONSERVER_ServerOptionsSetPinnedMemoryPoolByteSize;
    TRITONSERVER_ServerOptionsSetRateLimiterMode = absent::TRITONSERVER_ServerOptionsSetRateLimiterMode;
    TRITONSERVER_ServerOptionsSetRepoAgentDirectory = absent::TRITONSERVER_ServerOptionsSetRepoAgentDirectory;
    TRITONSERVER_ServerOptionsSetResponseCacheByteSize = absent::TRITONSERVER_ServerOptionsSetResponseCacheByteSize;
    TRITONSERVER_ServerOptionsSetServerId = absent::TRITONSERVER_ServerOptionsSetServerId;
    TRITONSERVER_ServerOptionsSetStartupModel = absent::TRITONSERVER_ServerOptionsSetStartupModel;
    TRITONSERVER_ServerOptionsSetStrictModelConfig = absent::TRITONSERVER_ServerOptionsSetStrictModelConfig;
    TRITONSERVER_ServerOptionsSetStrictReadiness = absent::TRITONSERVER_ServerOptionsSetStrictReadiness;
    TRITONSERVER_ServerPollModelRepository = absent::TRITONSERVER_ServerPollModelRepository;
    TRITONSERVER_ServerRegisterModelRepository = absent::TRITONSERVER_ServerRegisterModelRepository;
    TRITONSERVER_ServerSetExitTimeout = absent::TRITONSERVER_ServerSetExitTimeout;
    TRITONSERVER_ServerStop = absent::TRITONSERVER_ServerStop;
    TRITONSERVER_ServerUnloadModel = in_process::server::unload_model;
    TRITONSERVER_ServerUnloadModelAndDependents = in_process::server::unload_model_and_dependents;
    TRITONSERVER_ServerUnregisterModelRepository = absent::TRITONSERVER_ServerUnregisterModelRepository;
    TRITONSERVER_StringToDataType = names::string_to_data_type;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_functions_that_backends_import_are_there() {
        assert!(NAMES.is_sorted());
        let of = |prefix: &str| NAMES.iter().filter(|name| name.starts_with(prefix)).count();
        assert_eq!((of("TRITONBACKEND_"), of("TRITONSERVER_"), COUNT), (91, 172, 263));
        assert!(is_there("TRITONBACKEND_ApiVersion") && !is_there("TRITONBACKEND_Initialize"));
        // What servers and agents of repositories are made of, which no backend imports.
        assert!(!is_there("TRITONCACHE_ApiVersion") && !is_there("TRITONREPOAGENT_ApiVersion"));
    }
}
