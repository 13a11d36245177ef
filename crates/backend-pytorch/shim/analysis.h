// What a model's code tells before it runs: its arguments and results, and what it keeps or changes.

#ifndef HIPPOCAMP_TORCH_ANALYSIS_H
#define HIPPOCAMP_TORCH_ANALYSIS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <torch/csrc/jit/api/module.h>

namespace hippocamp {

struct Port {
    std::string name;
    bool has_name = false;
    std::string type;
    int32_t kind = 0;
    // The value that the model has for an argument, if any.
    std::optional<c10::IValue> value;
    bool is_written = false;
};

struct Facts {
    std::vector<Port> arguments;
    std::vector<Port> results;
    // What makes runs depend on earlier ones; empty if nothing does.
    std::string keeper;
    bool reads_later = false;
    bool is_training = false;
    bool results_vary = false;
    // The entries of the dictionary that is its one argument without which each run fails.
    std::vector<std::string> required_keys;
    // The entries that the dictionary which it gives can have; empty if that is not known.
    std::vector<std::string> result_keys;
};

Facts facts_of(const torch::jit::Module &module);

} // namespace hippocamp

#endif
