// What series there are: labels, label values, series, metadata.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"
#include "core/text.h"
#include "core/utf8.h"

#include <charconv>
#include <fmt/format.h>

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::Result;
using net::Response;

struct ListRequest {
  storage::LabelsRequest labels;
  uint64_t limit = 0;
};

// One more than the limit is asked for, to know whether anything is cut.
Result<ListRequest> list_request(const Call& call) {
  ListRequest request;
  request.limit = TRY(limit_param(call));
  request.labels.tenant = call.tenant;
  request.labels.range = TRY(range_params(call));
  request.labels.matchers = TRY(match_params(call, "match[]"));
  request.labels.limit = request.limit == 0 ? 0 : request.limit + 1;
  return request;
}

template <typename Item, typename Write>
Response list_response(storage::Listed<Item> items, uint64_t limit, Write write) {
  std::vector<std::string> warnings = std::move(items.warnings);
  if (limit != 0 && items.size() > limit) {
    items.resize(limit);
    warnings.emplace_back(kTruncated);
  }
  Answer answer;
  std::string& body = answer.body();
  body += '[';
  for (const Item& item : items) {
    if (&item != items.data()) body += ',';
    write(body, item);
  }
  body += ']';
  return std::move(answer).finish(warnings);
}

Response name_response(storage::Listed<std::string> names, uint64_t limit) {
  return list_response(std::move(names), limit, [](std::string& body, const std::string& name) {
    core::append_json_string(body, name);
  });
}

Result<Response> labels(const Call& call) {
  const ListRequest request = TRY(list_request(call));
  auto names = TRY(call.services->source->label_names(request.labels));
  return name_response(std::move(names), request.limit);
}

// "U__http_2e_code" stands for "http.code", so that any name fits into a path: "__" is
// an underscore, "_HEX_" a code point (prometheus/common, ValueEncodingEscaping). A name
// that is not of the form stands for itself.
std::string unescape_name(std::string_view name) {
  constexpr std::string_view kPrefix = "U__";
  if (!name.starts_with(kPrefix)) return std::string(name);
  const std::string_view text = name.substr(kPrefix.size());
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '_') {
      out += '_';
      ++i;
      continue;
    }
    uint32_t rune = 0;
    size_t digits = 0;
    for (++i; i < text.size() && core::hex_digit(text[i]) >= 0 && digits <= 6; ++i, ++digits) {
      rune = rune * 16 + static_cast<uint32_t>(core::hex_digit(text[i]));
    }
    const bool is_surrogate = rune >= 0xd800 && rune < 0xe000;
    if (i >= text.size() || text[i] != '_' || digits == 0 || rune > 0x10ffff || is_surrogate) {
      return std::string(name);
    }
    core::append_utf8(out, rune);
  }
  return out;
}

Result<Response> label_values(const Call& call) {
  const std::string name = unescape_name(call.argument);
  if (!core::is_utf8(name)) {
    std::string quoted;
    core::append_json_string(quoted, name);
    return fail(ErrorCode::InvalidArgument, "invalid label name: {}", quoted);
  }
  const ListRequest request = TRY(list_request(call));
  auto values = TRY(call.services->source->label_values(name, request.labels));
  return name_response(std::move(values), request.limit);
}

Result<Response> series(const Call& call) {
  if (call.all("match[]").empty()) {
    return fail(ErrorCode::InvalidArgument, "no match[] parameter provided");
  }
  const ListRequest request = TRY(list_request(call));
  auto found = TRY(call.services->source->series(request.labels));
  return list_response(
      std::move(found), request.limit,
      [](std::string& body, const model::Labels& one) { append_labels(body, one); });
}

// -1 when the parameter is absent.
Result<int64_t> count_param(const Call& call, std::string_view name) {
  const std::string_view text = call.param(name);
  if (text.empty()) return -1;
  int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (stop != text.data() + text.size() || error != std::errc()) {
    return fail(ErrorCode::InvalidArgument, "{} must be a number", name);
  }
  return count;
}

Result<Response> metadata(const Call& call) {
  const int64_t limit = TRY(count_param(call, "limit"));
  const int64_t per_metric = TRY(count_param(call, "limit_per_metric"));
  const auto found =
      TRY(call.services->source->metadata(call.tenant, std::string(call.param("metric"))));
  Answer answer;
  core::JsonWriter& json = answer.json().object();
  int64_t metrics = 0;
  for (size_t i = 0; i < found.size() && (limit < 0 || metrics < limit); ++metrics) {
    const std::string& metric = found[i].metric;
    json.key(metric).array();
    for (int64_t n = 0; i < found.size() && found[i].metric == metric; ++i, ++n) {
      if (per_metric > 0 && n >= per_metric) continue;
      json.object().key("type").value(model::metric_type_name(found[i].type));
      json.key("help").value(found[i].help).key("unit").value(found[i].unit).end();
    }
    json.end();
  }
  json.end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/labels", "GET POST", labels},
    {"/api/v1/label/*/values", "GET", label_values},
    {"/api/v1/series", "GET POST", series},
    {"/api/v1/metadata", "GET", metadata},
};

}  // namespace

std::span<const Route> label_routes() {
  return kRoutes;
}

}  // namespace api
