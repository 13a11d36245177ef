// The C interface between crates/backend-pytorch and PyTorch's C++ library. src/ffi/api.rs says the same in Rust.
//
// Rules:
// - No exception leaves a function: what fails returns a code of `hippocamp_torch_code`, and says why in `*fault`, a C string that the
//   caller frees by hippocamp_torch_free_text. `*fault` is only written on failure, and null if there was no memory for it.
// - Who gets an object by an `out` argument owns it, and frees it by the function named at its type.
// - Pointers in structures belong to the object that the structure was asked of, and live as long as it does.
// - A change of this file changes HIPPOCAMP_TORCH_INTERFACE.

#ifndef HIPPOCAMP_TORCH_SHIM_H
#define HIPPOCAMP_TORCH_SHIM_H

#include <stddef.h>
#include <stdint.h>

#define HIPPOCAMP_TORCH_INTERFACE 2u

// Of the memory of tensors, in bytes.
#define HIPPOCAMP_TORCH_ALIGNMENT 64u

#ifdef __cplusplus
extern "C" {
#endif

// Of all that is compiled, these functions alone can be seen from outside.
#pragma GCC visibility push(default)

enum hippocamp_torch_code {
    HIPPOCAMP_TORCH_OK = 0,
    // The model, or what it was given, is at fault.
    HIPPOCAMP_TORCH_FAILED = 1,
    HIPPOCAMP_TORCH_NO_MEMORY = 2,
};

// What an argument or a result of a model is.
enum hippocamp_torch_kind {
    HIPPOCAMP_TORCH_OTHER = 0,
    HIPPOCAMP_TORCH_TENSOR = 1,
    HIPPOCAMP_TORCH_STRINGS = 2,          // List[str]
    HIPPOCAMP_TORCH_TENSOR_DICT = 3,      // Dict[str, Tensor]
    HIPPOCAMP_TORCH_OPTIONAL_TENSOR = 4,  // Optional[Tensor]
    HIPPOCAMP_TORCH_INT = 5,
    HIPPOCAMP_TORCH_FLOAT = 6,
    HIPPOCAMP_TORCH_BOOL = 7,
    HIPPOCAMP_TORCH_TENSOR_LIST = 8,      // List[Tensor]
    HIPPOCAMP_TORCH_NONE = 9,
    HIPPOCAMP_TORCH_DEFAULT = 10,         // the model's own value for an argument that has one
};

typedef struct hippocamp_torch_model hippocamp_torch_model;      // hippocamp_torch_free_model
typedef struct hippocamp_torch_outputs hippocamp_torch_outputs;  // hippocamp_torch_free_outputs
typedef struct hippocamp_torch_tensor hippocamp_torch_tensor;    // hippocamp_torch_free_tensor

// What is known of a model when it is loaded.
typedef struct {
    size_t argument_count;
    size_t result_count;
    // Why runs depend on earlier ones, or null if they do not.
    const char *keeper;
    // Inputs are copied: the model may read them after a run has ended.
    uint8_t reads_later;
    // Some part is in training mode.
    uint8_t is_training;
    // The number of results is only known after a run.
    uint8_t results_vary;
} hippocamp_torch_facts;

// An argument of a model's function, or one of its results.
typedef struct {
    // Of a result: of its field in a named tuple, or null.
    const char *name;
    // In PyTorch's words.
    const char *type;
    int32_t kind;
    // The model has a value for it.
    uint8_t has_default;
    // The model may write to it.
    uint8_t is_written;
} hippocamp_torch_port;

typedef struct {
    const char *start;
    size_t size;
} hippocamp_torch_text;

// The value of an argument. The kinds TENSOR, STRINGS, INT, FLOAT, BOOL, NONE and DEFAULT can be given; there are as many as the
// model has arguments, or the entries of a dictionary, which are of the kind TENSOR.
typedef struct {
    int32_t kind;
    // PyTorch's number of the element type.
    int32_t element;
    const int64_t *shape;
    size_t rank;
    // Elements; of the other kinds one int64_t, double or byte. They have to stay until the run has returned and are read only.
    const void *data;
    size_t size;
    const hippocamp_torch_text *strings;
    size_t string_count;
    // The key, where the arguments are the entries of a dictionary.
    const char *key;
    // The model may write to it, or read it later: it gets a copy.
    uint8_t is_copied;
} hippocamp_torch_value;

typedef struct {
    // Threads within an operation.
    int32_t threads;
    uint8_t inference_mode;
    uint8_t optimized;
    // The values are the entries of the one argument.
    uint8_t as_dictionary;
} hippocamp_torch_run_options;

// A result: of the kind TENSOR, STRINGS, or any other that cannot be served.
typedef struct {
    int32_t kind;
    int32_t element;
    const int64_t *shape;
    size_t rank;
    const void *data;
    size_t size;
    const hippocamp_torch_text *strings;
    size_t string_count;
    // In PyTorch's words, of a result that cannot be served.
    const char *type;
    // Nothing else refers to its memory: it may be kept.
    uint8_t is_sole;
} hippocamp_torch_result;

// Called with what models print (level 0) and with PyTorch's warnings (1), on any thread. Must not unwind.
typedef void (*hippocamp_torch_listener)(int32_t level, const char *text, size_t size);

uint32_t hippocamp_torch_interface(void);
// The version that this was compiled for, and that number as the library's aoti_torch_abi_version returns it.
const char *hippocamp_torch_built_for(void);
uint64_t hippocamp_torch_built_for_abi(void);
uint64_t hippocamp_torch_library_abi(void);

void hippocamp_torch_listen(hippocamp_torch_listener listener);

// Where the memory of tensors comes from. Both are called on any thread, and must not unwind.
typedef struct {
    // Memory that is aligned to HIPPOCAMP_TORCH_ALIGNMENT, or null if there is none.
    void *(*allocate)(size_t size);
    // With the size that was asked for.
    void (*release)(void *start, size_t size);
} hippocamp_torch_memory;

// To be called once, before anything is loaded.
int32_t hippocamp_torch_use_memory(hippocamp_torch_memory memory, char **fault);
// Sets the number of threads for parts of models that run at the same time. It can be set once a process, before they first do.
int32_t hippocamp_torch_set_interop_threads(int32_t count, char **fault);

// The switches of all models' executors, which a model reads at its first runs: -1 leaves one as it is, 0 and 1 set it.
typedef struct {
    int8_t profiling;
    int8_t executor;
    int8_t tensor_fuser;
} hippocamp_torch_switches;

int32_t hippocamp_torch_set_switches(hippocamp_torch_switches switches, char **fault);

int32_t hippocamp_torch_load(const char *path, uint8_t inference_mode, hippocamp_torch_model **out, char **fault);
void hippocamp_torch_free_model(hippocamp_torch_model *model);
hippocamp_torch_facts hippocamp_torch_describe(const hippocamp_torch_model *model);
// The index has to be less than the count.
hippocamp_torch_port hippocamp_torch_argument(const hippocamp_torch_model *model, size_t index);
hippocamp_torch_port hippocamp_torch_result_port(const hippocamp_torch_model *model, size_t index);
// The keys of the dictionary that the model takes without which each run fails, or, of results, those that the dictionary which it gives
// can have: none if they are not known. Null behind the last. Shims before this was added have the same version of the interface.
const char *hippocamp_torch_key(const hippocamp_torch_model *model, uint8_t of_results, size_t index);

// Runs a model. Any number of threads may run one at the same time, unless it keeps something.
int32_t hippocamp_torch_run(hippocamp_torch_model *model, const hippocamp_torch_run_options *options,
                            const hippocamp_torch_value *values, size_t value_count, hippocamp_torch_outputs **out,
                            char **fault);
void hippocamp_torch_free_outputs(hippocamp_torch_outputs *outputs);
size_t hippocamp_torch_result_count(const hippocamp_torch_outputs *outputs);
// The key of a result that was in a dictionary, or null. The index has to be less than the count.
const char *hippocamp_torch_result_key(const hippocamp_torch_outputs *outputs, size_t index);
// The elements are in host memory in the usual order: copied there, if need be. The index has to be less than the count.
int32_t hippocamp_torch_result_at(hippocamp_torch_outputs *outputs, size_t index, hippocamp_torch_result *out, char **fault);
// A reference to a tensor of these outputs, which keeps its elements where they are. Null for what is no tensor.
hippocamp_torch_tensor *hippocamp_torch_keep(hippocamp_torch_outputs *outputs, size_t index);
void hippocamp_torch_free_tensor(hippocamp_torch_tensor *tensor);
void hippocamp_torch_free_text(char *text);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
