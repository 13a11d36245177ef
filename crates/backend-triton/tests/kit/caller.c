/* A backend for tests whose models call others: a request's parameter `how` says how, `target` whom. */
#include "in_process.h"

/* What a call has come to, until all callbacks have returned. */
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  H request;            /* NULL once it was released */
  int responses, finals, releases;
  int allocated, given_back;
  bool fails_to_allocate, blocks;
  int32_t sum, last[64];
  size_t last_size;
  S wrong;              /* what was not as it should be */
  int code;             /* of the last error */
  char message[512];
} Call;

static E alloc(H a, S name, size_t size, int memory, int64_t id, void *userp, void **buffer, void **buffer_userp, int *actual, int64_t *actual_id) {
  Call *call = userp;
  (void)a; (void)name;
  if (memory || id) call->wrong = "memory other than the host's is preferred";
  if (call->fails_to_allocate) return TRITONSERVER_ErrorNew(UNAVAILABLE, "no buffer today");
  *buffer = size ? malloc(size) : NULL;
  *buffer_userp = call;
  *actual = 0;
  *actual_id = 0;
  pthread_mutex_lock(&call->lock);
  call->allocated++;
  pthread_mutex_unlock(&call->lock);
  return NULL;
}

static E give_back(H a, void *buffer, void *userp, size_t size, int memory, int64_t id) {
  Call *call = userp;
  (void)a; (void)size; (void)memory; (void)id;
  free(buffer);
  pthread_mutex_lock(&call->lock);
  call->given_back++;
  pthread_mutex_unlock(&call->lock);
  return NULL;
}

static E query(H a, void *userp, S name, size_t *size, int *memory, int64_t *id) {
  (void)a; (void)userp; (void)name; (void)size; (void)memory; (void)id;
  return NULL;
}

static void keep(Call *call, E error) {
  call->code = TRITONSERVER_ErrorCode(error);
  snprintf(call->message, sizeof call->message, "%s", TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
}

static E read_response(Call *call, H response) {
  E error = TRITONSERVER_InferenceResponseError(response);
  if (error) { keep(call, error); return NULL; }
  uint32_t outputs, parameters; S name; int type, memory; const int64_t *shape; uint64_t dims; const void *base; size_t size; int64_t id; void *userp;
  TRY(TRITONSERVER_InferenceResponseOutputCount(response, &outputs));
  TRY(TRITONSERVER_InferenceResponseParameterCount(response, &parameters));
  for (uint32_t i = 0; i < outputs; i++) {
    TRY(TRITONSERVER_InferenceResponseOutput(response, i, &name, &type, &shape, &dims, &base, &size, &memory, &id, &userp));
    if (userp != call || memory) call->wrong = "the buffer is not the allocator's";
    uint64_t elements = 1;
    for (uint64_t d = 0; d < dims; d++) elements *= (uint64_t)shape[d];
    if (type != 8 || i > 0) continue;
    if (size != elements * 4) call->wrong = "an output's size is not that of its shape";
    call->last_size = size < sizeof call->last ? size : sizeof call->last;
    if (size) memcpy(call->last, base, call->last_size);
    if (size >= 4) call->sum += call->last[0];
  }
  return NULL;
}

static void responded(H response, uint32_t flags, void *userp) {
  Call *call = userp;
  if (response) {
    E error = read_response(call, response);
    if (error) { call->wrong = "a response could not be read"; keep(call, error); }
    if (TRITONSERVER_InferenceResponseDelete(response)) call->wrong = "a response could not be deleted";
  }
  pthread_mutex_lock(&call->lock);
  if (call->finals || call->releases) call->wrong = "a response came behind the last, or behind the release";
  call->responses += response != NULL;
  call->finals += flags & 1;
  pthread_cond_broadcast(&call->changed);
  while (call->blocks && !(flags & 1)) pthread_cond_wait(&call->changed, &call->lock);
  pthread_mutex_unlock(&call->lock);
}

static void released(H request, uint32_t flags, void *userp) {
  Call *call = userp;
  if (request != call->request || flags != 1) call->wrong = "another request was released";
  if (TRITONSERVER_InferenceRequestDelete(request)) call->wrong = "a released request could not be deleted";
  pthread_mutex_lock(&call->lock);
  call->releases++;
  pthread_cond_broadcast(&call->changed);
  pthread_mutex_unlock(&call->lock);
}

typedef struct { H allocator; } Backend;

static E begin(Call *call, H allocator, H server, S target, S name, const int32_t *numbers, int64_t count, bool batched) {
  pthread_mutex_init(&call->lock, NULL);
  pthread_cond_init(&call->changed, NULL);
  bool ready; uint32_t flags;
  TRY(TRITONSERVER_ServerModelIsReady(server, target, -1, &ready));
  E properties = TRITONSERVER_ServerModelTransactionProperties(server, target, -1, &flags, NULL);
  if (!ready != !!properties) call->wrong = "what is ready has properties, and nothing else";
  if (properties) return properties;
  TRY(TRITONSERVER_InferenceRequestNew(&call->request, server, target, -1));
  H r = call->request;
  int64_t shape[2] = {batched ? 1 : count, count};
  TRY(TRITONSERVER_InferenceRequestSetId(r, "called"));
  TRY(TRITONSERVER_InferenceRequestSetStringParameter(r, "text", "there"));
  TRY(TRITONSERVER_InferenceRequestSetIntParameter(r, "number", 7));
  TRY(TRITONSERVER_InferenceRequestSetBoolParameter(r, "yes", true));
  TRY(TRITONSERVER_InferenceRequestAddInput(r, name, 8, shape, batched ? 2 : 1));
  size_t half = (size_t)count / 2 * 4;
  /* In two pieces, of which the first may be empty. */
  TRY(TRITONSERVER_InferenceRequestAppendInputData(r, name, numbers, half, 0, 0));
  TRY(TRITONSERVER_InferenceRequestAppendInputData(r, name, (const char *)numbers + half, (size_t)count * 4 - half, 0, 0));
  TRY(TRITONSERVER_InferenceRequestSetReleaseCallback(r, released, call));
  return TRITONSERVER_InferenceRequestSetResponseCallback(r, allocator, call, responded, call);
}

static void wait_for(Call *call, int *what, int count) {
  pthread_mutex_lock(&call->lock);
  while (*what < count) pthread_cond_wait(&call->changed, &call->lock);
  pthread_mutex_unlock(&call->lock);
}

/* A child of the request's trace, if there is one. */
static E traced(H request, H *child) {
  H trace; S context;
  TRY(TRITONBACKEND_RequestTrace(request, &trace));
  TRY(TRITONSERVER_InferenceTraceContext(trace, &context));
  TRY(TRITONSERVER_InferenceTraceReportActivity(trace, 1, "before"));
  return TRITONSERVER_InferenceTraceSpawnChildTrace(trace, child);
}

static E finish(Call *call) {
  wait_for(call, &call->releases, 1);
  if (call->wrong) return TRITONSERVER_ErrorNew(INTERNAL, call->wrong);
  if (call->finals != 1 || call->releases != 1) return TRITONSERVER_ErrorNew(INTERNAL, "not one end and one release");
  if (call->allocated != call->given_back) return TRITONSERVER_ErrorNew(INTERNAL, "a buffer was not given back");
  return NULL;
}

#include "caller_hostile.h"

static E run(S how, S target, H request, H server, H allocator, const int32_t *numbers, int64_t count, int32_t *out, int64_t *out_count) {
  Call call; H child = NULL;
  memset(&call, 0, sizeof call);
  *out_count = 0;
  if (!strcmp(how, "load")) {
    S config = "{\"backend\":\"identity\",\"max_batch_size\":8,"
               "\"input\":[{\"name\":\"INPUT0\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]}],"
               "\"output\":[{\"name\":\"OUTPUT0\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]}]}";
    H parameters[2] = {TRITONSERVER_ParameterNew("config", 0, config), TRITONSERVER_ParameterBytesNew("file:1/model", "x", 1)};
    E error = TRITONSERVER_ServerLoadModelWithParameters(server, target, parameters, 2);
    TRITONSERVER_ParameterDelete(parameters[0]);
    TRITONSERVER_ParameterDelete(parameters[1]);
    return error;
  }
  if (!strcmp(how, "unload")) return TRITONSERVER_ServerUnloadModelAndDependents(server, target);
  if (!strcmp(how, "hostile")) return hostile(server, allocator, request, target, numbers, count);
  bool stream = !strncmp(how, "stream", 6);
  call.fails_to_allocate = !strcmp(how, "no_buffer");
  call.blocks = !strcmp(how, "stream_cancel") || !strcmp(how, "stream_block");
  E error = begin(&call, allocator, server, target, stream ? "IN" : "INPUT0", numbers, count, !stream);
  if (!error) error = traced(request, &child);
  if (!error) error = TRITONSERVER_ServerInferAsync(server, call.request, child);
  if (error) {
    TRITONSERVER_InferenceRequestDelete(call.request);
    return call.responses + call.releases ? TRITONSERVER_ErrorNew(INTERNAL, "called back after an error") : error;
  }
  if (call.blocks) {
    wait_for(&call, &call.responses, 1);
    if (!strcmp(how, "stream_cancel")) TRY(TRITONSERVER_InferenceRequestCancel(call.request));
    pthread_mutex_lock(&call.lock);
    if (call.responses != 1) call.wrong = "a response came before the one before it was taken";
    call.blocks = false;
    pthread_cond_broadcast(&call.changed);
    pthread_mutex_unlock(&call.lock);
  }
  TRY(finish(&call));
  if (call.message[0]) return TRITONSERVER_ErrorNew(call.code, call.message);
  if (stream) {
    out[0] = call.responses; out[1] = call.sum;
    *out_count = 2;
  } else {
    *out_count = (int64_t)(call.last_size / 4);
    memcpy(out, call.last, call.last_size);
  }
  return NULL;
}

static E text_parameter(H request, S name, S *value) {
  uint32_t count; S key; int type; const void *at;
  TRY(TRITONBACKEND_RequestParameterCount(request, &count));
  for (uint32_t i = 0; i < count; i++) {
    TRY(TRITONBACKEND_RequestParameter(request, i, &key, &type, &at));
    if (!strcmp(key, name)) *value = at;
  }
  return NULL;
}

static E answer(H model, H request, H response) {
  H server, input, output, backend; void *allocator; const void *chunk; uint64_t size = 0; int memory = 0; int64_t id = 0, count;
  S how = "once", target = "twin"; int32_t out[64], *buffer;
  TRY(text_parameter(request, "how", &how));
  TRY(text_parameter(request, "target", &target));
  TRY(TRITONBACKEND_ModelServer(model, &server));
  TRY(TRITONBACKEND_ModelBackend(model, &backend));
  TRY(TRITONBACKEND_BackendState(backend, &allocator));
  TRY(TRITONBACKEND_RequestInput(request, "IN", &input));
  TRY(TRITONBACKEND_InputBuffer(input, 0, &chunk, &size, &memory, &id));
  TRY(run(how, target, request, server, allocator, chunk, (int64_t)(size / 4), out, &count));
  int64_t shape[2] = {1, count};
  TRY(TRITONBACKEND_ResponseOutput(response, &output, "OUT", 8, shape, 2));
  TRY(TRITONBACKEND_OutputBuffer(output, (void **)&buffer, (uint64_t)count * 4, &memory, &id));
  if (count) memcpy(buffer, out, (size_t)count * 4);
  return NULL;
}

E TRITONBACKEND_Initialize(H backend) {
  H allocator;
  TRY(TRITONSERVER_ResponseAllocatorNew(&allocator, alloc, give_back, NULL));
  TRY(TRITONSERVER_ResponseAllocatorSetQueryFunction(allocator, query));
  return TRITONBACKEND_BackendSetState(backend, allocator);
}

E TRITONBACKEND_Finalize(H backend) {
  void *allocator;
  TRY(TRITONBACKEND_BackendState(backend, &allocator));
  return TRITONSERVER_ResponseAllocatorDelete(allocator);
}

E TRITONBACKEND_ModelInstanceExecute(H instance, H *requests, uint32_t count) {
  H model;
  TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
  for (uint32_t i = 0; i < count; i++) {
    H response;
    TRY(TRITONBACKEND_ResponseNew(&response, requests[i]));
    E error = answer(model, requests[i], response);
    E sent = TRITONBACKEND_ResponseSend(response, 1, error);
    if (error) TRITONSERVER_ErrorDelete(error);
    if (sent) TRITONSERVER_ErrorDelete(sent);
    E gone = TRITONBACKEND_RequestRelease(requests[i], 1);
    if (gone) TRITONSERVER_ErrorDelete(gone);
  }
  return NULL;
}
