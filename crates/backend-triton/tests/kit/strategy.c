/* A batch strategy for tests: all requests of a batch begin with the same number. */
#include "triton.h"

struct batch { H batcher; bool begun; int32_t number; };

E TRITONBACKEND_ModelBatcherInitialize(void **batcher, H model) {
  S name;
  TRY(TRITONBACKEND_ModelName(model, &name));
  *batcher = strdup(name);
  return NULL;
}

E TRITONBACKEND_ModelBatcherFinalize(void *batcher) { free(batcher); return NULL; }

E TRITONBACKEND_ModelBatchInitialize(const void *batcher, void **userp) {
  struct batch *batch = calloc(1, sizeof *batch);
  batch->batcher = (H)batcher;
  *userp = batch;
  return NULL;
}

E TRITONBACKEND_ModelBatchIncludeRequest(H request, void *userp, bool *include) {
  struct batch *batch = userp;
  H input, response; const void *chunk; uint64_t size; int memory; int64_t id; int32_t number;
  uint32_t outputs;
  TRY(TRITONBACKEND_RequestOutputCount(request, &outputs));
  TRY(TRITONBACKEND_RequestInput(request, "IN", &input));
  TRY(TRITONBACKEND_InputBuffer(input, 0, &chunk, &size, &memory, &id));
  memcpy(&number, chunk, sizeof number);
  *include = outputs == 1 && (!batch->begun || number == batch->number);
  if (!batch->begun) { batch->begun = true; batch->number = number; }
  /* It cannot answer, though nobody keeps it from trying. */
  TRY(TRITONBACKEND_ResponseNew(&response, request));
  return TRITONBACKEND_ResponseSend(response, 1, NULL);
}

E TRITONBACKEND_ModelBatchFinalize(void *userp) { free(userp); return NULL; }
