#include "analysis.h"

#include <set>
#include <utility>

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include "effects.h"
#include "shim.h"

namespace hippocamp {

namespace {

int32_t kind_of(const c10::TypePtr &type) {
    switch (type->kind()) {
    case c10::TypeKind::TensorType:
        return HIPPOCAMP_TORCH_TENSOR;
    case c10::TypeKind::IntType:
        return HIPPOCAMP_TORCH_INT;
    case c10::TypeKind::FloatType:
        return HIPPOCAMP_TORCH_FLOAT;
    case c10::TypeKind::BoolType:
        return HIPPOCAMP_TORCH_BOOL;
    case c10::TypeKind::NoneType:
        return HIPPOCAMP_TORCH_NONE;
    case c10::TypeKind::ListType:
        switch (type->expectRef<c10::ListType>().getElementType()->kind()) {
        case c10::TypeKind::StringType:
            return HIPPOCAMP_TORCH_STRINGS;
        case c10::TypeKind::TensorType:
            return HIPPOCAMP_TORCH_TENSOR_LIST;
        default:
            return HIPPOCAMP_TORCH_OTHER;
        }
    case c10::TypeKind::DictType: {
        const auto &dictionary = type->expectRef<c10::DictType>();
        const bool is_served = dictionary.getKeyType()->kind() == c10::TypeKind::StringType &&
                               dictionary.getValueType()->kind() == c10::TypeKind::TensorType;
        return is_served ? HIPPOCAMP_TORCH_TENSOR_DICT : HIPPOCAMP_TORCH_OTHER;
    }
    case c10::TypeKind::OptionalType: {
        const auto inner = type->expectRef<c10::OptionalType>().getElementType();
        return inner->kind() == c10::TypeKind::TensorType ? HIPPOCAMP_TORCH_OPTIONAL_TENSOR : HIPPOCAMP_TORCH_OTHER;
    }
    default:
        return HIPPOCAMP_TORCH_OTHER;
    }
}

// Adds the results of that type, as a run takes them apart.
void add_results(const c10::TypePtr &type, const std::string *name, Facts &facts) {
    if (type->kind() == c10::TypeKind::TupleType) {
        const auto &tuple = type->expectRef<c10::TupleType>();
        const auto &schema = tuple.schema();
        for (size_t i = 0; i < tuple.elements().size(); ++i) {
            const std::string *field = schema ? &schema->arguments()[i].name() : nullptr;
            add_results(tuple.elements()[i], field, facts);
        }
        return;
    }
    const int32_t kind = kind_of(type);
    // As many as there are when it has run; of anything, it may be a list or a dictionary as well.
    facts.results_vary |= kind == HIPPOCAMP_TORCH_TENSOR_LIST || kind == HIPPOCAMP_TORCH_TENSOR_DICT || kind == HIPPOCAMP_TORCH_OTHER;
    Port port;
    port.kind = kind;
    port.type = type->annotation_str();
    if (name != nullptr) {
        port.name = *name;
        port.has_name = true;
    }
    facts.results.push_back(std::move(port));
}

// The text that a value is in every run.
std::optional<std::string> constant_text(const torch::jit::Value *value) {
    const auto constant = torch::jit::toIValue(value);
    return constant && constant->isString() ? std::optional<std::string>(constant->toStringRef()) : std::nullopt;
}

// The keys that the code asks a dictionary for in every run. What is asked for in a branch or a loop may not be; and anything but a
// look into the dictionary may put entries into it.
std::vector<std::string> required_keys(const torch::jit::Graph &graph, const torch::jit::Value *dictionary) {
    static const std::set<std::string> LOOKS = {"aten::__getitem__", "aten::__contains__", "aten::get", "aten::len"};
    std::vector<std::string> keys;
    for (const auto &use : dictionary->uses()) {
        const auto *node = use.user;
        if (use.offset != 0 || LOOKS.count(node->kind().toQualString()) == 0) {
            return {};
        }
        if (node->kind() == c10::aten::__getitem__ && node->owningBlock() == graph.block()) {
            if (auto key = constant_text(node->input(1))) {
                keys.push_back(std::move(*key));
            }
        }
    }
    return keys;
}

// The keys that a dictionary can have which the code makes and returns; none if they are not known.
std::vector<std::string> possible_keys(const torch::jit::Graph &graph) {
    if (graph.outputs().size() != 1 || graph.outputs()[0]->node()->kind() != c10::prim::DictConstruct) {
        return {};
    }
    const auto *made = graph.outputs()[0];
    std::vector<const torch::jit::Value *> values;
    for (size_t i = 0; i < made->node()->inputs().size(); i += 2) {
        values.push_back(made->node()->input(i));
    }
    for (const auto &use : made->uses()) {
        if (use.user->kind() == c10::aten::_set_item && use.offset == 0) {
            values.push_back(use.user->input(1));
        } else if (use.user != graph.return_node()) {
            return {};
        }
    }
    std::vector<std::string> keys;
    for (const auto *value : values) {
        auto key = constant_text(value);
        if (!key) {
            return {};
        }
        keys.push_back(std::move(*key));
    }
    return keys;
}

} // namespace

Facts facts_of(const torch::jit::Module &module) {
    Facts facts;
    const auto method = module.get_method("forward");
    const auto &schema = method.function().getSchema();
    for (size_t i = 1; i < schema.arguments().size(); ++i) {
        const auto &argument = schema.arguments()[i];
        Port port;
        port.name = argument.name();
        port.has_name = true;
        port.type = argument.type()->annotation_str();
        port.kind = kind_of(argument.type());
        port.value = argument.default_value();
        facts.arguments.push_back(std::move(port));
    }
    if (!schema.returns().empty()) {
        add_results(schema.returns()[0].type(), nullptr, facts);
    }

    const auto is_dictionary = [](const std::vector<Port> &ports) {
        return ports.size() == 1 && ports[0].kind == HIPPOCAMP_TORCH_TENSOR_DICT;
    };
    if (is_dictionary(facts.arguments) || is_dictionary(facts.results)) {
        auto inlined = method.graph()->copy();
        torch::jit::Inline(*inlined);
        if (is_dictionary(facts.arguments)) {
            facts.required_keys = required_keys(*inlined, inlined->inputs().back());
        }
        if (is_dictionary(facts.results)) {
            facts.result_keys = possible_keys(*inlined);
        }
    }

    Effects effects = effects_of(*method.graph(), module);
    facts.is_training = effects.is_training;
    for (size_t i = 0; i < facts.arguments.size() && i < effects.are_inputs_written.size(); ++i) {
        const bool is_container = facts.arguments[i].kind == HIPPOCAMP_TORCH_TENSOR_DICT;
        facts.arguments[i].is_written = is_container ? effects.writes : effects.are_inputs_written[i];
    }
    // What a model keeps may be an input.
    facts.reads_later = effects.reads_later || !effects.keeper.empty();
    facts.keeper = std::move(effects.keeper);
    if (facts.keeper.empty() && facts.is_training) {
        facts.keeper = "it is in training mode";
    }
    return facts;
}

} // namespace hippocamp
