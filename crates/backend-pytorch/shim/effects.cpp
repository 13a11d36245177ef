#include "effects.h"

#include <memory>
#include <optional>
#include <set>

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/operator.h>

namespace hippocamp {

namespace {

using torch::jit::AliasDb;
using torch::jit::AttributeKind;
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

// What could not be inlined, such as a method of a custom class.
bool is_unknown_call(const Node *node) {
    const auto kind = node->kind();
    return kind == c10::prim::CallMethod || kind == c10::prim::CallFunction || kind == c10::prim::PythonOp;
}

// Calls `visit` with each graph that is an attribute of the node, as the body of a fork is, and with its name.
template <typename Visit>
void for_graphs(Node *node, Visit &&visit) {
    for (const auto name : node->attributeNames()) {
        if (node->kindOf(name) == AttributeKind::g) {
            visit(name, node->g(name));
        }
    }
}

// The value of a condition that is the same in each run.
std::optional<bool> known(const Value *value) {
    if (value->node()->kind() == c10::aten::__not__) {
        const auto inner = known(value->node()->input(0));
        return inner ? std::optional<bool>(!*inner) : std::nullopt;
    }
    const auto constant = torch::jit::toIValue(value);
    return constant && constant->isBool() ? std::optional<bool>(constant->toBool()) : std::nullopt;
}

// Brings a copy of the code into a form in which all that it does can be seen.
class Preparation {
  public:
    static std::shared_ptr<Graph> prepared(Graph &code, const torch::jit::Module &module, bool &is_training) {
        Preparation preparation;
        auto graph = preparation.inlined(code);
        is_training = preparation.trains(module);
        if (!is_training && !preparation.may_change_mode_) {
            settle(*graph, graph->block());
        }
        return graph;
    }

  private:
    // Whether a part of the module is in training mode, and the code does something else because of it. Layers that were quantized or
    // fused are often marked so, and have nothing that would ask for it.
    bool trains(const torch::jit::Module &module) const {
        for (const auto &part : module.modules()) {
            if (part.hasattr("training") && part.attr("training").isBool() && part.attr("training").toBool()) {
                if (may_change_mode_ || is_told_to_train_ || readers_.count(part.type()) > 0) {
                    return true;
                }
            }
        }
        return false;
    }

    // With all calls inlined, also in graphs within, of which a copied node would share the original.
    std::shared_ptr<Graph> inlined(Graph &code) {
        auto graph = code.copy();
        torch::jit::Inline(*graph);
        inline_within(graph->block());
        return graph;
    }

    void inline_within(Block *block) {
        for (Node *node : block->nodes()) {
            may_change_mode_ |= is_unknown_call(node);
            may_change_mode_ |= node->kind() == c10::prim::SetAttr && node->s(c10::attr::name) == "training";
            is_told_to_train_ |= is_told_to_train(node);
            if (is_mode(node)) {
                readers_.insert(node->input()->type()->cast<c10::ClassType>());
            }
            for_graphs(node, [&](c10::Symbol name, const std::shared_ptr<Graph> &graph) { node->g_(name, inlined(*graph)); });
            for (Block *inner : node->blocks()) {
                inline_within(inner);
            }
        }
    }

    // Replaces `training` of modules by false, and a branch whose condition is known by the block that is taken: what a normalisation
    // does in training mode would count as done otherwise.
    static void settle(Graph &graph, Block *block) {
        for (Node *node = *block->nodes().begin(); node != block->return_node();) {
            Node *next = node->next();
            if (is_mode(node)) {
                torch::jit::WithInsertPoint place(node);
                node->output()->replaceAllUsesWith(graph.insertConstant(false));
            } else if (const auto taken = node->kind() == c10::prim::If ? known(node->input()) : std::nullopt) {
                next = replace(node, node->blocks()[*taken ? 0 : 1]);
            } else {
                for_graphs(node, [](c10::Symbol, const std::shared_ptr<Graph> &inner) { settle(*inner, inner->block()); });
                for (Block *inner : node->blocks()) {
                    settle(graph, inner);
                }
            }
            node = next;
        }
    }

    static bool is_mode(const Node *node) {
        if (node->kind() != c10::prim::GetAttr || node->s(c10::attr::name) != "training") {
            return false;
        }
        const auto owner = node->input()->type()->cast<c10::ClassType>();
        return owner && owner->is_module() && node->output()->type()->kind() == c10::TypeKind::BoolType;
    }

    // Puts the content of a block in the place of the node that it belongs to; returns the node that follows.
    static Node *replace(Node *node, Block *taken) {
        Node *first = nullptr;
        for (Node *inner = *taken->nodes().begin(); inner != taken->return_node();) {
            Node *next = inner->next();
            inner->moveBefore(node);
            first = first == nullptr ? inner : first;
            inner = next;
        }
        for (size_t i = 0; i < node->outputs().size(); ++i) {
            node->output(i)->replaceAllUsesWith(taken->outputs()[i]);
        }
        Node *next = first == nullptr ? node->next() : first;
        node->destroy();
        return next;
    }

    // Whether the mode was made a constant of this operation, as tracing does.
    static bool is_told_to_train(const Node *node) {
        const auto *schema = node->maybeSchema();
        for (size_t i = 0; schema != nullptr && i < schema->arguments().size() && i < node->inputs().size(); ++i) {
            const std::string &name = schema->arguments()[i].name();
            if ((name == "training" || name == "train") && known(node->input(i)) == true) {
                return true;
            }
        }
        return false;
    }

    // Whether a part of the module may enter training mode in a run.
    bool may_change_mode_ = false;
    bool is_told_to_train_ = false;
    // The classes of modules whose code reads their mode.
    std::set<c10::ClassTypePtr> readers_;
};

class Walk {
  public:
    Walk(const std::shared_ptr<Graph> &graph, Effects &effects) : aliases_(graph), effects_(effects) {
        // What a run is given, what belongs to the module, and constants, which are a part of the code: all of it is there in the next
        // run as well, or may be a part of what is.
        own_.assign(graph->inputs().begin(), graph->inputs().end());
        collect(graph->block());
        visit(graph->block());
    }

  private:
    void keeps(const std::string &why) {
        if (effects_.keeper.empty()) {
            effects_.keeper = why;
        }
    }

    void collect(Block *block) {
        for (Node *node : block->nodes()) {
            if (node->kind() == c10::prim::GetAttr || node->kind() == c10::prim::Constant) {
                own_.push_back(node->output());
            }
            for (Block *inner : node->blocks()) {
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
        } else if (is_unknown_call(node)) {
            keeps(std::string("it calls what is not known (") + kind.toQualString() + ")");
            effects_.reads_later = true;
        } else if (updates_statistics(node)) {
            keeps(std::string(kind.toQualString()) + " may update its statistics");
            effects_.writes = true;
        }
        for (const auto name : node->attributeNames()) {
            if (node->kindOf(name) == AttributeKind::gs) {
                keeps(std::string("it runs what is not known (") + kind.toQualString() + ")");
                effects_.reads_later = true;
            }
        }
        for_graphs(node, [&](c10::Symbol, const std::shared_ptr<Graph> &graph) {
            // It may go on when the run has ended.
            effects_.reads_later = true;
            Walk(graph, effects_);
        });
        visit_writes(node);
    }

    void visit_writes(Node *node) {
        const auto *called = node->maybeOperator();
        const auto *schema = node->maybeSchema();
        if (called == nullptr || schema == nullptr) {
            return;
        }
        const bool writes_all = called->aliasAnalysisKind() == c10::AliasAnalysisKind::CONSERVATIVE;
        for (size_t i = 0; i < node->inputs().size(); ++i) {
            // Beyond the schema's arguments are those of a variable number.
            const auto *alias = i < schema->arguments().size() ? schema->arguments()[i].alias_info() : nullptr;
            if (!writes_all && (alias == nullptr || !alias->isWrite())) {
                continue;
            }
            effects_.writes = true;
            // With what both contain; nothing is an alias of what cannot be written to, such as a number.
            if (aliases_.mayContainAlias(node->input(i), own_)) {
                keeps(std::string(node->kind().toQualString()) + " may write to what belongs to the module");
            }
        }
    }

    // Whether it may be a normalisation that updates the module's statistics, which its schema does not say.
    static bool updates_statistics(const Node *node) {
        const auto *schema = node->maybeSchema();
        if (schema == nullptr) {
            return false;
        }
        bool has_statistics = false;
        for (size_t i = 0; i < schema->arguments().size() && i < node->inputs().size(); ++i) {
            const std::string &name = schema->arguments()[i].name();
            if (name == "training" || name == "train" || name == "use_input_stats") {
                if (known(node->input(i)) == false) {
                    return false;
                }
            } else if (name == "running_mean" || name == "running_var") {
                has_statistics |= node->input(i)->type()->kind() != c10::TypeKind::NoneType;
            }
        }
        return has_statistics;
    }

    const AliasDb aliases_;
    std::vector<Value *> own_;
    Effects &effects_;
};

} // namespace

Effects effects_of(Graph &code, const torch::jit::Module &module) {
    Effects effects;
    auto graph = Preparation::prepared(code, module, effects.is_training);
    {
        const AliasDb aliases(graph);
        for (size_t i = 1; i < graph->inputs().size(); ++i) {
            effects.are_inputs_written.push_back(aliases.hasWriters(graph->inputs()[i]));
        }
    }
    // A tensor that may be written to is copied before the run: that copy is the run's own.
    torch::jit::WithInsertPoint start(*graph->block()->nodes().begin());
    for (size_t i = 1; i < graph->inputs().size(); ++i) {
        Value *input = graph->inputs()[i];
        if (effects.are_inputs_written[i - 1] && input->type()->kind() == c10::TypeKind::TensorType) {
            Value *copy = graph->insert(c10::aten::clone, {input});
            input->replaceAllUsesAfterNodeWith(copy->node(), copy);
        }
    }
    Walk(graph, effects);
    return effects;
}

} // namespace hippocamp
