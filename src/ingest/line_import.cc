#include "ingest/line_import.h"

#include "ingest/data_point.h"
#include "ingest/refusals.h"

#include <array>

namespace ingest {

using core::ErrorCode;
using core::Result;
using storage::RefusalReason;

namespace {

constexpr std::string_view kBlanks = " \t";
constexpr size_t kFieldCount = 4;
constexpr std::array<std::string_view, kFieldCount> kFieldNames = {"metric", "labels", "timestamp",
                                                                   "value"};

struct Field {
  std::string_view text;
  size_t column = 0;  // of its first byte, counted from 1
};

class Decoder {
 public:
  Decoder(const Limits& limits, storage::WriteBatch& batch, storage::AppendSummary& refused)
      : limits_(limits), batch_(batch), refused_(refused) {}

  Result<void> body(std::string_view text) {
    while (!text.empty()) {
      ++line_;
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view one = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (one.ends_with('\r')) one.remove_suffix(1);
      const size_t begin = one.find_first_not_of(kBlanks);
      if (begin == one.npos || one[begin] == '#') continue;
      if (++point_count_ > limits_.samples_max) {
        return core::fail(ErrorCode::TooLarge, "line {}: more than {} points in one request ({})",
                          line_, limits_.samples_max, limit_key(&Limits::samples_max));
      }
      line(one);
    }
    return {};
  }

 private:
  void line(std::string_view text) {
    std::array<Field, kFieldCount> fields;
    if (!split(text, fields)) return;
    labels_.clear();
    if (fields[1].text != "-") {
      const Result<void> split_up = split_labels(fields[1].text, '=', labels_);
      if (!split_up) {
        return refuse(RefusalReason::InvalidLabels, fields[1].column, "labels: ", split_up.error());
      }
    }
    const Result<int64_t> time_ms = parse_point_time(fields[2].text);
    if (!time_ms) {
      return refuse(RefusalReason::InvalidSample, fields[2].column, "timestamp: ", time_ms.error());
    }
    const Result<double> value = parse_point_value(fields[3].text);
    if (!value) {
      return refuse(RefusalReason::InvalidSample, fields[3].column, "value: ", value.error());
    }
    const std::string wrong = encode_labels(fields[0].text, labels_, bytes_);
    if (!wrong.empty()) {
      return refuse(RefusalReason::InvalidLabels, fields[0].column, "",
                    core::Error{ErrorCode::InvalidArgument, wrong});
    }
    batch_.begin_series(batch_.keep(bytes_));
    batch_.add_sample(*time_ms, *value);
  }

  bool split(std::string_view text, std::array<Field, kFieldCount>& fields) {
    size_t at = 0;
    for (size_t i = 0; i < kFieldCount; ++i) {
      at = std::min(text.find_first_not_of(kBlanks, at), text.size());
      const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
      if (at == end) {
        refuse(RefusalReason::InvalidSample, at + 1, "",
               core::Error{ErrorCode::InvalidArgument,
                           fmt::format("the line ends, expected the {}", kFieldNames[i])});
        return false;
      }
      fields[i] = {text.substr(at, end - at), at + 1};
      at = end;
    }
    const size_t extra = text.find_first_not_of(kBlanks, at);
    if (extra == text.npos) return true;
    refuse(RefusalReason::InvalidSample, extra + 1, "",
           core::Error{ErrorCode::InvalidArgument,
                       fmt::format("\"{}\" after the value, expected the end of the line "
                                   "(<metric> <labels|-> <timestamp> <value>)",
                                   text.substr(extra, 20))});
    return false;
  }

  void refuse(RefusalReason reason, size_t column, std::string_view what,
              const core::Error& error) {
    refused_.refuse(reason, 1, fmt::format("line {}:{}: {}{}", line_, column, what, error.message));
  }

  const Limits& limits_;
  storage::WriteBatch& batch_;
  storage::AppendSummary& refused_;
  PointLabels labels_;  // of the line in hand
  std::string bytes_;
  size_t line_ = 0;
  size_t point_count_ = 0;
};

}  // namespace

Result<void> decode_line_import(std::string_view body, const Limits& limits,
                                storage::WriteBatch& batch, storage::AppendSummary& refused) {
  const size_t series_size = batch.series.size();
  const size_t samples_size = batch.samples.size();
  storage::AppendSummary found;
  Result<void> result = Decoder(limits, batch, found).body(body);
  if (!result) {
    batch.series.resize(series_size);
    batch.samples.resize(samples_size);
    return result;
  }
  merge_refusals(found, refused);
  return result;
}

}  // namespace ingest
