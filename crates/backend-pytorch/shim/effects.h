// What a run of a model's code does to what is not its own.

#ifndef HIPPOCAMP_TORCH_EFFECTS_H
#define HIPPOCAMP_TORCH_EFFECTS_H

#include <string>
#include <vector>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

namespace hippocamp {

struct Effects {
    // Why a run may change what a later run sees, or empty if none does.
    std::string keeper;
    // Whether inputs may be read or written to when the run has ended.
    bool reads_later = false;
    // Whether a part of the module is in training mode, and the code reads it.
    bool is_training = false;
    // Whether anything is written to in place.
    bool writes = false;
    // Of each input of the code after the module: whether it, or what it may be a part of, may be written to.
    std::vector<bool> are_inputs_written;
};

// What is not known for sure counts as written to and kept. The code is of a method of that module.
Effects effects_of(torch::jit::Graph &code, const torch::jit::Module &module);

} // namespace hippocamp

#endif
