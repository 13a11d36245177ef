/* Stands for the Python backend: each initialization starts a process, and waits for a word of it that does not come while there is a
 * file `hang_KIND` in the backend's folder. It notes the calls that it gets, as probe.c does, and the processes that it starts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "triton.h"

static char events[4096], prefix[256], folder[4096];
static sem_t woken, never;

static void note(S call, S name) {
  FILE *file = fopen(events, "a");
  if (file) { fprintf(file, "%s %s\n", call, name); fclose(file); }
}

static void setting(S text, S key, char *value, size_t size) {
  char named[64];
  snprintf(named, sizeof named, "\"%s\":\"", key);
  S at = strstr(text, named);
  if (!at) return;
  at += strlen(named);
  S end = strchr(at, '"');
  snprintf(value, size, "%.*s", (int)(end - at), at);
}

E TRITONBACKEND_Initialize(H backend) {
  H config; S text; size_t size; int kind; S where;
  TRY(TRITONBACKEND_BackendConfig(backend, &config));
  TRY(TRITONSERVER_MessageSerializeToJson(config, &text, &size));
  setting(text, "events", events, sizeof events);
  setting(text, "shm-region-prefix-name", prefix, sizeof prefix);
  TRY(TRITONBACKEND_BackendArtifacts(backend, &kind, &where));
  snprintf(folder, sizeof folder, "%s", where);
  /* The real one is in C++. */
  dlopen("libstdc++.so.6", RTLD_NOW);
  if (sem_init(&woken, 0, 0) || sem_init(&never, 0, 0)) abort();
  return NULL;
}

E TRITONBACKEND_Finalize(H backend) { (void)backend; note("Finalize", "-"); return NULL; }

E TRITONBACKEND_GetBackendAttribute(H backend, H attribute) {
  (void)backend;
  return TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(attribute, true);
}

/* Waits while the file is there. */
static void hang(S kind) {
  char path[4200];
  snprintf(path, sizeof path, "%s/hang_%s", folder, kind);
  while (access(path, F_OK) == 0) usleep(2000);
}

/* Waits for a semaphore that nobody posts, if the file is there: again and again, whatever error comes, as the real one does. */
static void wait_for_ever(S kind) {
  char path[4200];
  snprintf(path, sizeof path, "%s/wait_%s", folder, kind);
  if (access(path, F_OK)) return;
  while (sem_wait(&never)) usleep(2000);
  note("Woken", kind);
}

/* Ends as by an exception that nobody catches, if there is a file of that name; once if it is `once`. */
static void terminate(S name, bool once) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (once ? unlink(path) : access(path, F_OK)) return;
  void *library = dlopen("libstdc++.so.6", RTLD_NOW), *function = library ? dlsym(library, "_ZSt9terminatev") : NULL;
  note("Terminates", function ? "now" : "not");
  if (function) ((void (*)(void))function)();
}

struct stub { pid_t pid; char region[512]; pthread_t listener; bool ends; };

/* A process with the arguments of a stub, which executes when this returns, as a stub has said a first word by then. */
static struct stub *start(S kind, S name, S version_folder) {
  struct stub *stub = calloc(1, sizeof *stub);
  char model[4200], path[600], told[700];
  static int number;
  snprintf(model, sizeof model, "%s/model.py", version_folder);
  snprintf(stub->region, sizeof stub->region, "%s%d", prefix, __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED));
  snprintf(path, sizeof path, "/dev/shm/%s", stub->region);
  FILE *file = fopen(path, "w");
  if (file) fclose(file);
  int executes[2];
  if (pipe2(executes, O_CLOEXEC)) abort();
  stub->pid = fork();
  if (stub->pid == 0) {
    execlp("sh", "sh", "-c", "while :; do sleep 1; done", "stub", model, stub->region, name, NULL);
    _exit(1);
  }
  close(executes[1]);
  while (read(executes[0], model, 1) < 0) {}
  close(executes[0]);
  snprintf(told, sizeof told, "%d %s", stub->pid, stub->region);
  note(kind, told);
  return stub;
}

/* The thread that hears what a stub has to say. */
static void *listen_to(void *of) {
  struct stub *stub = of;
  while (!__atomic_load_n(&stub->ends, __ATOMIC_ACQUIRE)) {
    terminate("terminate_listener", true);
    usleep(2000);
  }
  return NULL;
}

static void stop(struct stub *stub) {
  char path[600];
  if (stub->listener) {
    __atomic_store_n(&stub->ends, true, __ATOMIC_RELEASE);
    pthread_join(stub->listener, NULL);
  }
  kill(stub->pid, 9);
  waitpid(stub->pid, NULL, 0);
  snprintf(path, sizeof path, "/dev/shm/%s", stub->region);
  unlink(path);
  free(stub);
}

E TRITONBACKEND_ModelInitialize(H model) {
  S name, repository; int kind; char version[4200];
  TRY(TRITONBACKEND_ModelName(model, &name));
  TRY(TRITONBACKEND_ModelRepository(model, &kind, &repository));
  note("ModelInitialize", name);
  snprintf(version, sizeof version, "%s/1", repository);
  struct stub *stub = start("CompletionStub", name, version);
  hang("model");
  wait_for_ever("model");
  stop(stub);
  return NULL;
}

E TRITONBACKEND_ModelFinalize(H model) { S name; TRITONBACKEND_ModelName(model, &name); note("ModelFinalize", name); return NULL; }

E TRITONBACKEND_ModelInstanceInitialize(H instance) {
  S name, repository; H model; int kind; char version[4200];
  TRY(TRITONBACKEND_ModelInstanceName(instance, &name));
  note("InstanceInitialize", name);
  TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
  TRY(TRITONBACKEND_ModelRepository(model, &kind, &repository));
  snprintf(version, sizeof version, "%s/1", repository);
  struct stub *stub = start("Stub", name, version);
  if (pthread_create(&stub->listener, NULL, listen_to, stub)) abort();
  TRY(TRITONBACKEND_ModelInstanceSetState(instance, stub));
  hang("instance");
  wait_for_ever("instance");
  return NULL;
}

E TRITONBACKEND_ModelInstanceFinalize(H instance) {
  S name; void *stub;
  TRITONBACKEND_ModelInstanceName(instance, &name);
  TRY(TRITONBACKEND_ModelInstanceState(instance, &stub));
  note("InstanceFinalize", name);
  hang("finalize");
  wait_for_ever("finalize");
  if (stub) stop(stub);
  terminate("terminate", false);
  note("InstanceFinalized", name);
  return NULL;
}

/* Not while there is a file `unready`. */
E TRITONBACKEND_ModelInstanceReady(H instance) {
  char path[4200];
  (void)instance;
  snprintf(path, sizeof path, "%s/unready", folder);
  note("Asked", "-");
  hang("ready");
  return access(path, F_OK) == 0 ? TRITONSERVER_ErrorNew(UNAVAILABLE, "told to be") : NULL;
}

/* Keeps requests without a word; answers them while there is no file `keep`. Posts and waits as if there was a process to wake. */
E TRITONBACKEND_ModelInstanceExecute(H instance, H *requests, uint32_t count) {
  char path[4200];
  struct timespec until;
  (void)instance;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 60;
  if (sem_post(&woken) || sem_timedwait(&woken, &until)) abort();
  snprintf(path, sizeof path, "%s/keep", folder);
  bool keeps = access(path, F_OK) == 0;
  for (uint32_t i = 0; i < count; i++) {
    H response, factory;
    if (keeps) {
      TRITONBACKEND_ResponseFactoryNew(&factory, requests[i]);
      note("Kept", "-");
      continue;
    }
    TRITONBACKEND_ResponseNew(&response, requests[i]);
    TRITONBACKEND_ResponseSend(response, 1, NULL);
    TRITONBACKEND_RequestRelease(requests[i], 1);
  }
  hang("execute");
  terminate("terminate_execute", true);
  return NULL;
}
