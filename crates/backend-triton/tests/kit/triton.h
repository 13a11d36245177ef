/* What the test backends use of the interface of Triton's backends, version 1.19. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *E;    /* an error, NULL for success */
typedef void *H;    /* any other handle */
typedef const char *S;

E TRITONSERVER_ErrorNew(int, S);
void TRITONSERVER_ErrorDelete(E);
int TRITONSERVER_ErrorCode(E);
S TRITONSERVER_ErrorMessage(E);
E TRITONSERVER_LogMessage(int, S, int, S);
E TRITONSERVER_MessageNewFromSerializedJson(H *, S, size_t);
E TRITONSERVER_MessageSerializeToJson(H, S *, size_t *);
E TRITONSERVER_MessageDelete(H);
H TRITONSERVER_ParameterNew(S, int, const void *);
void TRITONSERVER_ParameterDelete(H);
E TRITONSERVER_MetricFamilyNew(H *, int, S, S);
E TRITONSERVER_MetricFamilyDelete(H);
E TRITONSERVER_MetricNew(H *, H, H *, uint64_t);
E TRITONSERVER_MetricDelete(H);
E TRITONSERVER_MetricIncrement(H, double);
E TRITONSERVER_MetricValue(H, double *);

E TRITONBACKEND_ApiVersion(uint32_t *, uint32_t *);
E TRITONBACKEND_BackendName(H, S *);
E TRITONBACKEND_BackendConfig(H, H *);
E TRITONBACKEND_BackendArtifacts(H, int *, S *);
E TRITONBACKEND_BackendSetState(H, void *);
E TRITONBACKEND_BackendState(H, void **);
E TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(H, bool);
E TRITONBACKEND_ModelName(H, S *);
E TRITONBACKEND_ModelRepository(H, int *, S *);
E TRITONBACKEND_ModelBackend(H, H *);
E TRITONBACKEND_ModelConfig(H, uint32_t, H *);
E TRITONBACKEND_ModelSetConfig(H, uint32_t, H);
E TRITONBACKEND_ModelAutoCompleteConfig(H, bool *);
E TRITONBACKEND_ModelState(H, void **);
E TRITONBACKEND_ModelSetState(H, void *);
E TRITONBACKEND_ModelInstanceModel(H, H *);
E TRITONBACKEND_ModelInstanceState(H, void **);
E TRITONBACKEND_ModelInstanceSetState(H, void *);
E TRITONBACKEND_ModelInstanceName(H, S *);
E TRITONBACKEND_ModelInstanceHostPolicy(H, H *);
E TRITONBACKEND_ModelInstanceReportStatistics(H, H, bool, uint64_t, uint64_t, uint64_t, uint64_t);
E TRITONBACKEND_ModelInstanceReportBatchStatistics(H, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
E TRITONBACKEND_RequestId(H, S *);
E TRITONBACKEND_RequestCorrelationId(H, uint64_t *);
E TRITONBACKEND_RequestCorrelationIdString(H, S *);
E TRITONBACKEND_RequestIsCancelled(H, bool *);
E TRITONBACKEND_RequestParameterCount(H, uint32_t *);
E TRITONBACKEND_RequestParameter(H, uint32_t, S *, int *, const void **);
E TRITONBACKEND_RequestInputCount(H, uint32_t *);
E TRITONBACKEND_RequestInput(H, S, H *);
E TRITONBACKEND_RequestInputByIndex(H, uint32_t, H *);
E TRITONBACKEND_RequestOutputCount(H, uint32_t *);
E TRITONBACKEND_RequestOutputName(H, uint32_t, S *);
E TRITONBACKEND_RequestRelease(H, uint32_t);
E TRITONBACKEND_InputProperties(H, S *, int *, const int64_t **, uint32_t *, uint64_t *, uint32_t *);
E TRITONBACKEND_InputBuffer(H, uint32_t, const void **, uint64_t *, int *, int64_t *);
E TRITONBACKEND_ModelInstanceResponseStatisticsNew(H *);
E TRITONBACKEND_ModelInstanceResponseStatisticsDelete(H);
E TRITONBACKEND_ModelInstanceResponseStatisticsSetModelInstance(H, H);
E TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseFactory(H, H);
E TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseStart(H, uint64_t);
E TRITONBACKEND_ModelInstanceResponseStatisticsSetComputeOutputStart(H, uint64_t);
E TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseEnd(H, uint64_t);
E TRITONBACKEND_ModelInstanceReportResponseStatistics(H);
E TRITONBACKEND_ResponseFactoryNew(H *, H);
E TRITONBACKEND_ResponseFactoryDelete(H);
E TRITONBACKEND_ResponseFactorySendFlags(H, uint32_t);
E TRITONBACKEND_ResponseFactoryIsCancelled(H, bool *);
E TRITONBACKEND_ResponseNew(H *, H);
E TRITONBACKEND_ResponseNewFromFactory(H *, H);
E TRITONBACKEND_ResponseDelete(H);
E TRITONBACKEND_ResponseSend(H, uint32_t, E);
E TRITONBACKEND_ResponseOutput(H, H *, S, int, const int64_t *, uint32_t);
E TRITONBACKEND_ResponseSetStringParameter(H, S, S);
E TRITONBACKEND_OutputBuffer(H, void **, uint64_t, int *, int64_t *);
E TRITONBACKEND_StateNew(H *, H, S, int, const int64_t *, uint32_t);
E TRITONBACKEND_StateBuffer(H, void **, uint64_t, int *, int64_t *);
E TRITONBACKEND_StateBufferAttributes(H, H *);
E TRITONSERVER_BufferAttributesByteSize(H, size_t *);
E TRITONBACKEND_StateUpdate(H);
E TRITONBACKEND_ModelServer(H, H *);

enum { UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED };
#define TRY(call) do { E error_ = (call); if (error_) return error_; } while (0)
