// PyTorch's C++ library behind the C interface of shim.h.
//
// Built by scripts/torch-shim. It is opened at run time, after PyTorch's own libraries.

#include "shim.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/tensorexpr_fuser.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/headeronly/version.h>

#include "analysis.h"

// Of PyTorch's libraries, in no header.
extern "C" uint64_t aoti_torch_abi_version();
// Of OpenMP and of MKL within PyTorch: a build without them has no such function.
extern "C" void omp_set_num_threads(int) __attribute__((weak));
extern "C" int MKL_Set_Num_Threads_Local(int) __attribute__((weak));

namespace {

using hippocamp::Facts;
using hippocamp::Port;

// Addresses at which PyTorch itself aligns tensors. Some kernels compute in another order elsewhere, so that last bits would depend on
// where a request came to lie.
constexpr uintptr_t ALIGNMENT = HIPPOCAMP_TORCH_ALIGNMENT;

hippocamp_torch_listener listener = nullptr;

char *copy_of(const char *text) noexcept {
    const size_t size = std::strlen(text) + 1;
    auto *copy = static_cast<char *>(std::malloc(size));
    if (copy != nullptr) {
        std::memcpy(copy, text, size);
    }
    return copy;
}

int32_t fail(char **fault, int32_t code, const char *text) noexcept {
    if (fault != nullptr) {
        *fault = copy_of(text);
    }
    return code;
}

// Runs `body`, and turns what it throws into a code and a text.
template <typename Body>
int32_t guarded(char **fault, Body &&body) noexcept {
    try {
        body();
        return HIPPOCAMP_TORCH_OK;
    } catch (const std::bad_alloc &) {
        return fail(fault, HIPPOCAMP_TORCH_NO_MEMORY, "there is no memory for it");
    } catch (const c10::Error &error) {
        return fail(fault, HIPPOCAMP_TORCH_FAILED, error.what_without_backtrace());
    } catch (const std::exception &error) {
        return fail(fault, HIPPOCAMP_TORCH_FAILED, error.what());
    } catch (...) {
        return fail(fault, HIPPOCAMP_TORCH_FAILED, "an exception of an unknown type");
    }
}

// Tells the listener of warnings, which would go to standard error otherwise.
class Warnings final : public c10::WarningHandler {
  public:
    void process(const c10::Warning &warning) override {
        if (listener != nullptr) {
            listener(1, warning.msg().data(), warning.msg().size());
        }
    }
};

Warnings warnings;

// The memory of tensors, which is the caller's. A piece begins with its size, which PyTorch does not keep.
class Memory final : public c10::Allocator {
  public:
    explicit Memory(hippocamp_torch_memory given) { given_ = given; }

    c10::DataPtr allocate(size_t size) override {
        void *elements = nullptr;
        if (size > 0) {
            void *start = size < PTRDIFF_MAX - ALIGNMENT ? given_.allocate(size + ALIGNMENT) : nullptr;
            // In the words of PyTorch's own allocator.
            TORCH_CHECK(start != nullptr, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", size, " bytes.");
            *static_cast<size_t *>(start) = size + ALIGNMENT;
            elements = static_cast<char *>(start) + ALIGNMENT;
        }
        return {elements, elements, &release, c10::Device(c10::kCPU)};
    }

    c10::DeleterFnPtr raw_deleter() const override { return &release; }

    void copy_data(void *to, const void *from, size_t size) const override { default_copy_data(to, from, size); }

  private:
    static void release(void *elements) {
        if (elements != nullptr) {
            void *start = static_cast<char *>(elements) - ALIGNMENT;
            given_.release(start, *static_cast<size_t *>(start));
        }
    }

    static inline hippocamp_torch_memory given_ = {};
};

// Sets how many threads operations use that this thread starts.
void use_threads(int32_t count) {
    thread_local int32_t current = 0;
    if (count < 1 || count == current) {
        return;
    }
    if (current == 0) {
        // PyTorch sets a number of its own when a thread first asks for it.
        at::get_num_threads();
    }
    if (omp_set_num_threads != nullptr) {
        omp_set_num_threads(count);
    }
    if (MKL_Set_Num_Threads_Local != nullptr) {
        MKL_Set_Num_Threads_Local(count);
    }
    current = count;
}

// The memory of inputs that belongs to somebody else. What still refers to it when a run has ended, such as a result that is an input,
// is given memory of its own. A model that keeps something gets copies in the first place.
class Lent {
  public:
    void add(const at::Tensor &tensor) { storages_.push_back(tensor.storage()); }

    // Throws if there is no memory.
    void take_back() {
        for (const auto &storage : storages_) {
            if (storage.use_count() > 1) {
                const size_t size = storage.nbytes();
                auto own = c10::GetCPUAllocator()->allocate(size);
                std::memcpy(own.get(), storage.data(), size);
                storage.set_data_ptr_noswap(std::move(own));
            }
        }
        storages_.clear();
    }

    // Of a run that failed. Its results are gone, so that nothing refers to inputs.
    ~Lent() {
        try {
            take_back();
        } catch (...) {
            // Something does, against all that is known of the model, and would read memory that is gone.
            std::abort();
        }
    }

  private:
    std::vector<c10::Storage> storages_;
};

at::Tensor tensor_of(const hippocamp_torch_value &value, Lent &lent) {
    const auto element = static_cast<c10::ScalarType>(value.element);
    const c10::IntArrayRef shape(value.shape, value.rank);
    const bool is_aligned = reinterpret_cast<uintptr_t>(value.data) % ALIGNMENT == 0;
    if (is_aligned && value.is_copied == 0 && value.size > 0) {
        auto tensor = at::from_blob(const_cast<void *>(value.data), shape, at::TensorOptions(element));
        lent.add(tensor);
        return tensor;
    }
    auto tensor = at::empty(shape, at::TensorOptions(element));
    TORCH_CHECK(tensor.nbytes() == value.size, "an input has ", value.size, " bytes, its shape needs ", tensor.nbytes());
    if (value.size > 0) {
        std::memcpy(tensor.mutable_data_ptr(), value.data, value.size);
    }
    return tensor;
}

c10::IValue argument_of(const hippocamp_torch_value &value, Lent &lent) {
    switch (value.kind) {
    case HIPPOCAMP_TORCH_TENSOR:
        return tensor_of(value, lent);
    case HIPPOCAMP_TORCH_STRINGS: {
        c10::List<std::string> strings;
        strings.reserve(value.string_count);
        for (size_t i = 0; i < value.string_count; ++i) {
            strings.emplace_back(value.strings[i].start, value.strings[i].size);
        }
        return strings;
    }
    case HIPPOCAMP_TORCH_INT:
        return *static_cast<const int64_t *>(value.data);
    case HIPPOCAMP_TORCH_FLOAT:
        return *static_cast<const double *>(value.data);
    case HIPPOCAMP_TORCH_BOOL:
        return *static_cast<const uint8_t *>(value.data) != 0;
    default:
        return c10::IValue();
    }
}

// A result of a run.
struct Result {
    c10::IValue value;
    std::string key;
    bool has_key = false;
    std::string type;
    // What `value` is in host memory, in the usual order.
    at::Tensor tensor;
    std::vector<hippocamp_torch_text> strings;
    bool is_ready = false;
};

bool is_list_of(const c10::IValue &value, c10::TypeKind kind) {
    return value.isList() && value.toList().elementType()->kind() == kind;
}

// Takes a result apart into what can be served one by one: parts of tuples, lists and dictionaries of tensors, in their order.
void take_apart(const c10::IValue &value, const std::string *key, std::vector<Result> &results) {
    const bool is_tensor = value.isTensor();
    if (!is_tensor && value.isTuple()) {
        for (const auto &part : value.toTupleRef().elements()) {
            take_apart(part, nullptr, results);
        }
    } else if (!is_tensor && (value.isTensorList() || is_list_of(value, c10::TypeKind::TensorType))) {
        for (const at::Tensor &part : value.toTensorVector()) {
            take_apart(part, nullptr, results);
        }
    } else if (!is_tensor && value.isGenericDict() && value.toGenericDict().keyType()->kind() == c10::TypeKind::StringType) {
        for (const auto &entry : value.toGenericDict()) {
            const std::string name = entry.key().toStringRef();
            take_apart(entry.value(), &name, results);
        }
    } else {
        Result &result = results.emplace_back();
        result.value = value;
        if (key != nullptr) {
            result.key = *key;
            result.has_key = true;
        }
    }
}

} // namespace

struct hippocamp_torch_model {
    torch::jit::Module module;
    // Its `forward`, which belongs to it.
    torch::jit::Function *code = nullptr;
    Facts facts;
};

struct hippocamp_torch_outputs {
    std::vector<Result> results;
};

struct hippocamp_torch_tensor {
    at::Tensor tensor;
};

namespace {

hippocamp_torch_port described(const Port &port) noexcept {
    return {port.has_name ? port.name.c_str() : nullptr, port.type.c_str(), port.kind, port.value.has_value(), port.is_written};
}

// Runs the code of `forward`. Arguments are those that its schema asks for, in number and type: what `Module::forward` would do beside
// this, it does to find the function by its name, to look at the arguments again, and to tell profilers.
c10::IValue forward(const hippocamp_torch_model &model, torch::jit::Stack &stack) {
    model.code->run(stack);
    return torch::jit::pop(stack);
}

// One reference is the result's own.
bool is_sole(const at::Tensor &tensor) {
    const size_t size = tensor.nbytes();
    return tensor.use_count() == 1 && tensor.storage().use_count() == 1 && tensor.storage().nbytes() / 2 <= size;
}

void make_ready(Result &result) {
    if (result.is_ready) {
        return;
    }
    if (result.value.isTensor() && result.value.toTensor().defined()) {
        // Moved, so that nothing but `tensor` refers to it.
        at::Tensor tensor = std::move(result.value).toTensor();
        result.value = c10::IValue();
        TORCH_CHECK(tensor.layout() == c10::kStrided, "it is a tensor of layout ", tensor.layout());
        if (!tensor.device().is_cpu()) {
            tensor = tensor.cpu();
        }
        if (tensor.is_conj() || tensor.is_neg()) {
            tensor = tensor.resolve_conj().resolve_neg();
        }
        result.tensor = tensor.contiguous();
    } else if (is_list_of(result.value, c10::TypeKind::StringType)) {
        for (const c10::IValue &text : result.value.toListRef()) {
            const std::string &content = text.toStringRef();
            result.strings.push_back({content.data(), content.size()});
        }
    } else {
        result.type = result.value.type()->annotation_str();
    }
    result.is_ready = true;
}

} // namespace

uint32_t hippocamp_torch_interface(void) { return HIPPOCAMP_TORCH_INTERFACE; }

const char *hippocamp_torch_built_for(void) { return TORCH_VERSION; }

uint64_t hippocamp_torch_built_for_abi(void) { return TORCH_ABI_VERSION; }

uint64_t hippocamp_torch_library_abi(void) { return aoti_torch_abi_version(); }

void hippocamp_torch_listen(hippocamp_torch_listener given) {
    listener = given;
    guarded(nullptr, [] {
        torch::jit::setPrintHandler([](const std::string &text) {
            if (listener != nullptr) {
                listener(0, text.data(), text.size());
            }
        });
    });
}

int32_t hippocamp_torch_use_memory(hippocamp_torch_memory memory, char **fault) {
    // Never deleted: tensors that are left when the process ends are released behind it.
    return guarded(fault, [&] { c10::SetCPUAllocator(new Memory(memory), 1); });
}

int32_t hippocamp_torch_set_interop_threads(int32_t count, char **fault) {
    return guarded(fault, [&] { at::set_num_interop_threads(count); });
}

int32_t hippocamp_torch_set_switches(hippocamp_torch_switches switches, char **fault) {
    return guarded(fault, [&] {
        if (switches.profiling >= 0) {
            torch::jit::getProfilingMode() = switches.profiling != 0;
        }
        if (switches.executor >= 0) {
            torch::jit::getExecutorMode() = switches.executor != 0;
        }
        if (switches.tensor_fuser >= 0) {
            torch::jit::setTensorExprFuserEnabled(switches.tensor_fuser != 0);
        }
    });
}

int32_t hippocamp_torch_load(const char *path, uint8_t inference_mode, hippocamp_torch_model **out, char **fault) {
    return guarded(fault, [&] {
        c10::InferenceMode mode(inference_mode != 0);
        c10::WarningUtils::WarningHandlerGuard guard(&warnings);
        auto model = std::make_unique<hippocamp_torch_model>();
        model->module = torch::jit::load(std::string(path), c10::Device(c10::kCPU));
        model->facts = hippocamp::facts_of(model->module);
        model->code = &model->module.get_method("forward").function();
        *out = model.release();
    });
}

void hippocamp_torch_free_model(hippocamp_torch_model *model) {
    guarded(nullptr, [&] { delete model; });
}

hippocamp_torch_facts hippocamp_torch_describe(const hippocamp_torch_model *model) {
    const Facts &facts = model->facts;
    return {facts.arguments.size(),
            facts.results.size(),
            facts.keeper.empty() ? nullptr : facts.keeper.c_str(),
            facts.reads_later,
            facts.is_training,
            facts.results_vary};
}

hippocamp_torch_port hippocamp_torch_argument(const hippocamp_torch_model *model, size_t index) {
    return described(model->facts.arguments[index]);
}

hippocamp_torch_port hippocamp_torch_result_port(const hippocamp_torch_model *model, size_t index) {
    return described(model->facts.results[index]);
}

const char *hippocamp_torch_key(const hippocamp_torch_model *model, uint8_t of_results, size_t index) {
    const auto &keys = of_results != 0 ? model->facts.result_keys : model->facts.required_keys;
    return index < keys.size() ? keys[index].c_str() : nullptr;
}

int32_t hippocamp_torch_run(hippocamp_torch_model *model, const hippocamp_torch_run_options *options,
                            const hippocamp_torch_value *values, size_t value_count, hippocamp_torch_outputs **out,
                            char **fault) {
    return guarded(fault, [&] {
        use_threads(options->threads);
        c10::InferenceMode mode(options->inference_mode != 0);
        c10::NoGradGuard no_grad;
        torch::jit::GraphOptimizerEnabledGuard optimizer(options->optimized != 0);
        c10::WarningUtils::WarningHandlerGuard guard(&warnings);
        // Taken back when the run has ended, also by an exception: then behind the outputs, which may refer to inputs.
        Lent lent;
        auto outputs = std::make_unique<hippocamp_torch_outputs>();
        {
            torch::jit::Stack arguments;
            arguments.reserve(value_count + 1);
            arguments.emplace_back(model->module._ivalue());
            if (options->as_dictionary != 0) {
                c10::Dict<std::string, at::Tensor> entries;
                for (size_t i = 0; i < value_count; ++i) {
                    entries.insert(values[i].key, tensor_of(values[i], lent));
                }
                arguments.emplace_back(std::move(entries));
            } else {
                const auto &known = model->facts.arguments;
                TORCH_CHECK(value_count == known.size(), "it got ", value_count, " arguments, it has ", known.size());
                for (size_t i = 0; i < value_count; ++i) {
                    const bool is_default = values[i].kind == HIPPOCAMP_TORCH_DEFAULT && known[i].value;
                    arguments.push_back(is_default ? *known[i].value : argument_of(values[i], lent));
                }
            }
            take_apart(forward(*model, arguments), nullptr, outputs->results);
        }
        lent.take_back();
        *out = outputs.release();
    });
}

void hippocamp_torch_free_outputs(hippocamp_torch_outputs *outputs) {
    guarded(nullptr, [&] { delete outputs; });
}

size_t hippocamp_torch_result_count(const hippocamp_torch_outputs *outputs) { return outputs->results.size(); }

const char *hippocamp_torch_result_key(const hippocamp_torch_outputs *outputs, size_t index) {
    const Result &result = outputs->results[index];
    return result.has_key ? result.key.c_str() : nullptr;
}

int32_t hippocamp_torch_result_at(hippocamp_torch_outputs *outputs, size_t index, hippocamp_torch_result *out, char **fault) {
    return guarded(fault, [&] {
        Result &result = outputs->results[index];
        make_ready(result);
        *out = {};
        out->type = result.type.c_str();
        if (result.tensor.defined()) {
            out->kind = HIPPOCAMP_TORCH_TENSOR;
            out->element = static_cast<int32_t>(result.tensor.scalar_type());
            out->shape = result.tensor.sizes().data();
            out->rank = result.tensor.sizes().size();
            out->data = result.tensor.const_data_ptr();
            out->size = result.tensor.nbytes();
            out->is_sole = is_sole(result.tensor);
        } else if (is_list_of(result.value, c10::TypeKind::StringType)) {
            out->kind = HIPPOCAMP_TORCH_STRINGS;
            out->strings = result.strings.data();
            out->string_count = result.strings.size();
        } else if (result.value.isNone()) {
            out->kind = HIPPOCAMP_TORCH_NONE;
        }
    });
}

hippocamp_torch_tensor *hippocamp_torch_keep(hippocamp_torch_outputs *outputs, size_t index) {
    hippocamp_torch_tensor *kept = nullptr;
    guarded(nullptr, [&] {
        const at::Tensor &tensor = outputs->results[index].tensor;
        if (tensor.defined()) {
            kept = new hippocamp_torch_tensor{tensor};
        }
    });
    return kept;
}

void hippocamp_torch_free_tensor(hippocamp_torch_tensor *tensor) {
    guarded(nullptr, [&] { delete tensor; });
}

void hippocamp_torch_free_text(char *text) { std::free(text); }
