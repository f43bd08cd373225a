// Administration of the storage: /api/v1/admin/tsdb/*, off unless --web.enable-admin-api.
//
// snapshot, delete_series and clean_tombstones answer as Prometheus's do; flush and compact
// are Petrel's own.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"
#include "core/json_writer.h"
#include "promql/parser.h"

#include <atomic>
#include <optional>

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::JsonWriter;
using core::Result;
using net::Response;

// Each keeps a request worker busy, perhaps for minutes; writes need the others.
constexpr int kOperationsMax = 4;
std::atomic<int> operations_running = 0;

class Operation {
 public:
  Operation() : is_admitted_(operations_running.fetch_add(1) < kOperationsMax) {}
  ~Operation() { operations_running.fetch_sub(1); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  bool is_admitted() const { return is_admitted_; }

 private:
  const bool is_admitted_;
};

// Go's strconv.ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

Response no_content() {
  Response response;
  response.status = 204;
  return response;
}

// Runs one operation of the storage if it is allowed and there is room.
template <typename Run>
Result<Response> administer(const Call& call, Run run) {
  // Prometheus's status for it, though nothing is wrong inside.
  if (!call.options.enable_admin_api) {
    return error_response(500, "unavailable", "admin APIs disabled");
  }
  const TsdbAdmin* const admin = call.services->tsdb_admin;
  if (admin == nullptr) {
    return fail(ErrorCode::Unsupported, "this node has no storage to administer");
  }
  const Operation operation;
  if (!operation.is_admitted()) {
    return fail(ErrorCode::Unavailable,
                "{} operations on the storage are running already; try again when one is done",
                kOperationsMax);
  }
  Result<Response> done = run(*admin);
  // No space, or too many deletions: not a matter of the request, as 422 would say.
  if (!done && done.error().code == ErrorCode::LimitExceeded) {
    done.error().code = ErrorCode::Unavailable;
  }
  return done;
}

Result<Response> snapshot(const Call& call) {
  return administer(call, [&](const TsdbAdmin& admin) -> Result<Response> {
    bool skip_head = false;
    if (const std::string_view text = call.param("skip_head"); !text.empty()) {
      const std::optional<bool> parsed = parse_bool(text);
      if (!parsed) {
        std::string quoted;
        core::append_json_string(quoted, text);
        return tl::unexpected(invalid_parameter(
            "skip_head", fmt::format("unable to parse boolean: strconv.ParseBool: parsing {}: "
                                     "invalid syntax",
                                     quoted)));
      }
      skip_head = *parsed;
    }
    const std::string name = TRY(admin.snapshot(skip_head));
    Answer answer;
    answer.json().object().key("name").value(name).end();
    return std::move(answer).finish();
  });
}

Result<Response> delete_series(const Call& call) {
  return administer(call, [&](const TsdbAdmin& admin) -> Result<Response> {
    const std::vector<std::string_view> texts = call.all("match[]");
    if (texts.empty()) return fail(ErrorCode::InvalidArgument, "no match[] parameter provided");
    const model::TimeRange range = TRY(range_params(call));
    std::vector<model::Matchers> selectors;
    for (const std::string_view text : texts) {
      Result<model::Matchers> matchers = promql::parse_selector(text);
      if (!matchers) return tl::unexpected(invalid_parameter("match[]", matchers.error().message));
      selectors.push_back(std::move(*matchers));
    }
    if (range.start_ms < range.end_ms) TRY(admin.delete_series(call.tenant, selectors, range));
    return no_content();
  });
}

Result<Response> clean_tombstones(const Call& call) {
  return administer(call, [&](const TsdbAdmin& admin) -> Result<Response> {
    TRY(admin.clean_tombstones());
    return no_content();
  });
}

Result<Response> flush(const Call& call) {
  return administer(call, [&](const TsdbAdmin& admin) -> Result<Response> {
    const TsdbFlush done = TRY(admin.flush());
    Answer answer;
    JsonWriter& json = answer.json().object();
    json.key("blocksWritten").value(done.blocks_written);
    json.key("blocksDeleted").value(done.blocks_deleted);
    json.key("seriesDropped").value(done.series_dropped).end();
    return std::move(answer).finish();
  });
}

Result<Response> compact(const Call& call) {
  return administer(call, [&](const TsdbAdmin& admin) -> Result<Response> {
    const TsdbCompaction done = TRY(admin.compact(call.stop));
    Answer answer;
    JsonWriter& json = answer.json().object();
    json.key("merges").value(done.merges).key("blocksRead").value(done.blocks_read);
    json.key("bytesRead").value(done.bytes_read).key("bytesWritten").value(done.bytes_written);
    json.key("samplesDropped").value(done.samples_dropped).end();
    return std::move(answer).finish();
  });
}

constexpr Route kRoutes[] = {
    {"/api/v1/admin/tsdb/snapshot", "POST PUT", snapshot},
    {"/api/v1/admin/tsdb/delete_series", "POST PUT", delete_series},
    {"/api/v1/admin/tsdb/clean_tombstones", "POST PUT", clean_tombstones},
    {"/api/v1/admin/tsdb/flush", "POST PUT", flush},
    {"/api/v1/admin/tsdb/compact", "POST PUT", compact},
};

}  // namespace

std::span<const Route> admin_routes() {
  return kRoutes;
}

}  // namespace api
