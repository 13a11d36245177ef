// The least that runs a TorchScript model by PyTorch's C++ library, in the words of its documentation: nothing of the shim is in it.

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#pragma GCC visibility push(default)
extern "C" {

void *bare_load(const char *path) {
    c10::InferenceMode mode;
    return new torch::jit::Module(torch::jit::load(std::string(path)));
}

// For the calling thread; 0 leaves it at the library's own number.
void bare_threads(int count) {
    if (count > 0) {
        at::set_num_threads(count);
    }
}

uint64_t bare_run(void *module, const float *data, const int64_t *shape, size_t rank) {
    c10::InferenceMode mode;
    auto input = at::from_blob(const_cast<float *>(data), c10::IntArrayRef(shape, rank));
    auto output = static_cast<torch::jit::Module *>(module)->forward({input}).toTensor().contiguous();
    return output.nbytes();
}

}
#pragma GCC visibility pop
