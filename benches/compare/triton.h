/* What the small backends of this bench use of Triton's C interface. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct Opaque Opaque;

extern Opaque* TRITONBACKEND_InputBuffer(Opaque*, uint32_t, const void**, uint64_t*, int*, int64_t*);
extern Opaque* TRITONBACKEND_InputProperties(
    Opaque*, const char**, int*, const int64_t**, uint32_t*, uint64_t*, uint32_t*);
extern Opaque* TRITONBACKEND_ModelConfig(Opaque*, uint32_t, Opaque**);
extern Opaque* TRITONBACKEND_ModelInstanceModel(Opaque*, Opaque**);
extern Opaque* TRITONBACKEND_ModelInstanceReportBatchStatistics(
    Opaque*, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern Opaque* TRITONBACKEND_ModelInstanceReportStatistics(
    Opaque*, Opaque*, bool, uint64_t, uint64_t, uint64_t, uint64_t);
extern Opaque* TRITONBACKEND_ModelInstanceSetState(Opaque*, void*);
extern Opaque* TRITONBACKEND_ModelInstanceState(Opaque*, void**);
extern Opaque* TRITONBACKEND_ModelRepository(Opaque*, int*, const char**);
extern Opaque* TRITONBACKEND_ModelVersion(Opaque*, uint64_t*);
extern Opaque* TRITONBACKEND_OutputBuffer(Opaque*, void**, uint64_t, int*, int64_t*);
extern Opaque* TRITONBACKEND_RequestInput(Opaque*, const char*, Opaque**);
extern Opaque* TRITONBACKEND_RequestInputByIndex(Opaque*, uint32_t, Opaque**);
extern Opaque* TRITONBACKEND_RequestRelease(Opaque*, uint32_t);
extern Opaque* TRITONBACKEND_ResponseNew(Opaque**, Opaque*);
extern Opaque* TRITONBACKEND_ResponseOutput(
    Opaque*, Opaque**, const char*, int, const int64_t*, uint32_t);
extern Opaque* TRITONBACKEND_ResponseSend(Opaque*, uint32_t, Opaque*);
extern Opaque* TRITONSERVER_ErrorNew(int, const char*);
extern Opaque* TRITONSERVER_MessageDelete(Opaque*);
extern Opaque* TRITONSERVER_MessageSerializeToJson(Opaque*, const char**, size_t*);

enum { RELEASE_ALL = 1, RESPONSE_FINAL = 1, INTERNAL = 1 };

static inline uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
