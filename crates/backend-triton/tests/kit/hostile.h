/* Calls that break the rules of the interface. Each has to return an error of the given code and change nothing. */
#define REFUSED(code, call) do { E error_ = (call); wrong = __LINE__; \
  if (!error_) goto failed; \
  if (TRITONSERVER_ErrorCode(error_) != (code)) { TRITONSERVER_ErrorDelete(error_); goto failed; } \
  TRITONSERVER_ErrorDelete(error_); } while (0)

static E hostile(H instance, H model, H request, H response) {
  int wrong = 0, memory = 0; int64_t id = 0, shape[1] = {2}, total; H made = NULL, input, output, other; S text; size_t size;
  uint32_t count; bool is; void *buffer; const void *chunk; uint64_t number; char message[128]; const int64_t *dims;
  static int foreign;
  /* NULL for handles and places of results. */
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputCount(NULL, &count));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputCount(request, NULL));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestId(request, NULL));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseNew(NULL, request));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseOutput(response, NULL, "OUT", 8, shape, 1));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseOutput(response, &output, NULL, 8, shape, 1));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseOutput(response, &output, "OUT", 8, NULL, 1));
  REFUSED(INVALID_ARG, TRITONBACKEND_ModelName(NULL, &text));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInput(request, NULL, &input));
  /* Handles of other kinds, and what is no handle. */
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputCount(response, &count));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputCount(&foreign, &count));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputCount((H)(uintptr_t)-1, &count));
  REFUSED(INVALID_ARG, TRITONBACKEND_ModelInstanceModel(model, &made));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseSend(request, 1, NULL));
  REFUSED(INVALID_ARG, TRITONSERVER_MessageSerializeToJson(instance, &text, &size));
  /* Names, types, numbers and flags that there are not. */
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInput(request, "NONE", &input));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestInputByIndex(request, 9, &input));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestOutputName(request, 9, &text));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseOutput(response, &output, "NONE", 8, shape, 1));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseOutput(response, &output, "OUT", 99, shape, 1));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestRelease(request, 2));
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestRelease(request, 7));
  REFUSED(INVALID_ARG, TRITONBACKEND_StateNew(&made, request, "NONE", 8, shape, 1));
  REFUSED(INVALID_ARG, TRITONSERVER_MetricFamilyNew(&made, 9, "x", "x"));
  REFUSED(INVALID_ARG, TRITONSERVER_MetricFamilyNew(&made, 0, "no name", "x"));
  REFUSED(UNSUPPORTED, TRITONBACKEND_ModelConfig(model, 2, &made));
  /* At the wrong time. */
  TRITONSERVER_MessageNewFromSerializedJson(&made, "{}", 2);
  REFUSED(INVALID_ARG, TRITONBACKEND_ModelSetConfig(model, 1, made));
  TRITONSERVER_MessageDelete(made);
  REFUSED(INVALID_ARG, TRITONSERVER_MessageDelete(made));
  /* Stale handles. */
  if (TRITONBACKEND_ResponseNew(&other, request)) goto failed;
  if (TRITONBACKEND_ResponseOutput(other, &output, "OUT", 8, shape, 1)) goto failed;
  if (TRITONBACKEND_OutputBuffer(output, &buffer, 8, &memory, &id)) goto failed;
  REFUSED(ALREADY_EXISTS, TRITONBACKEND_OutputBuffer(output, &buffer, 8, &memory, &id));
  if (TRITONBACKEND_ResponseDelete(other)) goto failed;
  REFUSED(INVALID_ARG, TRITONBACKEND_OutputBuffer(output, &buffer, 8, &memory, &id));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseDelete(other));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseSend(other, 1, NULL));
  if (TRITONBACKEND_ResponseFactoryNew(&other, request) || TRITONBACKEND_ResponseFactoryDelete(other)) goto failed;
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseFactoryIsCancelled(other, &is));
  REFUSED(INVALID_ARG, TRITONBACKEND_ResponseFactorySendFlags(other, 1));
  E error = TRITONSERVER_ErrorNew(INTERNAL, "x");
  TRITONSERVER_ErrorDelete(error);
  TRITONSERVER_ErrorDelete(error);
  TRITONSERVER_ErrorDelete(&foreign);
  if (TRITONSERVER_ErrorCode(error) != UNKNOWN || TRITONSERVER_ErrorMessage(error)[0]) goto failed;
  REFUSED(INVALID_ARG, TRITONBACKEND_RequestCorrelationIdString(request, &text));
  /* A buffer behind the last one is no error. */
  if (TRITONBACKEND_RequestInputByIndex(request, 0, &input)) goto failed;
  if (TRITONBACKEND_InputBuffer(input, 99, &chunk, &number, &memory, &id) || chunk || number) goto failed;
  if (TRITONBACKEND_InputProperties(input, NULL, NULL, &dims, NULL, NULL, NULL) || dims[0] != 1) goto failed;
  return echo(request, response, &total);
failed:
  snprintf(message, sizeof message, "not refused as expected: line %d of hostile.h", wrong);
  return TRITONSERVER_ErrorNew(INTERNAL, message);
}
