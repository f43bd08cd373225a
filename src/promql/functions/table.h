// Every PromQL function: its signature, which the parser checks, and what computes it.
//
// To add one: write it in the file of its family, add a row in table.cc.

#pragma once

#include "core/result.h"
#include "promql/ast.h"

#include <array>
#include <memory>
#include <span>
#include <string_view>

namespace promql {

struct Column;
struct Context;
struct RangeCall;
struct RangeSeries;
class VectorOperator;

// f(x) of every float; histograms are left out; the metric name is dropped.
using MathFunction = double (*)(double);
// All steps of one series of a range vector.
using RangeFunction = void (*)(const RangeCall& call, const RangeSeries& series, Column& out);
// Everything else builds an operator of its own.
using BuildFunction = core::Result<std::unique_ptr<VectorOperator>> (*)(const Call& call,
                                                                        const Context& context);

struct Signature {
  std::string_view name;
  ValueType returns = ValueType::InstantVector;
  std::array<ValueType, 5> argument_types{};
  uint8_t argument_count = 0;
  int variadic = 0;  // how many more (of the last type) may come, -1: any number; the last
                     // listed argument is then optional
  bool experimental = false;
  MathFunction math = nullptr;
  RangeFunction range = nullptr;
  BuildFunction build = nullptr;
  bool keeps_name = false;  // last_over_time and its like

  std::span<const ValueType> arguments() const {
    return std::span(argument_types).first(argument_count);
  }
};

// nullptr when there is none.
const Signature* find_function(std::string_view name);

}  // namespace promql
