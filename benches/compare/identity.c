/* An identity backend for Triton by its C interface, as small as one can be: OUTPUT0 is a copy of INPUT0. It stands for
 * Triton's own where only the PyPI wheel is at hand, which has no backend but Python's. Built by scripts/bench compare. */

#include <string.h>

#include "triton.h"

static Opaque* copy(Opaque* request, Opaque* response) {
    Opaque *input, *output, *error;
    const char* name;
    const int64_t* shape;
    int type, memory = 0;
    int64_t device = 0;
    uint32_t rank, buffers;
    uint64_t size;
    void* target;
    if ((error = TRITONBACKEND_RequestInputByIndex(request, 0, &input))) return error;
    if ((error = TRITONBACKEND_InputProperties(input, &name, &type, &shape, &rank, &size, &buffers))) return error;
    if ((error = TRITONBACKEND_ResponseOutput(response, &output, "OUTPUT0", type, shape, rank))) return error;
    if ((error = TRITONBACKEND_OutputBuffer(output, &target, size, &memory, &device))) return error;
    for (uint32_t i = 0; i < buffers; i++) {
        const void* source;
        uint64_t count;
        if ((error = TRITONBACKEND_InputBuffer(input, i, &source, &count, &memory, &device))) return error;
        memcpy(target, source, count);
        target = (char*)target + count;
    }
    return NULL;
}

Opaque* TRITONBACKEND_ModelInstanceExecute(Opaque* instance, Opaque** requests, uint32_t count) {
    uint64_t started = now();
    for (uint32_t i = 0; i < count; i++) {
        Opaque *response, *error = TRITONBACKEND_ResponseNew(&response, requests[i]);
        if (error) return error;
        uint64_t computing = now();
        error = copy(requests[i], response);
        uint64_t computed = now();
        TRITONBACKEND_ResponseSend(response, RESPONSE_FINAL, error);
        TRITONBACKEND_ModelInstanceReportStatistics(
            instance, requests[i], error == NULL, started, computing, computed, now());
    }
    uint64_t ended = now();
    TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, count, started, started, ended, ended);
    for (uint32_t i = 0; i < count; i++) TRITONBACKEND_RequestRelease(requests[i], RELEASE_ALL);
    return NULL;
}
