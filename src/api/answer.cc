#include "api/answer.h"

#include "api/http_status.h"

#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <iterator>

namespace api {

namespace {

void append_list(std::string& body, std::string_view key, std::span<const std::string> items) {
  if (items.empty()) return;
  fmt::format_to(std::back_inserter(body), ",\"{}\":", key);
  core::JsonWriter json(body);
  json.array();
  for (const std::string& item : items) json.value(item);
  json.end();
}

void append_scientific(std::string& out, double value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::scientific);
  out.append(digits.data(), end.ptr);
}

void append_point(std::string& out, const promql::Point& point) {
  out += '[';
  core::append_timestamp(out, point.timestamp_ms);
  out += ',';
  if (point.histogram) {
    append_histogram(out, *point.histogram);
  } else {
    out += '"';
    append_sample_value(out, point.value);
    out += '"';
  }
  out += ']';
}

void append_vector(std::string& out, const promql::Vector& vector) {
  out += '[';
  for (const promql::VectorSample& sample : vector) {
    if (&sample != vector.data()) out += ',';
    out += "{\"metric\":";
    append_labels(out, sample.labels);
    out += sample.point.histogram ? ",\"histogram\":" : ",\"value\":";
    append_point(out, sample.point);
    out += '}';
  }
  out += ']';
}

// The floats, or the histograms, of a series; nothing when it has none.
void append_points(std::string& out, const std::vector<promql::Point>& points, bool histograms) {
  bool is_first = true;
  for (const promql::Point& point : points) {
    if (point.histogram.has_value() != histograms) continue;
    out += !is_first ? "," : histograms ? ",\"histograms\":[" : ",\"values\":[";
    is_first = false;
    append_point(out, point);
  }
  if (!is_first) out += ']';
}

void append_matrix(std::string& out, const promql::Matrix& matrix) {
  out += '[';
  for (const promql::Series& series : matrix) {
    if (&series != matrix.data()) out += ',';
    out += "{\"metric\":";
    append_labels(out, series.labels);
    append_points(out, series.points, false);
    append_points(out, series.points, true);
    out += '}';
  }
  out += ']';
}

}  // namespace

net::Response Answer::finish(std::span<const std::string> warnings,
                             std::span<const std::string> infos) && {
  append_list(body_, "warnings", warnings);
  append_list(body_, "infos", infos);
  body_ += '}';
  return net::Response::json(200, std::move(body_));
}

net::Response error_response(int status, std::string_view error_type, std::string_view message) {
  std::string body;
  core::JsonWriter(body)
      .object()
      .key("status")
      .value("error")
      .key("errorType")
      .value(error_type)
      .key("error")
      .value(message)
      .end();
  net::Response response = net::Response::json(status, std::move(body));
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

net::Response error_response(const core::Error& error) {
  const HttpStatus status = http_status(error.code);
  return error_response(status.status, status.error_type, error.message);
}

net::Response text_error_response(const core::Error& error) {
  const int status = http_status(error.code).status;
  net::Response response = net::Response::text(status, error.message + "\n");
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

void append_labels(std::string& out, model::LabelsView labels) {
  out += '{';
  bool is_first = true;
  for (const model::Label& label : labels) {
    if (!is_first) out += ',';
    is_first = false;
    core::append_json_string(out, label.name);
    out += ':';
    core::append_json_string(out, label.value);
  }
  out += '}';
}

void append_sample_value(std::string& out, double value) {
  const double size = std::abs(value);
  if (std::isfinite(value) && size != 0 && (size < 1e-6 || size >= 1e21)) {
    append_scientific(out, value);
    return;
  }
  core::append_float(out, value);
}

std::string format_float_e(double value) {
  std::string out;
  if (std::isfinite(value)) {
    append_scientific(out, value);
  } else {
    core::append_float(out, value);
  }
  return out;
}

void append_value(std::string& out, const promql::Value& value) {
  if (const auto* const scalar = std::get_if<promql::Scalar>(&value)) {
    out += '[';
    core::append_timestamp(out, scalar->timestamp_ms);
    out += ",\"";
    core::append_float(out, scalar->value);
    out += "\"]";
  } else if (const auto* const text = std::get_if<promql::String>(&value)) {
    out += '[';
    core::append_timestamp(out, text->timestamp_ms);
    out += ',';
    core::append_json_string(out, text->value);
    out += ']';
  } else if (const auto* const vector = std::get_if<promql::Vector>(&value)) {
    append_vector(out, *vector);
  } else {
    append_matrix(out, std::get<promql::Matrix>(value));
  }
}

}  // namespace api
