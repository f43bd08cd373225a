// Answers in Prometheus's JSON.
//
//   {"status":"success","data":...,"warnings":[...],"infos":[...]}
//   {"status":"error","errorType":"bad_data","error":"..."}

#pragma once

#include "core/json_writer.h"
#include "core/result.h"
#include "model/labels.h"
#include "net/http.h"
#include "promql/value.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace api {

inline constexpr std::string_view kTruncated = "results truncated due to limit";

// Collects the body of a success. Write the data into json(), once.
class Answer {
 public:
  Answer() { body_ = "{\"status\":\"success\",\"data\":"; }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  core::JsonWriter& json() { return json_; }
  // The body so far, for writers that append to it directly.
  std::string& body() { return body_; }
  net::Response finish(std::span<const std::string> warnings = {},
                       std::span<const std::string> infos = {}) &&;

 private:
  std::string body_;
  core::JsonWriter json_{body_};
};

net::Response error_response(int status, std::string_view error_type, std::string_view message);
net::Response error_response(const core::Error& error);
// The same as plain text, for the write path and the management endpoints.
net::Response text_error_response(const core::Error& error);

// {"__name__":"up","job":"x"}
void append_labels(std::string& out, model::LabelsView labels);
// A sample's value as encoding of vectors and matrices prints it: with an exponent below
// 1e-6 and from 1e21 on. Not quoted.
void append_sample_value(std::string& out, double value);
// {"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}
void append_histogram(std::string& out, const model::Histogram& histogram);
// The value of "result": an array.
void append_value(std::string& out, const promql::Value& value);
// Go's strconv.FormatFloat(value, 'e', -1, 64), which alerts use: 7e+00.
std::string format_float_e(double value);

}  // namespace api
