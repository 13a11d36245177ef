/* A backend that is refused where it does not get the library beside it, libonnxruntime.so.1, whose version is 2. With -DVERSION=N
 * this file is that library instead. */
#ifdef VERSION
int namesake_version(void) { return VERSION; }
#else
#include "triton.h"

int namesake_version(void);

E TRITONBACKEND_Initialize(H backend) {
    char text[64];
    (void)backend;
    if (namesake_version() == 2) return NULL;
    snprintf(text, sizeof text, "it got version %d", namesake_version());
    return TRITONSERVER_ErrorNew(INTERNAL, text);
}

E TRITONBACKEND_ModelInstanceExecute(H instance, H *requests, uint32_t count) {
    (void)instance, (void)requests, (void)count;
    return TRITONSERVER_ErrorNew(INTERNAL, "it only loads");
}
#endif
