/* Calls about in-process requests that break the rules. Each has to return an error of the given code and change nothing. */
#define REFUSED(code, call_) do { E error_ = (call_); wrong = __LINE__; \
  if (!error_) goto failed; \
  if (TRITONSERVER_ErrorCode(error_) != (code)) { TRITONSERVER_ErrorDelete(error_); goto failed; } \
  TRITONSERVER_ErrorDelete(error_); } while (0)
#define DONE(call_) do { wrong = __LINE__; if (call_) goto failed; } while (0)

static E hostile(H server, H allocator, H request, S target, const int32_t *numbers, int64_t count) {
  int wrong = 0; H r, other, made; bool ready; uint32_t flags; char message[128]; int64_t shape[2] = {1, count}; S text;
  const void *base; size_t size; int type; int64_t id; uint64_t dims; const int64_t *of; void *userp; static int foreign;
  size_t bytes = (size_t)count * 4;
  Call call;
  memset(&call, 0, sizeof call);
  pthread_mutex_init(&call.lock, NULL);
  pthread_cond_init(&call.changed, NULL);
  /* NULL, foreign and wrong handles. */
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelIsReady(NULL, target, -1, &ready));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelIsReady(request, target, -1, &ready));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelIsReady(server, NULL, -1, &ready));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelIsReady(server, target, -2, &ready));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelIsReady(server, target, -1, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerModelTransactionProperties(server, target, -1, NULL, NULL));
  REFUSED(NOT_FOUND, TRITONSERVER_ServerModelTransactionProperties(server, "nobody", -1, &flags, NULL));
  REFUSED(NOT_FOUND, TRITONSERVER_InferenceRequestNew(&r, server, "nobody", -1));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestNew(NULL, server, target, -1));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestNew(&r, &foreign, target, -1));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, NULL, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_ResponseAllocatorNew(&made, NULL, give_back, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_ResponseAllocatorNew(&made, alloc, NULL, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_ResponseAllocatorNew(NULL, alloc, give_back, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceResponseError(NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceResponseOutputCount(request, &flags));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerLoadModelWithParameters(server, target, NULL, 1));
  made = TRITONSERVER_ParameterNew("other", 0, "x");
  REFUSED(INVALID_ARG, TRITONSERVER_ServerLoadModelWithParameters(server, target, &made, 1));
  TRITONSERVER_ParameterDelete(made);
  made = TRITONSERVER_ParameterNew("file:1/model", 0, "x");
  REFUSED(INVALID_ARG, TRITONSERVER_ServerLoadModelWithParameters(server, target, &made, 1));
  TRITONSERVER_ParameterDelete(made);
  REFUSED(INVALID_ARG, TRITONSERVER_ServerUnloadModel(server, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceTraceSpawnChildTrace(request, &made));
  DONE(TRITONSERVER_InferenceTraceSpawnChildTrace(NULL, &made));
  if (made) goto failed;
  DONE(TRITONSERVER_InferenceRequestDelete(NULL));
  DONE(TRITONSERVER_InferenceResponseDelete(NULL));
  /* A request that is not finished. */
  DONE(TRITONSERVER_InferenceRequestNew(&r, server, target, -1));
  call.request = r;
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestCancel(r));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetReleaseCallback(r, NULL, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetResponseCallback(r, allocator, NULL, NULL, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetResponseCallback(r, NULL, NULL, responded, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetId(r, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetStringParameter(r, NULL, "x"));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetStringParameter(r, "x", NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAddInput(r, "INPUT0", 0, shape, 2));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAddInput(r, "INPUT0", 8, NULL, 2));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAddInput(r, "INPUT0", 8, shape, UINT64_MAX));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", numbers, bytes, 0, 0));
  DONE(TRITONSERVER_InferenceRequestAddInput(r, "INPUT0", 8, shape, 2));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAddInput(r, "INPUT0", 8, shape, 2));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", NULL, bytes, 0, 0));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", numbers, SIZE_MAX, 0, 0));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", numbers, bytes, 9, 0));
  REFUSED(UNSUPPORTED, TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", numbers, bytes, 2, 0));
  DONE(TRITONSERVER_InferenceRequestSetReleaseCallback(r, released, &call));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, NULL));
  DONE(TRITONSERVER_InferenceRequestSetResponseCallback(r, allocator, &call, responded, &call));
  /* What the model refuses: nobody is called back, and the request stays the caller's. */
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, &foreign));
  DONE(TRITONSERVER_InferenceRequestAppendInputData(r, "INPUT0", numbers, bytes, 0, 0));
  DONE(TRITONSERVER_InferenceRequestAddRequestedOutput(r, "NONE"));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, NULL));
  if (call.responses || call.releases) goto failed;
  DONE(TRITONSERVER_InferenceRequestDelete(r));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestDelete(r));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetId(r, "x"));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, r, NULL));
  /* A request that is executed may only be cancelled; its allocator may be deleted. */
  DONE(TRITONSERVER_ResponseAllocatorNew(&other, alloc, give_back, NULL));
  DONE(begin(&call, other, server, target, "INPUT0", numbers, count, true));
  call.blocks = false;
  pthread_mutex_lock(&call.lock);
  DONE(TRITONSERVER_ServerInferAsync(server, call.request, NULL));
  /* The callback is held back by the lock. */
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestDelete(call.request));
  REFUSED(INVALID_ARG, TRITONSERVER_ServerInferAsync(server, call.request, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestSetFlags(call.request, 1));
  DONE(TRITONSERVER_ResponseAllocatorDelete(other));
  REFUSED(INVALID_ARG, TRITONSERVER_ResponseAllocatorDelete(other));
  pthread_mutex_unlock(&call.lock);
  DONE(finish(&call));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceRequestCancel(call.request));
  REFUSED(INVALID_ARG, TRITONSERVER_InferenceResponseOutput(request, 0, &text, &type, &of, &dims, &base, &size, &type, &id, &userp));
  return NULL;
failed:
  snprintf(message, sizeof message, "not as expected: line %d of caller_hostile.h", wrong);
  return TRITONSERVER_ErrorNew(INTERNAL, message);
}
