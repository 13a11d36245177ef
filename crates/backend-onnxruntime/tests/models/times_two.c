/* A library of one custom operator, "TimesTwo" of the domain "test": y = 2 * x, of floats.
 *
 * It is compiled by a test, without the engine's header: the table of functions is a list of pointers, in which the compiler
 * is told the places (-DPLACE_NAME=N). */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *const *(*table)(uint32_t version);
    const char *(*version)(void);
} Base;

typedef void *Status;

static const void *const *engine;

#define CALL(place, type) ((type)engine[place])
#define TRY(call)                  \
    do {                           \
        Status status = (call);    \
        if (status) return status; \
    } while (0)

/* The description of an operator, of which interface 12 has the named part. */
typedef struct {
    uint32_t version;
    void *(*create)(const void *, const void *, const void *);
    const char *(*name)(const void *);
    const char *(*provider)(const void *);
    int (*input_type)(const void *, size_t);
    size_t (*input_count)(const void *);
    int (*output_type)(const void *, size_t);
    size_t (*output_count)(const void *);
    void (*compute)(void *, void *);
    void (*destroy)(void *);
    int (*input_is)(const void *, size_t);
    int (*output_is)(const void *, size_t);
    void *later[16];
} Operator;

static int kernel;

static void *create(const void *self, const void *api, const void *info) {
    (void)self, (void)api, (void)info;
    return &kernel;
}
static const char *name(const void *self) {
    (void)self;
    return "TimesTwo";
}
static const char *provider(const void *self) {
    (void)self;
    return 0;
}
static int type(const void *self, size_t index) {
    (void)self, (void)index;
    return 1; /* float */
}
static size_t one(const void *self) {
    (void)self;
    return 1;
}
static int required(const void *self, size_t index) {
    (void)self, (void)index;
    return 0;
}
static void destroy(void *self) { (void)self; }

static Status twice(void *context) {
    const void *x;
    void *y, *shape;
    float *from, *to;
    size_t rank, count;
    int64_t dims[8];
    TRY(CALL(PLACE_INPUT, Status(*)(void *, size_t, const void **))(context, 0, &x));
    TRY(CALL(PLACE_SHAPE, Status(*)(const void *, void **))(x, &shape));
    TRY(CALL(PLACE_RANK, Status(*)(const void *, size_t *))(shape, &rank));
    if (rank > 8) return 0;
    TRY(CALL(PLACE_DIMS, Status(*)(const void *, int64_t *, size_t))(shape, dims, rank));
    TRY(CALL(PLACE_COUNT, Status(*)(const void *, size_t *))(shape, &count));
    TRY(CALL(PLACE_OUTPUT, Status(*)(void *, size_t, const int64_t *, size_t, void **))(context, 0, dims, rank, &y));
    TRY(CALL(PLACE_DATA, Status(*)(void *, void **))((void *)x, (void **)&from));
    TRY(CALL(PLACE_DATA, Status(*)(void *, void **))(y, (void **)&to));
    for (size_t i = 0; i < count; i++) to[i] = 2 * from[i];
    CALL(PLACE_RELEASE_SHAPE, void (*)(void *))(shape);
    return 0;
}

static void compute(void *self, void *context) {
    (void)self;
    twice(context);
}

static const Operator times_two = {12,   create, name, provider, type,     one,      type,
                                   one,  compute, destroy, required, required, {0}};

Status RegisterCustomOps(void *options, const Base *base) {
    void *domain;
    engine = base->table(12);
    TRY(CALL(PLACE_DOMAIN, Status(*)(const char *, void **))("test", &domain));
    TRY(CALL(PLACE_ADD, Status(*)(void *, const void *))(domain, &times_two));
    return CALL(PLACE_ADD_DOMAIN, Status(*)(void *, void *))(options, domain);
}
