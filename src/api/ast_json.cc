#include "api/ast_json.h"

#include "core/json_writer.h"
#include "promql/functions/table.h"

#include <span>

namespace api {

namespace {

using core::JsonWriter;
using promql::Expr;
using promql::ExprKind;
using promql::ValueType;

std::string_view type_word(ValueType type) {
  switch (type) {
    case ValueType::None:
      return "none";
    case ValueType::Scalar:
      return "scalar";
    case ValueType::InstantVector:
      return "vector";
    case ValueType::RangeVector:
      return "matrix";
    case ValueType::String:
      return "string";
  }
  return "none";
}

std::string_view cardinality_word(promql::Cardinality card) {
  switch (card) {
    case promql::Cardinality::OneToOne:
      return "one-to-one";
    case promql::Cardinality::ManyToOne:
      return "many-to-one";
    case promql::Cardinality::OneToMany:
      return "one-to-many";
    case promql::Cardinality::ManyToMany:
      return "many-to-many";
  }
  return "one-to-one";
}

void write_names(JsonWriter& json, std::string_view key, std::span<const std::string> names) {
  json.key(key).array();
  for (const std::string& name : names) json.value(name);
  json.end();
}

void write_time(JsonWriter& json, const promql::TimeModifier& time) {
  json.key("offset").value(time.offset_ms);
  json.key("timestamp");
  if (time.at == promql::TimeModifier::At::Time) {
    json.value(time.at_ms);
  } else {
    json.null();
  }
  json.key("startOrEnd");
  if (time.at == promql::TimeModifier::At::Start) {
    json.value("start");
  } else if (time.at == promql::TimeModifier::At::End) {
    json.value("end");
  } else {
    json.null();
  }
}

void write_selector(JsonWriter& json, const promql::VectorSelector& selector) {
  json.key("name").value(selector.name);
  json.key("matchers").array();
  for (const model::Matcher& matcher : selector.matchers) {
    json.object().key("name").value(matcher.name()).key("value").value(matcher.value());
    json.key("type").value(model::match_symbol(matcher.type())).end();
  }
  json.end();
  write_time(json, selector.time);
}

void write(JsonWriter& json, const Expr& expr);

void write_or_null(JsonWriter& json, std::string_view key, const Expr* expr) {
  json.key(key);
  if (expr == nullptr) {
    json.null();
  } else {
    write(json, *expr);
  }
}

void write_aggregate(JsonWriter& json, const promql::Aggregate& node) {
  json.key("type").value("aggregation").key("op").value(promql::aggregate_op_text(node.op));
  write_or_null(json, "expr", node.inner.get());
  write_or_null(json, "param", node.parameter.get());
  write_names(json, "grouping", node.grouping);
  json.key("without").value(node.without);
}

void write_binary(JsonWriter& json, const promql::Binary& node) {
  json.key("type").value("binaryExpr").key("op").value(promql::binary_op_text(node.op));
  write_or_null(json, "lhs", node.lhs.get());
  write_or_null(json, "rhs", node.rhs.get());
  json.key("matching");
  const bool joins = promql::type_of(*node.lhs) == ValueType::InstantVector &&
                     promql::type_of(*node.rhs) == ValueType::InstantVector;
  if (joins) {
    json.object().key("card").value(cardinality_word(node.matching.card));
    write_names(json, "labels", node.matching.labels);
    json.key("on").value(node.matching.on);
    write_names(json, "include", node.matching.include);
    json.end();
  } else {
    json.null();
  }
  json.key("bool").value(node.return_bool);
}

void write_call(JsonWriter& json, const promql::Call& node) {
  json.key("type").value("call").key("func").object();
  json.key("name").value(node.function->name).key("argTypes").array();
  for (const ValueType type : node.function->arguments()) json.value(type_word(type));
  json.end().key("variadic").value(node.function->variadic);
  json.key("returnType").value(type_word(node.function->returns)).end();
  json.key("args").array();
  for (const promql::ExprPtr& argument : node.arguments) write(json, *argument);
  json.end();
}

void write(JsonWriter& json, const Expr& expr) {
  json.object();
  switch (expr.kind) {
    case ExprKind::Number: {
      std::string value;
      core::append_float(value, promql::as<promql::NumberLiteral>(expr).value);
      json.key("type").value("numberLiteral").key("val").value(value);
      break;
    }
    case ExprKind::String:
      json.key("type").value("stringLiteral");
      json.key("val").value(promql::as<promql::StringLiteral>(expr).value);
      break;
    case ExprKind::VectorSelector:
      json.key("type").value("vectorSelector");
      write_selector(json, promql::as<promql::VectorSelector>(expr));
      break;
    case ExprKind::MatrixSelector: {
      const auto& node = promql::as<promql::MatrixSelector>(expr);
      json.key("type").value("matrixSelector").key("range").value(node.range_ms);
      write_selector(json, *node.selector);
      break;
    }
    case ExprKind::Subquery: {
      const auto& node = promql::as<promql::Subquery>(expr);
      json.key("type").value("subquery");
      write_or_null(json, "expr", node.inner.get());
      json.key("range").value(node.range_ms).key("step").value(node.step_ms);
      write_time(json, node.time);
      break;
    }
    case ExprKind::Call:
      write_call(json, promql::as<promql::Call>(expr));
      break;
    case ExprKind::Aggregate:
      write_aggregate(json, promql::as<promql::Aggregate>(expr));
      break;
    case ExprKind::Binary:
      write_binary(json, promql::as<promql::Binary>(expr));
      break;
    case ExprKind::Unary: {
      const auto& node = promql::as<promql::Unary>(expr);
      json.key("type").value("unaryExpr").key("op").value(node.negate ? "-" : "+");
      write_or_null(json, "expr", node.inner.get());
      break;
    }
    case ExprKind::Paren:
      json.key("type").value("parenExpr");
      write_or_null(json, "expr", promql::as<promql::Paren>(expr).inner.get());
      break;
  }
  json.end();
}

}  // namespace

void append_ast(std::string& out, const Expr& expr) {
  JsonWriter json(out);
  write(json, expr);
}

}  // namespace api
