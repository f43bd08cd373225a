// Push: remote write and the imports of single data points.
//
//   body > decompress > decode > WriteBatch > SampleSink::append > 204 when durable
//     each step within the limits of the tenant (api/push.h)
//
// The batch and the decompressed bytes belong to the worker thread and are reused, so a
// steady stream of requests allocates nothing here.

#include "api/answer.h"
#include "api/remote_write_media.h"
#include "api/route.h"
#include "core/metrics.h"
#include "ingest/decompress.h"
#include "ingest/json_import.h"
#include "ingest/line_import.h"
#include "ingest/remote_write.h"
#include "ingest/remote_write_v2.h"

#include <fmt/format.h>
#include <string>

namespace api {

namespace {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;
using ingest::ContentEncoding;
using net::Response;
using storage::AppendSummary;
using storage::RefusalReason;

// Above it the memory of an unusually large request is given back.
constexpr size_t kKeepBytesMax = 16 << 20;

struct Scratch {
  std::string decoded;
  storage::WriteBatch batch;
};

// Clears the thread's scratch when the request is over, whatever its outcome: the batch
// borrows from bytes that die with it.
class ScratchUse {
 public:
  ScratchUse() : scratch_(of_thread()) { scratch_.batch.is_pushed = true; }
  ~ScratchUse() {
    scratch_.batch.clear();
    if (scratch_.decoded.capacity() + scratch_.batch.memory_size() > kKeepBytesMax) {
      scratch_ = Scratch{};
    }
  }
  ScratchUse(const ScratchUse&) = delete;
  ScratchUse& operator=(const ScratchUse&) = delete;

  Scratch* operator->() const { return &scratch_; }

 private:
  static Scratch& of_thread() {
    thread_local Scratch scratch;
    return scratch;
  }

  Scratch& scratch_;
};

// Prometheus's words for what its storage refuses.
std::string_view refusal_text(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::InvalidLabels:
      return "invalid labels";
    case RefusalReason::TooOld:
      return "out of bounds";
    case RefusalReason::TooFarAhead:
      return "timestamp too far in the future";
    case RefusalReason::OutOfOrder:
      return "out of order sample";
    case RefusalReason::Conflict:
      return "duplicate sample for timestamp";
    case RefusalReason::InvalidSample:
      return "invalid sample";
    case RefusalReason::LimitExceeded:
      return "limit exceeded";
    case RefusalReason::LabelLimit:
      return "label limit exceeded";
    case RefusalReason::SeriesLimit:
      return "series limit reached";
    case RefusalReason::NewSeriesRate:
      return "too many new series at once";
  }
  return "refused";
}

// The reasons with their counts in the first line, then the first examples.
std::string refusal_message(const AppendSummary& decoding, const AppendSummary& storing) {
  std::string message;
  for (size_t i = 0; i < storage::kRefusalReasonCount; ++i) {
    const uint64_t count = decoding.refused[i] + storing.refused[i];
    if (count == 0) continue;
    fmt::format_to(std::back_inserter(message), "{}{} ({})", message.empty() ? "" : "; ",
                   refusal_text(static_cast<RefusalReason>(i)), count);
  }
  fmt::format_to(std::back_inserter(message), "; {} stored", storing.accepted());
  size_t shown = 0;
  for (const AppendSummary* const summary : {&decoding, &storing}) {
    for (const std::string& example : summary->examples) {
      if (shown++ == AppendSummary::kExamplesMax) return message;
      message += "\n" + example;
    }
  }
  return message;
}

void count_samples(std::string_view protocol, const AppendSummary& decoding,
                   const AppendSummary& storing) {
  // A handful of label values: the registry finds them without keeping pointers here.
  const auto count = [&](std::string_view outcome, uint64_t samples) {
    if (samples == 0) return;
    core::counter("petrel_push_samples_total", "Samples pushed, by what became of them.",
                  {{"protocol", std::string(protocol)}, {"outcome", std::string(outcome)}})
        .add(static_cast<double>(samples));
  };
  count("stored", storing.stored);
  count("duplicate", storing.duplicates);
  count("refused", decoding.refused_total() + storing.refused_total());
}

// Hands the batch to the sink. The error of a refusal is a 400 with all reasons, or a 429
// when some of it is only a matter of time: what was stored is a duplicate then. `storing` says
// even then what was stored.
Result<Response> append(const Call& call, std::string_view protocol,
                        const storage::WriteBatch& batch, const AppendSummary& decoding,
                        AppendSummary& storing) {
  storage::count_refused(call.tenant, decoding);
  TRY(call.push->admit_batch(batch));
  if (!batch.empty()) storing = TRY(call.services->sink->append(batch));
  count_samples(protocol, decoding, storing);
  if (storing.retry_after_ms != 0) {
    Error error{ErrorCode::LimitExceeded, refusal_message(decoding, storing)};
    return tl::unexpected(call.push->come_back(std::move(error), storing.retry_after_ms));
  }
  if (decoding.refused_total() + storing.refused_total() > 0) {
    return fail(ErrorCode::InvalidArgument, "{}", refusal_message(decoding, storing));
  }
  Response response;
  response.status = 204;
  return response;
}

// Decompresses within the tenant's limits and the memory that is left.
Result<void> decode_body(const Call& call, ContentEncoding encoding, std::string& decoded) {
  const std::string_view body = call.request.body;
  TRY(call.push->admit_decoded(ingest::decoded_size_hint(encoding, body, call.push->limits())));
  return ingest::decompress(encoding, body, call.push->limits(), decoded);
}

Result<Response> write_v1(const Call& call, ContentEncoding encoding) {
  const ScratchUse scratch;
  AppendSummary decoding;
  AppendSummary storing;
  scratch->batch.tenant = call.tenant;
  TRY(decode_body(call, encoding, scratch->decoded));
  TRY(ingest::decode_remote_write(scratch->decoded, call.push->limits(), scratch->batch, decoding));
  return append(call, "remote_write", scratch->batch, decoding, storing);
}

Result<Response> write_v2(const Call& call, ContentEncoding encoding, AppendSummary& storing) {
  const ScratchUse scratch;
  AppendSummary decoding;
  scratch->batch.tenant = call.tenant;
  const auto start_times =
      call.options.created_zero_samples ? ingest::StartTimes::Kept : ingest::StartTimes::Ignored;
  TRY(decode_body(call, encoding, scratch->decoded));
  TRY(ingest::decode_remote_write_v2(scratch->decoded, start_times, call.push->limits(),
                                     scratch->batch, decoding));
  return append(call, "remote_write_v2", scratch->batch, decoding, storing);
}

Result<Response> write(const Call& call) {
  const auto media = remote_write_media(call.request);
  if (!media) return Response::text(415, media.error().message + "\n");
  if (media->version == RemoteWriteVersion::V1) return write_v1(call, media->encoding);
  // 2.0 asks for these headers in every answer: a sender must see what a receiver of 1.0
  // only, which decodes nothing and answers 204, does not have.
  AppendSummary storing;
  Result<Response> written = write_v2(call, media->encoding, storing);
  Response response = written ? std::move(*written) : call.push->answer(written.error());
  const auto tell = [&](const char* header, uint64_t count) {
    response.headers.emplace_back(header, std::to_string(count));
  };
  tell("X-Prometheus-Remote-Write-Samples-Written", storing.accepted() - storing.histograms);
  tell("X-Prometheus-Remote-Write-Histograms-Written", storing.histograms);
  tell("X-Prometheus-Remote-Write-Exemplars-Written", storing.exemplars);
  return response;
}

// The body as it was before its Content-Encoding; borrows from the request or `decoded`.
Result<std::string_view> decoded_body(const Call& call, std::string& decoded) {
  const auto encoding =
      TRY(ingest::parse_content_encoding(call.request.header("Content-Encoding").value_or("")));
  if (encoding == ContentEncoding::Identity) return std::string_view(call.request.body);
  TRY(decode_body(call, encoding, decoded));
  return std::string_view(decoded);
}

std::optional<Response> refuse_encoding(const Call& call) {
  const auto encoding =
      ingest::parse_content_encoding(call.request.header("Content-Encoding").value_or(""));
  if (encoding) return std::nullopt;
  return error_response(415, "bad_data", encoding.error().message);
}

Result<Response> import_json(const Call& call) {
  if (auto refused = refuse_encoding(call)) return std::move(*refused);
  const ScratchUse scratch;
  AppendSummary decoding;
  scratch->batch.tenant = call.tenant;
  const std::string_view body = TRY(decoded_body(call, scratch->decoded));
  TRY(ingest::decode_json_import(body, call.clock.now_ms(), call.push->limits(), scratch->batch,
                                 decoding));
  AppendSummary storing;
  return append(call, "json", scratch->batch, decoding, storing);
}

Result<Response> import_lines(const Call& call) {
  if (auto refused = refuse_encoding(call)) return std::move(*refused);
  const ScratchUse scratch;
  AppendSummary decoding;
  scratch->batch.tenant = call.tenant;
  const std::string_view body = TRY(decoded_body(call, scratch->decoded));
  TRY(ingest::decode_line_import(body, call.push->limits(), scratch->batch, decoding));
  AppendSummary storing;
  return append(call, "lines", scratch->batch, decoding, storing);
}

constexpr Route kRoutes[] = {
    {"/api/v1/write", "POST", write, Needs::Services, Errors::Text, Body::Data},
    {"/api/v1/push", "POST", write, Needs::Services, Errors::Text, Body::Data},
    {"/api/v1/import/json", "POST", import_json, Needs::Services, Errors::Json, Body::Data},
    {"/api/v1/push/json", "POST", import_json, Needs::Services, Errors::Json, Body::Data},
    {"/api/v1/import/lines", "POST", import_lines, Needs::Services, Errors::Json, Body::Data},
    {"/api/v1/push/line", "POST", import_lines, Needs::Services, Errors::Json, Body::Data},
};

}  // namespace

std::span<const Route> ingest_routes() {
  return kRoutes;
}

}  // namespace api
