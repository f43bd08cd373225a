#include "templates/interpreter.h"

#include "templates/functions.h"
#include "templates/html_escape.h"
#include "templates/lexer.h"
#include "templates/methods.h"

#include <fmt/format.h>
#include <span>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

// Bounds of one expansion.
constexpr size_t kStepsMax = 1'000'000;
constexpr size_t kTemplateDepthMax = 100;

enum class Flow { Next, Break, Continue };

class Interpreter {
 public:
  Interpreter(const Program& program, std::vector<std::pair<std::string, Value>> variables,
              const Data& data)
      : program_(program), data_(data), variables_(std::move(variables)) {}

  Result<std::string> run(const Value& root) {
    TRY(run_list(program_.tree.root, root));
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
    if (++steps_ > kStepsMax || out_.size() > program_.output_size_max) {
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
        if (node.pipeline.variables.empty()) put(value);
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
    } else if (const Record* record = over.record(); record != nullptr && !record->is_struct()) {
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
    // Kept alive by the tree or the set that holds it.
    const std::vector<Node>* body = find_defined(node.text);
    if (body == nullptr) {
      return error_at(node.place, fmt::format("template \"{}\" not defined", node.text));
    }
    if (++depth_ > kTemplateDepthMax) return too_long(node.place);
    const Value argument = node.has_pipeline ? TRY(evaluate(node.pipeline, dot)) : Value();
    std::vector<std::pair<std::string, Value>> outer{{"$", argument}};
    std::swap(outer, variables_);
    TRY(run_list(*body, argument));
    std::swap(outer, variables_);
    --depth_;
    return {};
  }

  const std::vector<Node>* find_defined(const std::string& name) const {
    for (const Definitions* defined : {&program_.tree.defined, program_.shared}) {
      if (defined == nullptr) continue;
      const auto found = defined->find(name);
      if (found != defined->end()) return found->second.get();
    }
    return nullptr;
  }

  void put(const Value& value) {
    if (program_.escaping == Escaping::Html) {
      out_ += escaped_for(out_, value);
    } else {
      out_ += print(value);
    }
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
    const std::span<const Operand> arguments = std::span(command.operands).subspan(1);
    if (head.kind != Operand::Kind::Function) {
      if (arguments.empty() && piped == nullptr) return evaluate(head, dot);
      return evaluate_method(command, dot, piped);
    }
    Value result = TRY(call(head, arguments, dot, piped));
    return fields(std::move(result), head);
  }

  // `.StartsAt.Format "2006"`: the last field is a method that takes arguments.
  Result<Value> evaluate_method(const Command& command, const Value& dot, const Value* piped) {
    Operand head = command.operands[0];
    if (head.fields.empty()) {
      return error_at(command.place, "can't give arguments to what is no function");
    }
    const std::string name = head.fields.back();
    head.fields.pop_back();
    const Value of = TRY(evaluate(head, dot));
    std::vector<Value> arguments;
    for (const Operand& operand : std::span(command.operands).subspan(1)) {
      arguments.push_back(TRY(evaluate(operand, dot)));
    }
    if (piped != nullptr) arguments.push_back(*piped);
    auto answer = call_method(of, name, arguments);
    if (!answer) {
      return error_at(command.place, fmt::format("{} is not a method of {} with {} arguments", name,
                                                 of.type_name(), arguments.size()));
    }
    if (*answer) return std::move(**answer);
    return error_at(command.place,
                    fmt::format("error calling {}: {}", name, answer->error().message));
  }

  Result<Value> call(const Operand& head, std::span<const Operand> operands, const Value& dot,
                     const Value* piped) {
    const Function* function = find_function(head.name, program_.dialect);
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
      if (auto answer = call_method(value, name, {})) {
        if (!*answer) return error_at(operand.place, answer->error().message);
        value = std::move(**answer);
        continue;
      }
      const Record* record = value.record();
      if (record == nullptr) {
        return error_at(operand.place,
                        fmt::format("can't evaluate field {} in type {}", name, value.type_name()));
      }
      const auto found = record->fields.find(name);
      if (found != record->fields.end()) {
        Value next = found->second;
        value = std::move(next);
      } else if (record->is_struct()) {
        return error_at(operand.place, fmt::format("can't evaluate field {}", name));
      } else {
        value = Value("");
      }
    }
    return value;
  }

  const Program& program_;
  const Data& data_;
  std::string out_;
  std::vector<std::pair<std::string, Value>> variables_;
  size_t steps_ = 0;
  size_t depth_ = 0;
};

}  // namespace

Result<std::string> run_program(const Program& program, const Value& root,
                                std::vector<std::pair<std::string, Value>> variables,
                                const Data& data) {
  variables.insert(variables.begin(), {"$", root});
  return Interpreter(program, std::move(variables), data).run(root);
}

}  // namespace templates
