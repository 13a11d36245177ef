/* The functions by which a backend calls the models of its server. */
#include <pthread.h>
#include <stdatomic.h>
#include "triton.h"

E TRITONSERVER_ServerModelIsReady(H, S, int64_t, bool *);
E TRITONSERVER_ServerModelTransactionProperties(H, S, int64_t, uint32_t *, void **);
E TRITONSERVER_ServerInferAsync(H, H, H);
E TRITONSERVER_ServerLoadModelWithParameters(H, S, const H *, uint64_t);
E TRITONSERVER_ServerUnloadModel(H, S);
E TRITONSERVER_ServerUnloadModelAndDependents(H, S);
E TRITONSERVER_InferenceRequestNew(H *, H, S, int64_t);
E TRITONSERVER_InferenceRequestDelete(H);
E TRITONSERVER_InferenceRequestSetId(H, S);
E TRITONSERVER_InferenceRequestSetFlags(H, uint32_t);
E TRITONSERVER_InferenceRequestSetCorrelationId(H, uint64_t);
E TRITONSERVER_InferenceRequestSetCorrelationIdString(H, S);
E TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(H, uint64_t);
E TRITONSERVER_InferenceRequestSetStringParameter(H, S, S);
E TRITONSERVER_InferenceRequestSetIntParameter(H, S, int64_t);
E TRITONSERVER_InferenceRequestSetBoolParameter(H, S, bool);
E TRITONSERVER_InferenceRequestAddRequestedOutput(H, S);
E TRITONSERVER_InferenceRequestAddInput(H, S, int, const int64_t *, uint64_t);
E TRITONSERVER_InferenceRequestAppendInputData(H, S, const void *, size_t, int, int64_t);
E TRITONSERVER_InferenceRequestSetReleaseCallback(H, void (*)(H, uint32_t, void *), void *);
E TRITONSERVER_InferenceRequestSetResponseCallback(H, H, void *, void (*)(H, uint32_t, void *), void *);
E TRITONSERVER_InferenceRequestCancel(H);
typedef E (*Alloc)(H, S, size_t, int, int64_t, void *, void **, void **, int *, int64_t *);
typedef E (*Release)(H, void *, void *, size_t, int, int64_t);
typedef E (*Start)(H, void *);
typedef E (*Query)(H, void *, S, size_t *, int *, int64_t *);
E TRITONSERVER_ResponseAllocatorNew(H *, Alloc, Release, Start);
E TRITONSERVER_ResponseAllocatorSetQueryFunction(H, Query);
E TRITONSERVER_ResponseAllocatorDelete(H);
E TRITONSERVER_InferenceResponseError(H);
E TRITONSERVER_InferenceResponseOutputCount(H, uint32_t *);
E TRITONSERVER_InferenceResponseOutput(H, uint32_t, S *, int *, const int64_t **, uint64_t *, const void **, size_t *,
                                       int *, int64_t *, void **);
E TRITONSERVER_InferenceResponseParameterCount(H, uint32_t *);
E TRITONSERVER_InferenceResponseParameter(H, uint32_t, S *, int *, const void **);
E TRITONSERVER_InferenceResponseDelete(H);
E TRITONSERVER_InferenceTraceContext(H, S *);
E TRITONSERVER_InferenceTraceSpawnChildTrace(H, H *);
E TRITONSERVER_InferenceTraceReportActivity(H, uint64_t, S);
H TRITONSERVER_ParameterBytesNew(S, const void *, uint64_t);
E TRITONBACKEND_RequestTrace(H, H *);
