/* A backend for tests: a model's parameter `mode` says what it does. It notes the calls that it gets in a file. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "throw.h"
#include "triton.h"

static char events[4096];

static void note(S call, S name) {
  FILE *file = events[0] ? fopen(events, "a") : NULL;
  if (file) { fprintf(file, "%s %s\n", call, name); fclose(file); }
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool says(H model, S what) {
  H message; S text; size_t size;
  if (TRITONBACKEND_ModelConfig(model, 1, &message)) return false;
  TRITONSERVER_MessageSerializeToJson(message, &text, &size);
  char part[128];
  snprintf(part, sizeof part, "\"string_value\":\"%s\"", what);
  bool found = strlen(text) == size && strstr(text, part);
  TRITONSERVER_MessageDelete(message);
  return found;
}

E TRITONBACKEND_Initialize(H backend) {
  uint32_t major, minor;
  TRY(TRITONBACKEND_ApiVersion(&major, &minor));
  if (major != 1 || minor < 19) return TRITONSERVER_ErrorNew(UNSUPPORTED, "another version");
  H config; S text; size_t size;
  TRY(TRITONBACKEND_BackendConfig(backend, &config));
  TRY(TRITONSERVER_MessageSerializeToJson(config, &text, &size));
  S at = strstr(text, "\"events\":\"");
  if (at) sscanf(at + 10, "%4095[^\"]", events);
  S name;
  TRY(TRITONBACKEND_BackendName(backend, &name));
  note("Initialize", name);
  return strstr(text, "\"fails\"") ? TRITONSERVER_ErrorNew(UNAVAILABLE, "told to fail") : NULL;
}

E TRITONBACKEND_Finalize(H backend) { (void)backend; note("Finalize", "-"); return NULL; }

E TRITONBACKEND_GetBackendAttribute(H backend, H attribute) {
  (void)backend;
  return TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(attribute, true);
}

E TRITONBACKEND_ModelInitialize(H model) {
  S name; bool completes;
  TRY(TRITONBACKEND_ModelName(model, &name));
  TRY(TRITONBACKEND_ModelAutoCompleteConfig(model, &completes));
  note(completes ? "ModelInitialize(completes)" : "ModelInitialize", name);
  if (says(model, "throw_model")) throw_exception("thrown by the model");
  if (says(model, "fail_model")) return TRITONSERVER_ErrorNew(INVALID_ARG, "the model is told to fail");
  if (completes && says(model, "complete")) {
    S set = "{\"max_batch_size\":4,\"input\":[{\"name\":\"IN\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]}],"
            "\"output\":[{\"name\":\"OUT\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]}]}";
    H message;
    TRY(TRITONSERVER_MessageNewFromSerializedJson(&message, set, strlen(set)));
    E error = TRITONBACKEND_ModelSetConfig(model, 1, message);
    TRITONSERVER_MessageDelete(message);
    return error;
  }
  return NULL;
}

E TRITONBACKEND_ModelFinalize(H model) { S name; TRITONBACKEND_ModelName(model, &name); note("ModelFinalize", name); return NULL; }

E TRITONBACKEND_ModelInstanceInitialize(H instance) {
  S name; H model;
  TRY(TRITONBACKEND_ModelInstanceName(instance, &name));
  note("InstanceInitialize", name);
  TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
  if (says(model, "policy")) {
    H policy; S text; size_t size;
    TRY(TRITONBACKEND_ModelInstanceHostPolicy(instance, &policy));
    TRY(TRITONSERVER_MessageSerializeToJson(policy, &text, &size));
    note("HostPolicy", text);
  }
  if (says(model, "throw_instance")) throw_exception("thrown by the instance");
  return says(model, "fail_instance") ? TRITONSERVER_ErrorNew(UNAVAILABLE, "the instance is told to fail") : NULL;
}

E TRITONBACKEND_ModelInstanceFinalize(H instance) {
  S name; H model;
  TRITONBACKEND_ModelInstanceName(instance, &name);
  note("InstanceFinalize", name);
  TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
  if (says(model, "throw_finalize")) throw_exception("thrown by the finalization");
  return NULL;
}

/* Copies the first input, in all its buffers, to the output of the response. */
static E echo(H request, H response, int64_t *total) {
  H input, output; int type, memory = 0; const int64_t *shape; uint32_t dims, chunks; uint64_t size, part; int64_t id = 0;
  TRY(TRITONBACKEND_RequestInputByIndex(request, 0, &input));
  TRY(TRITONBACKEND_InputProperties(input, NULL, &type, &shape, &dims, &size, &chunks));
  TRY(TRITONBACKEND_ResponseOutput(response, &output, "OUT", type, shape, dims));
  char *buffer; const void *chunk; uint64_t at = 0;
  TRY(TRITONBACKEND_OutputBuffer(output, (void **)&buffer, size, &memory, &id));
  for (uint32_t i = 0; i < chunks; i++, at += part) {
    TRY(TRITONBACKEND_InputBuffer(input, i, &chunk, &part, &memory, &id));
    memcpy(buffer + at, chunk, part);
  }
  *total = 0;
  for (uint64_t i = 0; type == 8 && i < size / 4; i++) *total += ((int32_t *)buffer)[i];
  return NULL;
}

/* One number for an output or a state. */
static E number(H owner, bool is_state, S name, int32_t value) {
  H made; int32_t *buffer; int memory = 0; int64_t id = 0, shape[2] = {1, 1};
  if (is_state) {
    TRY(TRITONBACKEND_StateNew(&made, owner, name, 8, shape, 2));
    /* First of another size, which its attributes do not go on to say. */
    for (size_t size = 8, said = 0; size >= 4; size -= 4) {
      H attributes;
      TRY(TRITONBACKEND_StateBuffer(made, (void **)&buffer, size, &memory, &id));
      TRY(TRITONBACKEND_StateBufferAttributes(made, &attributes));
      TRY(TRITONSERVER_BufferAttributesByteSize(attributes, &said));
      if (said != size) return TRITONSERVER_ErrorNew(INTERNAL, "the attributes of a state's buffer say another size");
    }
    *buffer = value;
    return TRITONBACKEND_StateUpdate(made);
  }
  TRY(TRITONBACKEND_ResponseOutput(owner, &made, name, 8, shape, 2));
  TRY(TRITONBACKEND_OutputBuffer(made, (void **)&buffer, 4, &memory, &id));
  *buffer = value;
  return NULL;
}

static E first_number(H request, S name, int32_t *value) {
  H input; const void *chunk; uint64_t size; int memory; int64_t id;
  TRY(TRITONBACKEND_RequestInput(request, name, &input));
  TRY(TRITONBACKEND_InputBuffer(input, 0, &chunk, &size, &memory, &id));
  if (size >= 4) memcpy(value, chunk, 4);
  return NULL;
}

#include "hostile.h"

/* Answers a request and gives it back. */
static E answer(H instance, H model, H request) {
  uint64_t t0 = now();
  H response; E error; int64_t total = 0;
  TRY(TRITONBACKEND_ResponseNew(&response, request));
  if (says(model, "state")) {
    int32_t value = 0, sum = 0;
    error = first_number(request, "IN", &value);
    if (!error) error = first_number(request, "SUM_IN", &sum);
    if (!error) error = number(request, true, "SUM_OUT", sum + value);
    if (!error) error = number(response, false, "OUT", sum + value);
  } else if (says(model, "retyped")) {
    /* INT64, whatever the config says. */
    H output; int64_t *buffer, id = 0, shape[2] = {1, 1}; int32_t value = 0; int memory = 0;
    error = first_number(request, "IN", &value);
    if (!error) error = TRITONBACKEND_ResponseOutput(response, &output, "OUT", 9, shape, 2);
    if (!error) error = TRITONBACKEND_OutputBuffer(output, (void **)&buffer, 8, &memory, &id);
    if (!error) *buffer = value * (1ll << 32);
  } else if (says(model, "hostile")) {
    error = hostile(instance, model, request, response);
  } else {
    error = echo(request, response, &total);
  }
  if (!error && says(model, "error_response")) error = TRITONSERVER_ErrorNew(CANCELLED + 0 * total, "stopped");
  if (says(model, "silent")) TRITONBACKEND_ResponseDelete(response);
  else TRY(TRITONBACKEND_ResponseSend(response, 1, error));
  if (error) TRITONSERVER_ErrorDelete(error);
  uint64_t t1 = now();
  TRY(TRITONBACKEND_ModelInstanceReportStatistics(instance, request, !error, t0, t0 + 1000, t1, t1));
  return TRITONBACKEND_RequestRelease(request, 1);
}

struct later { H instance, model; uint32_t count; H handles[64]; };

static void *answer_later(void *argument) {
  struct later *later = argument;
  usleep(2000);
  for (uint32_t i = 0; i < later->count; i++) answer(later->instance, later->model, later->handles[i]);
  free(later);
  return NULL;
}

struct stream { H factory, instance; int32_t count; };

/* Of a response that was sent, or, without a time at which its output began, of one that had nothing to send. */
static void report_response(struct stream *stream, uint64_t start, uint64_t output_start) {
  H statistics;
  TRITONBACKEND_ModelInstanceResponseStatisticsNew(&statistics);
  TRITONBACKEND_ModelInstanceResponseStatisticsSetModelInstance(statistics, stream->instance);
  TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseFactory(statistics, stream->factory);
  TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseStart(statistics, start);
  TRITONBACKEND_ModelInstanceResponseStatisticsSetComputeOutputStart(statistics, output_start);
  TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseEnd(statistics, now());
  TRITONBACKEND_ModelInstanceReportResponseStatistics(statistics);
  TRITONBACKEND_ModelInstanceResponseStatisticsDelete(statistics);
}

static void *send_stream(void *argument) {
  struct stream *stream = argument;
  for (int32_t i = 0; i < stream->count; i++) {
    H response;
    bool cancelled = false;
    TRITONBACKEND_ResponseFactoryIsCancelled(stream->factory, &cancelled);
    if (cancelled) break;
    TRITONBACKEND_ResponseNewFromFactory(&response, stream->factory);
    uint64_t start = now();
    number(response, false, "OUT", i);
    TRITONBACKEND_ResponseSend(response, 0, NULL);
    report_response(stream, start, start);
  }
  report_response(stream, now(), 0);
  TRITONBACKEND_ResponseFactorySendFlags(stream->factory, 1);
  TRITONBACKEND_ResponseFactoryDelete(stream->factory);
  free(stream);
  return NULL;
}

E TRITONBACKEND_ModelInstanceExecute(H instance, H *requests, uint32_t count) {
  H model; pthread_t thread;
  uint64_t t0 = now();
  TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
  uint64_t rows = 0;
  for (uint32_t i = 0; i < count; i++) {
    H input; const int64_t *shape; uint32_t dims; int32_t first = 0;
    TRY(TRITONBACKEND_RequestInputByIndex(requests[i], 0, &input));
    TRY(TRITONBACKEND_InputProperties(input, NULL, NULL, &shape, &dims, NULL, NULL));
    rows += dims > 1 ? shape[0] : 1;
    TRY(first_number(requests[i], "IN", &first));
    if (first == -667) throw_exception("thrown by the execution");
    if (first == -668) throw_exception(NULL);
    if (first == -666) return TRITONSERVER_ErrorNew(INTERNAL, "the number of the beast");
  }
  if (says(model, "fail_execute")) return TRITONSERVER_ErrorNew(UNAVAILABLE, "told to fail");
  if (says(model, "count")) {
    H family, again, metric, label = TRITONSERVER_ParameterNew("mode", 0, "count");
    TRY(TRITONSERVER_MetricFamilyNew(&family, 0, "probe_requests_total", "Requests of the probe"));
    TRY(TRITONSERVER_MetricFamilyNew(&again, 0, "probe_requests_total", "Requests of the probe"));
    TRY(TRITONSERVER_MetricNew(&metric, family, &label, 1));
    TRY(TRITONSERVER_MetricIncrement(metric, count));
    TRITONSERVER_ParameterDelete(label);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (says(model, "deferred")) {
      struct later *later = malloc(sizeof *later);
      *later = (struct later){instance, model, 1, {requests[i]}};
      pthread_create(&thread, NULL, answer_later, later);
      pthread_detach(thread);
    } else if (says(model, "stream")) {
      struct stream *stream = malloc(sizeof *stream);
      *stream = (struct stream){NULL, instance, 0};
      TRY(first_number(requests[i], "IN", &stream->count));
      TRY(TRITONBACKEND_ResponseFactoryNew(&stream->factory, requests[i]));
      TRY(TRITONBACKEND_RequestRelease(requests[i], 1));
      pthread_create(&thread, NULL, send_stream, stream);
      pthread_detach(thread);
    } else if (says(model, "again")) {
      H response; int32_t left = 0;
      TRY(first_number(requests[i], "SUM_IN", &left));
      if (left < 3) {
        TRY(number(requests[i], true, "SUM_OUT", left + 1));
        TRY(TRITONBACKEND_RequestRelease(requests[i], 2));
      } else {
        TRY(TRITONBACKEND_ResponseNew(&response, requests[i]));
        TRY(number(response, false, "OUT", left));
        TRY(TRITONBACKEND_ResponseSend(response, 1, NULL));
        TRY(TRITONBACKEND_RequestRelease(requests[i], 1));
      }
    } else {
      E error = answer(instance, model, requests[i]);
      if (error) TRITONSERVER_ErrorDelete(error);
    }
  }
  return TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, rows, t0, t0, now(), now());
}
