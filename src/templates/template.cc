#include "templates/template.h"

#include "templates/functions.h"
#include "templates/lexer.h"
#include "templates/tree.h"

#include <fmt/format.h>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

// Bounds of one expansion: a label or annotation is a few lines.
constexpr size_t kOutputSizeMax = 1U << 20;
constexpr size_t kStepsMax = 1'000'000;
constexpr size_t kTemplateDepthMax = 100;

enum class Flow { Next, Break, Continue };

class Interpreter {
 public:
  Interpreter(const Tree& tree, const Data& data) : tree_(tree), data_(data) {}

  Result<std::string> run() {
    const Value root = root_value(data_);
    variables_ = {{"$", root}};
    for (const auto& [name, field] : {std::pair{"$labels", "Labels"},
                                      {"$value", "Value"},
                                      {"$externalLabels", "ExternalLabels"},
                                      {"$externalURL", "ExternalURL"}}) {
      variables_.emplace_back(name, root.record()->fields.at(field));
    }
    TRY(run_list(tree_.root, root));
    return std::move(out_);
  }

 private:
  Result<Flow> run_list(const std::vector<Node>& nodes, const Value& dot) {
    for (const Node& node : nodes) {
      const Flow flow = TRY(run_node(node, dot));
      if (flow != Flow::Next) return flow;
    }
    return Flow::Next;
  }

  Result<void> count_step(Place place) {
    if (++steps_ > kStepsMax || out_.size() > kOutputSizeMax) {
      return core::fail(ErrorCode::LimitExceeded, "{}:{}: template runs too long", place.line,
                        place.column);
    }
    return {};
  }

  Result<Flow> run_node(const Node& node, const Value& dot) {
    TRY(count_step(node.place));
    const size_t variables_before = variables_.size();
    switch (node.kind) {
      case Node::Kind::Text:
        out_ += node.text;
        return Flow::Next;
      case Node::Kind::Break:
        return Flow::Break;
      case Node::Kind::Continue:
        return Flow::Continue;
      case Node::Kind::Action: {
        const Value value = TRY(evaluate(node.pipeline, dot));
        if (node.pipeline.variables.empty()) out_ += print(value);
        return Flow::Next;
      }
      case Node::Kind::If:
      case Node::Kind::With: {
        const Value value = TRY(evaluate(node.pipeline, dot));
        const bool is_with = node.kind == Node::Kind::With;
        const Flow flow = value.truth() ? TRY(run_list(node.body, is_with ? value : dot))
                                        : TRY(run_list(node.otherwise, dot));
        variables_.resize(variables_before);
        return flow;
      }
      case Node::Kind::Range: {
        const Flow flow = TRY(run_range(node, dot));
        variables_.resize(variables_before);
        return flow;
      }
      case Node::Kind::Template:
        TRY(run_template(node, dot));
        return Flow::Next;
    }
    return Flow::Next;
  }

  Result<Flow> run_range(const Node& node, const Value& dot) {
    Pipeline pipeline = node.pipeline;
    const std::vector<std::string> names = std::exchange(pipeline.variables, {});
    const Value over = TRY(evaluate(pipeline, dot));
    std::vector<std::pair<Value, Value>> elements;
    if (const List* list = over.list()) {
      for (size_t i = 0; i < list->size(); ++i) {
        elements.emplace_back(Value(static_cast<int64_t>(i)), (*list)[i]);
      }
    } else if (const Record* record = over.record(); record != nullptr && !record->is_struct) {
      for (const auto& [name, field] : record->fields) elements.emplace_back(Value(name), field);
    } else if (const int64_t* count = over.get<int64_t>()) {
      if (*count > static_cast<int64_t>(kStepsMax)) TRY(too_long(node.place));
      for (int64_t i = 0; i < *count; ++i) elements.emplace_back(Value(i), Value(i));
    } else if (!over.is_nil()) {
      return error_at(node.place, fmt::format("range can't iterate over {}", over.type_name()));
    }
    if (elements.empty()) return run_list(node.otherwise, dot);

    const size_t variables_before = variables_.size();
    for (const auto& [key, element] : elements) {
      TRY(count_step(node.place));
      // $x := range gives elements, $i, $x := range gives both.
      if (names.size() == 1) set(names[0], element, pipeline.declares);
      if (names.size() == 2) {
        set(names[0], key, pipeline.declares);
        set(names[1], element, pipeline.declares);
      }
      const Flow flow = TRY(run_list(node.body, element));
      variables_.resize(variables_before);
      if (flow == Flow::Break) break;
    }
    return Flow::Next;
  }

  static Result<void> too_long(Place place) {
    return core::fail(ErrorCode::LimitExceeded, "{}:{}: template runs too long", place.line,
                      place.column);
  }

  Result<void> run_template(const Node& node, const Value& dot) {
    const auto found = tree_.defined.find(node.text);
    if (found == tree_.defined.end()) {
      return error_at(node.place, fmt::format("template \"{}\" not defined", node.text));
    }
    if (++depth_ > kTemplateDepthMax) return too_long(node.place);
    const Value argument = node.has_pipeline ? TRY(evaluate(node.pipeline, dot)) : Value();
    std::vector<std::pair<std::string, Value>> outer{{"$", argument}};
    std::swap(outer, variables_);
    TRY(run_list(found->second, argument));
    std::swap(outer, variables_);
    --depth_;
    return {};
  }

  void set(const std::string& name, const Value& value, bool declares) {
    if (declares) {
      variables_.emplace_back(name, value);
      return;
    }
    for (size_t i = variables_.size(); i-- > 0;) {
      if (variables_[i].first == name) {
        variables_[i].second = value;
        return;
      }
    }
  }

  Result<Value> evaluate(const Pipeline& pipeline, const Value& dot) {
    Value value;
    bool has_value = false;
    for (const Command& command : pipeline.commands) {
      TRY(count_step(command.place));
      value = TRY(evaluate(command, dot, has_value ? &value : nullptr));
      has_value = true;
    }
    for (const std::string& name : pipeline.variables) set(name, value, pipeline.declares);
    return value;
  }

  Result<Value> evaluate(const Command& command, const Value& dot, const Value* piped) {
    const Operand& head = command.operands[0];
    if (head.kind != Operand::Kind::Function) {
      if (command.operands.size() > 1) {
        return error_at(command.place, "can't give arguments to what is no function");
      }
      return evaluate(head, dot);
    }
    const std::span<const Operand> arguments = std::span(command.operands).subspan(1);
    Value result = TRY(call(head, arguments, dot, piped));
    return fields(std::move(result), head);
  }

  Result<Value> call(const Operand& head, std::span<const Operand> operands, const Value& dot,
                     const Value* piped) {
    const Function* function = find_function(head.name);
    ENSURE(function != nullptr);
    const size_t count = operands.size() + (piped != nullptr ? 1 : 0);
    if (count < function->arguments_min || count > function->arguments_max) {
      return error_at(head.place,
                      fmt::format("wrong number of arguments for {}: {}", head.name, count));
    }
    if (head.name == "and" || head.name == "or") {
      return short_circuit(head.name == "and", operands, dot, piped);
    }
    std::vector<Value> arguments;
    for (const Operand& operand : operands) {
      Value argument = TRY(evaluate(operand, dot));
      arguments.push_back(std::move(argument));
    }
    if (piped != nullptr) arguments.push_back(*piped);
    Result<Value> result = function->call(arguments, data_);
    if (!result) {
      return error_at(head.place,
                      fmt::format("error calling {}: {}", head.name, result.error().message));
    }
    return result;
  }

  Result<Value> short_circuit(bool is_and, std::span<const Operand> operands, const Value& dot,
                              const Value* piped) {
    Value value;
    for (const Operand& operand : operands) {
      value = TRY(evaluate(operand, dot));
      if (value.truth() != is_and) return value;
    }
    return piped != nullptr ? *piped : value;
  }

  Result<Value> evaluate(const Operand& operand, const Value& dot) {
    switch (operand.kind) {
      case Operand::Kind::Dot:
        return fields(dot, operand);
      case Operand::Kind::Constant:
        return fields(operand.constant, operand);
      case Operand::Kind::Variable:
        for (size_t i = variables_.size(); i-- > 0;) {
          if (variables_[i].first == operand.name) return fields(variables_[i].second, operand);
        }
        return error_at(operand.place, fmt::format("undefined variable \"{}\"", operand.name));
      case Operand::Kind::Pipeline: {
        Value value = TRY(evaluate(*operand.pipeline, dot));
        return fields(std::move(value), operand);
      }
      case Operand::Kind::Function: {
        Value value = TRY(call(operand, {}, dot, nullptr));
        return fields(std::move(value), operand);
      }
    }
    return Value();
  }

  static Result<Value> fields(Value value, const Operand& operand) {
    for (const std::string& name : operand.fields) {
      const Record* record = value.record();
      if (record == nullptr) {
        return error_at(operand.place,
                        fmt::format("can't evaluate field {} in type {}", name, value.type_name()));
      }
      const auto found = record->fields.find(name);
      if (found != record->fields.end()) {
        Value next = found->second;
        value = std::move(next);
      } else if (record->is_struct) {
        return error_at(operand.place, fmt::format("can't evaluate field {}", name));
      } else {
        value = Value("");
      }
    }
    return value;
  }

  const Tree& tree_;
  const Data& data_;
  std::string out_;
  std::vector<std::pair<std::string, Value>> variables_;
  size_t steps_ = 0;
  size_t depth_ = 0;
};

}  // namespace

Result<Template> Template::parse(std::string_view text, const ParseOptions& options) {
  Tree tree = TRY(parse_tree(text, options));
  return Template(std::make_shared<const Tree>(std::move(tree)));
}

Result<std::string> Template::expand(const Data& data) const {
  return Interpreter(*tree_, data).run();
}

std::string Template::expand_or_error(const Data& data) const {
  Result<std::string> text = expand(data);
  if (text) return std::move(*text);
  return fmt::format("<error expanding template: {}>", text.error().message);
}

}  // namespace templates
