/* An ONNX Runtime backend for Triton by its C interface, as small as one can be for the models of this bench: tensors of
 * FP32 and INT32, a session an instance, `model.onnx`, and the parameter intra_op_thread_count. It stands for Triton's own
 * where only the PyPI wheel is at hand. A single request is read where it lies; more are gathered into one batch; outputs
 * are copied from where ONNX Runtime made them, as Triton's own does. Built by scripts/bench compare. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "triton.h"

enum { TRITON_INT32 = 8, TRITON_FP32 = 11, ONNX_FLOAT = 1, ONNX_INT32 = 6 };
enum { MAX_TENSORS = 16, MAX_RANK = 8, ELEMENT = 4 };

/* ------------------------------------------------ ONNX Runtime */

typedef struct OrtApiBase {
    void* const* (*get_api)(uint32_t version);
    const char* (*version)(void);
} OrtApiBase;

extern const OrtApiBase* OrtGetApiBase(void);

enum { API_VERSION = 16, WARNING = 2, ARENA_ALLOCATOR = 1, DEFAULT_MEMORY = 0 };

/* By their places in the table, which never change. */
static struct {
    const char* (*message)(const void* status);
    void* (*create_env)(int level, const char* id, void** env);
    void* (*create_session)(void* env, const char* path, void* options, void** session);
    void* (*run)(void* session, const void* options, const char* const* input_names, void* const* inputs,
                 size_t input_count, const char* const* output_names, size_t output_count, void** outputs);
    void* (*create_options)(void** options);
    void* (*set_threads)(void* options, int count);
    void* (*input_count)(const void* session, size_t* count);
    void* (*output_count)(const void* session, size_t* count);
    void* (*input_name)(const void* session, size_t index, void* allocator, char** name);
    void* (*output_name)(const void* session, size_t index, void* allocator, char** name);
    void* (*create_tensor)(const void* memory, void* data, size_t size, const int64_t* shape, size_t rank, int type,
                           void** value);
    void* (*data)(void* value, void** data);
    void* (*type)(const void* info, int* type);
    void* (*rank)(const void* info, size_t* rank);
    void* (*shape)(const void* info, int64_t* shape, size_t rank);
    void* (*info)(const void* value, void** info);
    void* (*memory)(int allocator, int type, void** memory);
    void* (*allocator)(void** allocator);
    void (*release_value)(void* value);
    void (*release_info)(void* info);
} ort;

static void *env, *memory_info, *allocator;

static Opaque* failed(const char* message) { return TRITONSERVER_ErrorNew(INTERNAL, message); }

/* What ONNX Runtime said; the status is leaked, as the bench ends with it. */
static Opaque* of_status(const void* status) { return status ? failed(ort.message(status)) : NULL; }

#define TRY(call)                 \
    do {                          \
        Opaque* error_ = (call);  \
        if (error_) return error_; \
    } while (0)

Opaque* TRITONBACKEND_Initialize(Opaque* backend) {
    (void)backend;
    void* const* table = OrtGetApiBase()->get_api(API_VERSION);
    ort.message = table[2];
    ort.create_env = table[3];
    ort.create_session = table[7];
    ort.run = table[9];
    ort.create_options = table[10];
    ort.set_threads = table[24];
    ort.input_count = table[30];
    ort.output_count = table[31];
    ort.input_name = table[36];
    ort.output_name = table[37];
    ort.create_tensor = table[49];
    ort.data = table[51];
    ort.type = table[60];
    ort.rank = table[61];
    ort.shape = table[62];
    ort.info = table[65];
    ort.memory = table[69];
    ort.allocator = table[78];
    ort.release_value = table[96];
    ort.release_info = table[99];
    TRY(of_status(ort.create_env(WARNING, "bench", &env)));
    TRY(of_status(ort.memory(ARENA_ALLOCATOR, DEFAULT_MEMORY, &memory_info)));
    return of_status(ort.allocator(&allocator));
}

/* ------------------------------------------------ an instance */

typedef struct Tensor {
    char* name;
    /* Where the requests of a batch are gathered. */
    char* gathered;
    size_t capacity;
} Tensor;

typedef struct Instance {
    void* session;
    size_t input_count, output_count;
    Tensor inputs[MAX_TENSORS];
    const char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS];
} Instance;

static Opaque* threads_of(Opaque* model, int* threads) {
    Opaque* config;
    const char* text;
    size_t size;
    TRY(TRITONBACKEND_ModelConfig(model, 1, &config));
    TRY(TRITONSERVER_MessageSerializeToJson(config, &text, &size));
    char* copy = strndup(text, size);
    char* at = strstr(copy, "\"intra_op_thread_count\"");
    at = at ? strstr(at, "\"string_value\":\"") : NULL;
    *threads = at ? atoi(at + strlen("\"string_value\":\"")) : 0;
    free(copy);
    return TRITONSERVER_MessageDelete(config);
}

Opaque* TRITONBACKEND_ModelInstanceInitialize(Opaque* triton_instance) {
    Opaque* model;
    int kind, threads;
    const char* folder;
    uint64_t version;
    char path[4096];
    void* options;
    Instance* instance = calloc(1, sizeof *instance);
    TRY(TRITONBACKEND_ModelInstanceModel(triton_instance, &model));
    TRY(TRITONBACKEND_ModelRepository(model, &kind, &folder));
    TRY(TRITONBACKEND_ModelVersion(model, &version));
    TRY(threads_of(model, &threads));
    snprintf(path, sizeof path, "%s/%llu/model.onnx", folder, (unsigned long long)version);
    TRY(of_status(ort.create_options(&options)));
    if (threads) TRY(of_status(ort.set_threads(options, threads)));
    TRY(of_status(ort.create_session(env, path, options, &instance->session)));
    TRY(of_status(ort.input_count(instance->session, &instance->input_count)));
    TRY(of_status(ort.output_count(instance->session, &instance->output_count)));
    if (instance->input_count > MAX_TENSORS || instance->output_count > MAX_TENSORS) return failed("too many tensors");
    for (size_t i = 0; i < instance->input_count; i++) {
        TRY(of_status(ort.input_name(instance->session, i, allocator, &instance->inputs[i].name)));
        instance->input_names[i] = instance->inputs[i].name;
    }
    for (size_t i = 0; i < instance->output_count; i++) {
        char* name;
        TRY(of_status(ort.output_name(instance->session, i, allocator, &name)));
        instance->output_names[i] = name;
    }
    return TRITONBACKEND_ModelInstanceSetState(triton_instance, instance);
}

/* ------------------------------------------------ an execution */

/* The tensor of all requests: where the only one of a single request lies, or gathered. */
static Opaque* gather(Tensor* tensor, Opaque** requests, uint32_t count, int64_t* rows, void** value) {
    const int64_t* shape = NULL;
    int64_t joined[MAX_RANK];
    int type = 0, memory = 0;
    int64_t device = 0;
    uint32_t rank = 0, buffers = 0;
    uint64_t total = 0;
    const void* direct = NULL;
    Opaque* inputs[count];
    int64_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char* name;
        uint64_t size;
        TRY(TRITONBACKEND_RequestInput(requests[i], tensor->name, &inputs[i]));
        TRY(TRITONBACKEND_InputProperties(inputs[i], &name, &type, &shape, &rank, &size, &buffers));
        if (rank == 0 || rank > MAX_RANK) return failed("a rank that this backend does not know");
        rows[i] = shape[0];
        first += shape[0];
        total += size;
    }
    if (count == 1 && buffers == 1) {
        uint64_t size;
        TRY(TRITONBACKEND_InputBuffer(inputs[0], 0, &direct, &size, &memory, &device));
    } else {
        if (tensor->capacity < total) {
            free(tensor->gathered);
            tensor->gathered = malloc(total);
            tensor->capacity = total;
        }
        char* target = tensor->gathered;
        for (uint32_t i = 0; i < count; i++) {
            const char* name;
            uint64_t size;
            TRY(TRITONBACKEND_InputProperties(inputs[i], &name, &type, &shape, &rank, &size, &buffers));
            for (uint32_t b = 0; b < buffers; b++) {
                const void* source;
                TRY(TRITONBACKEND_InputBuffer(inputs[i], b, &source, &size, &memory, &device));
                memcpy(target, source, size);
                target += size;
            }
        }
        direct = tensor->gathered;
    }
    memcpy(joined, shape, rank * sizeof *joined);
    joined[0] = first;
    if (type != TRITON_FP32 && type != TRITON_INT32) return failed("a type that this backend does not know");
    int onnx = type == TRITON_FP32 ? ONNX_FLOAT : ONNX_INT32;
    return of_status(ort.create_tensor(memory_info, (void*)direct, total, joined, rank, onnx, value));
}

/* Copies each request's rows of an output to its response. */
static Opaque* scatter(void* value, const char* name, Opaque** responses, uint32_t count, const int64_t* rows) {
    void *info, *data;
    int type;
    size_t rank;
    int64_t shape[MAX_RANK];
    TRY(of_status(ort.info(value, &info)));
    TRY(of_status(ort.type(info, &type)));
    TRY(of_status(ort.rank(info, &rank)));
    if (rank == 0 || rank > MAX_RANK) return failed("a rank that this backend does not know");
    TRY(of_status(ort.shape(info, shape, rank)));
    ort.release_info(info);
    TRY(of_status(ort.data(value, &data)));
    uint64_t row = ELEMENT;
    for (size_t d = 1; d < rank; d++) row *= (uint64_t)shape[d];
    int triton = type == ONNX_FLOAT ? TRITON_FP32 : TRITON_INT32;
    const char* source = data;
    for (uint32_t i = 0; i < count; i++) {
        Opaque* output;
        void* target;
        int memory = 0;
        int64_t device = 0;
        shape[0] = rows[i];
        uint64_t size = row * (uint64_t)rows[i];
        TRY(TRITONBACKEND_ResponseOutput(responses[i], &output, name, triton, shape, (uint32_t)rank));
        TRY(TRITONBACKEND_OutputBuffer(output, &target, size, &memory, &device));
        memcpy(target, source, size);
        source += size;
    }
    return NULL;
}

static Opaque* execute(Instance* instance, Opaque** requests, Opaque** responses, uint32_t count, uint64_t* computing,
                       uint64_t* computed) {
    void *inputs[MAX_TENSORS] = {0}, *outputs[MAX_TENSORS] = {0};
    int64_t rows[count];
    for (size_t i = 0; i < instance->input_count; i++) {
        TRY(gather(&instance->inputs[i], requests, count, rows, &inputs[i]));
    }
    *computing = now();
    Opaque* error = of_status(ort.run(instance->session, NULL, instance->input_names, inputs, instance->input_count,
                                      instance->output_names, instance->output_count, outputs));
    *computed = now();
    for (size_t i = 0; i < instance->input_count; i++) ort.release_value(inputs[i]);
    for (size_t i = 0; i < instance->output_count && !error; i++) {
        error = scatter(outputs[i], instance->output_names[i], responses, count, rows);
    }
    for (size_t i = 0; i < instance->output_count; i++) ort.release_value(outputs[i]);
    return error;
}

Opaque* TRITONBACKEND_ModelInstanceExecute(Opaque* triton_instance, Opaque** requests, uint32_t count) {
    uint64_t started = now(), computing = started, computed = started;
    void* instance;
    Opaque* responses[count];
    TRY(TRITONBACKEND_ModelInstanceState(triton_instance, &instance));
    for (uint32_t i = 0; i < count; i++) TRY(TRITONBACKEND_ResponseNew(&responses[i], requests[i]));
    Opaque* error = execute(instance, requests, responses, count, &computing, &computed);
    for (uint32_t i = 0; i < count; i++) {
        Opaque* own = error && i > 0 ? failed("the batch failed") : error;
        TRITONBACKEND_ResponseSend(responses[i], RESPONSE_FINAL, own);
    }
    uint64_t ended = now();
    for (uint32_t i = 0; i < count; i++) {
        TRITONBACKEND_ModelInstanceReportStatistics(
            triton_instance, requests[i], error == NULL, started, computing, computed, ended);
    }
    TRITONBACKEND_ModelInstanceReportBatchStatistics(triton_instance, count, started, computing, computed, ended);
    for (uint32_t i = 0; i < count; i++) TRITONBACKEND_RequestRelease(requests[i], RELEASE_ALL);
    return NULL;
}
