/* Exceptions of C++, thrown by C: with the functions that a compiler of C++ would call. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>

/* A `std::runtime_error` of that text, or a number of type `int` without one. */
static inline void throw_exception(const char *text) {
  void *cpp = dlopen("libstdc++.so.6", RTLD_NOW);
  if (!cpp) abort();
  void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(cpp, "__cxa_allocate_exception");
  void (*construct)(void *, const char *) = (void (*)(void *, const char *))dlsym(cpp, "_ZNSt13runtime_errorC1EPKc");
  void (*destroy)(void *) = (void (*)(void *))dlsym(cpp, "_ZNSt13runtime_errorD1Ev");
  void (*throw_it)(void *, void *, void (*)(void *)) = (void (*)(void *, void *, void (*)(void *)))dlsym(cpp, "__cxa_throw");
  void *object = allocate(2 * sizeof(void *));
  if (text) {
    construct(object, text);
    throw_it(object, dlsym(cpp, "_ZTISt13runtime_error"), destroy);
  }
  *(int *)object = 7;
  throw_it(object, dlsym(cpp, "_ZTIi"), NULL);
}
