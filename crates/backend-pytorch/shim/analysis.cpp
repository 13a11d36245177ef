#include "analysis.h"

#include <utility>

#include <ATen/core/function_schema.h>

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
