#include "analysis.h"

#include <unordered_set>

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include "shim.h"

namespace hippocamp {

namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;

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

struct Walk {
    const torch::jit::AliasDb &aliases;
    // Values that belong to the module.
    std::unordered_set<const Value *> own;
    Facts &facts;
    bool writes = false;

    void keeps(const std::string &why) {
        if (facts.keeper.empty()) {
            facts.keeper = why;
        }
    }

    void collect(const Block *block) {
        for (const Node *node : block->nodes()) {
            if (node->kind() == c10::prim::GetAttr) {
                own.insert(node->output());
            }
            for (const Block *inner : node->blocks()) {
                collect(inner);
            }
        }
    }

    void visit(Block *block) {
        for (Node *node : block->nodes()) {
            visit(node);
            for (Block *inner : node->blocks()) {
                visit(inner);
            }
        }
    }

    void visit(Node *node) {
        const auto kind = node->kind();
        if (kind == c10::prim::SetAttr) {
            keeps("it sets its attribute '" + node->s(c10::attr::name) + "'");
        } else if (kind == c10::prim::CallMethod || kind == c10::prim::CallFunction || kind == c10::prim::PythonOp) {
            // What could not be inlined, such as a method of a custom class.
            keeps(std::string("it calls what is not known (") + kind.toQualString() + ")");
            facts.reads_later = true;
        } else if (kind == c10::prim::fork || kind == c10::prim::awaitable) {
            // It may go on when the run has ended.
            facts.reads_later = true;
        } else if (is_training_norm(node)) {
            keeps(std::string(kind.toQualString()) + " updates its statistics");
        }
        const auto *schema = node->maybeSchema();
        if (schema != nullptr && schema->is_mutable()) {
            writes = true;
            if (aliases.writesToAlias(node, own)) {
                keeps(std::string(kind.toQualString()) + " may write to what belongs to the module");
            }
        }
    }

    // Normalisation that updates the module's statistics, which its schema does not say.
    static bool is_training_norm(const Node *node) {
        const auto *schema = node->maybeSchema();
        if (schema == nullptr || std::string(node->kind().toUnqualString()).find("norm") == std::string::npos) {
            return false;
        }
        for (size_t i = 0; i < schema->arguments().size() && i < node->inputs().size(); ++i) {
            const std::string &name = schema->arguments()[i].name();
            if (name == "training" || name == "train" || name == "use_input_stats") {
                const auto constant = torch::jit::toIValue(node->input(i));
                return constant && constant->isBool() && constant->toBool();
            }
        }
        return false;
    }
};

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

    auto graph = method.graph()->copy();
    torch::jit::Inline(*graph);
    const torch::jit::AliasDb aliases(graph);
    Walk walk{aliases, {}, facts};
    walk.own.insert(graph->inputs()[0]);
    walk.collect(graph->block());
    walk.visit(graph->block());
    for (size_t i = 0; i < facts.arguments.size() && i + 1 < graph->inputs().size(); ++i) {
        const bool is_container = facts.arguments[i].kind == HIPPOCAMP_TORCH_TENSOR_DICT;
        facts.arguments[i].is_written = is_container ? walk.writes : aliases.hasWriters(graph->inputs()[i + 1]);
    }
    for (const auto &part : module.modules()) {
        facts.is_training |= part.hasattr("training") && part.attr("training").isBool() && part.attr("training").toBool();
    }
    if (facts.is_training) {
        walk.keeps("it is in training mode");
    }
    return facts;
}

} // namespace hippocamp
