// The protobuf form: MetricFamily messages, each after its length. Turned into the same
// entries in the same order as by Prometheus 3.5's textparse.ProtobufParser: help, unit,
// type, and then per metric its samples; a classic histogram is _count, _sum and the
// buckets, of which +Inf is added when the target left it out.

#include "core/utf8.h"
#include "ingest/exposition_text.h"
#include "ingest/float_text.h"
#include "ingest/metric_family.h"
#include "ingest/wire_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ingest {
namespace {

using model::MetricType;

constexpr std::array<MetricType, kFamilyTypes> kTypes = {
    MetricType::Counter, MetricType::Gauge,     MetricType::Summary,
    MetricType::Unknown, MetricType::Histogram, MetricType::GaugeHistogram};

// How long a length in front of a family may be: of 32 bits.
constexpr ptrdiff_t kLengthSizeMax = 5;

bool ends_with_unit(std::string_view name, std::string_view unit) {
  return name.size() > unit.size() && name.ends_with(unit) &&
         name[name.size() - unit.size() - 1] == '_';
}

// The histogram without buckets of count 0, as Prometheus stores it. Precondition: spans
// and counts agree.
void compact(std::vector<model::BucketSpan>& spans, std::vector<double>& counts) {
  const bool has_empty = std::find(counts.begin(), counts.end(), 0.0) != counts.end();
  bool has_joined = false;
  for (size_t i = 0; i < spans.size(); ++i) {
    has_joined = has_joined || spans[i].length == 0 || (i > 0 && spans[i].offset == 0);
  }
  if (!has_empty && !has_joined) return;
  std::vector<model::BucketSpan> kept;
  size_t from = 0;
  size_t to = 0;
  int64_t index = 0;     // of the bucket being looked at
  int64_t kept_end = 0;  // behind the newest kept one
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i, ++index, ++from) {
      if (counts[from] == 0) continue;
      if (kept.empty() || index != kept_end) {
        kept.push_back({static_cast<int32_t>(index - kept_end), 0});
      }
      ++kept.back().length;
      kept_end = index + 1;
      counts[to++] = counts[from];
    }
  }
  counts.resize(to);
  spans = std::move(kept);
}

bool agree(const std::vector<model::BucketSpan>& spans, const std::vector<double>& counts) {
  uint64_t length = 0;
  for (const model::BucketSpan& span : spans) length += span.length;
  return length == counts.size();
}

// Sums differences up. A sum beyond 64 bits becomes NaN, which contradiction() refuses.
void assign_sums(const std::vector<int64_t>& deltas, std::vector<double>& counts) {
  counts.clear();
  int64_t count = 0;
  bool overflow = false;
  for (const int64_t delta : deltas) {
    overflow = overflow || __builtin_add_overflow(count, delta, &count);
    counts.push_back(overflow ? std::nan("") : static_cast<double>(count));
  }
}

class ProtobufExposition final : public ExpositionParser {
 public:
  ProtobufExposition(std::string_view body, const ExpositionOptions& options)
      : options_(options), body_(body), in_(body) {}

  core::Result<void> next(Entry& entry) override;
  core::Result<void> append_labels(std::string& label_bytes) const override;
  void expect(std::string_view) override {}

 private:
  enum class Step : uint8_t { Family, Help, Unit, Type, Native, Classic };

  // To the next family that has metrics. False at the end.
  core::Result<bool> next_family();
  core::Result<void> check_family() const;
  core::Result<void> start_metric();
  // The entry of the newest metric at part_; false when it has no more.
  core::Result<bool> classic_entry(Entry& entry);
  core::Result<bool> distribution_entry(Entry& entry);
  core::Result<void> native_entry(Entry& entry);
  core::Result<void> add_exemplar(std::string_view bytes, bool needs_timestamp, Entry& entry);
  core::Result<void> add_native_exemplars(Entry& entry);
  void set_series(Entry& entry, EntryKind kind, char part, double bound);

  bool is_histogram() const {
    return type_ == MetricType::Histogram || type_ == MetricType::GaugeHistogram;
  }
  // Whether the newest metric has a native side to be read. One without any observation
  // says so by an empty span.
  bool is_native() const {
    const FamilyDistribution& d = metric_.distribution;
    return options_.native_histograms && is_histogram() &&
           (!d.positive_spans.empty() || !d.negative_spans.empty() || d.zero_threshold > 0 ||
            d.zero_count > 0);
  }
  core::Error malformed(const WireFault& fault) const {
    return {core::ErrorCode::InvalidArgument,
            fmt::format("byte {}: malformed {}", fault.position - body_.data(), fault.what)};
  }
  core::Error wrong(std::string_view what) const {
    return {core::ErrorCode::InvalidArgument,
            fmt::format("byte {}: metric family \"{}\": {}", family_bytes_.data() - body_.data(),
                        family_.name, what)};
  }

  ExpositionOptions options_;
  std::string_view body_;
  WireReader in_;

  Step step_ = Step::Family;
  std::string_view family_bytes_;
  FamilyHeader family_;
  MetricType type_ = MetricType::Unknown;
  bool reads_native_ = false;  // the next metric's native side, see start_metric()
  size_t metric_index_ = 0;
  FamilyMetric metric_;
  ptrdiff_t part_ = 0;  // of a distribution: -2 count, -1 sum, then quantiles or buckets

  // Of the newest series: name and labels as sent, then a letter and the bound, which tell
  // the parts of one metric apart.
  std::string key_;
  size_t key_base_size_ = 0;
  std::string_view suffix_;
  std::string_view bound_name_;  // "le", "quantile" or ""
  double bound_ = 0;

  mutable std::string name_;
  mutable std::string bound_text_;
  mutable std::vector<model::Label> sorted_;
};

core::Result<bool> ProtobufExposition::next_family() {
  WireFault fault;
  do {
    if (in_.at_end()) return false;
    fault = {in_.position(), "length of a MetricFamily"};
    WireReader length = in_;
    uint64_t size = 0;
    if (!length.varint(size) || length.position() - in_.position() > kLengthSizeMax) {
      return tl::unexpected(malformed(fault));
    }
    if (!in_.bytes(family_bytes_)) {
      return core::fail(core::ErrorCode::InvalidArgument,
                        "byte {}: a MetricFamily of {} bytes, but only {} follow",
                        fault.position - body_.data(), size, length.rest().size());
    }
    if (!read_family(family_bytes_, family_, fault)) return tl::unexpected(malformed(fault));
  } while (family_.metrics.empty());
  TRY(check_family());
  type_ = kTypes[family_.type];
  metric_index_ = 0;
  return true;
}

core::Result<void> ProtobufExposition::check_family() const {
  if (family_.name.empty() || !core::is_utf8(family_.name)) {
    return tl::unexpected(wrong("expected a name in UTF-8"));
  }
  if (!core::is_utf8(family_.help)) return tl::unexpected(wrong("expected help in UTF-8"));
  if (family_.type >= kFamilyTypes) {
    return tl::unexpected(wrong(fmt::format("unknown metric type {}", family_.type)));
  }
  std::string_view base = family_.name;
  constexpr std::string_view kTotal = "_total";
  const bool counter = family_.type == static_cast<uint64_t>(FamilyType::Counter);
  if (counter && base.ends_with(kTotal)) base.remove_suffix(kTotal.size());
  if (!family_.unit.empty() && !ends_with_unit(base, family_.unit)) {
    return tl::unexpected(
        wrong(fmt::format("the name does not end with the unit \"{}\"", family_.unit)));
  }
  return {};
}

core::Result<void> ProtobufExposition::start_metric() {
  WireFault fault;
  if (!read_metric(family_.metrics[metric_index_], metric_, fault)) {
    return tl::unexpected(malformed(fault));
  }
  key_.assign(family_.name);
  key_ += '\xff';
  key_ += metric_.label_bytes;
  key_base_size_ = key_.size();
  part_ = -2;
  // As for Prometheus the first metric decides for its family, and a metric that was read
  // by its classic side for the ones after it.
  if (metric_index_ == 0) reads_native_ = is_native();
  ++metric_index_;
  step_ = reads_native_ ? Step::Native : Step::Classic;
  return {};
}

core::Result<void> ProtobufExposition::next(Entry& entry) {
  entry.exemplars.clear();
  entry.timestamp_ms.reset();
  entry.start_timestamp_ms.reset();
  for (;;) {
    switch (step_) {
      case Step::Family:
        if (!TRY(next_family())) {
          entry.kind = EntryKind::End;
          return {};
        }
        entry.kind = EntryKind::Help;
        entry.metric = family_.name;
        entry.text = family_.help;
        step_ = Step::Help;
        return {};
      case Step::Help:
        step_ = Step::Unit;
        if (family_.unit.empty()) continue;
        entry.kind = EntryKind::Unit;
        entry.metric = family_.name;
        entry.text = family_.unit;
        return {};
      case Step::Unit:
        entry.kind = EntryKind::Type;
        entry.metric = family_.name;
        entry.type = type_;
        step_ = Step::Type;
        return {};
      case Step::Type:
        if (metric_index_ == family_.metrics.size()) {
          step_ = Step::Family;
        } else {
          TRY(start_metric());
        }
        continue;
      case Step::Native:
        step_ = Step::Type;
        if (options_.always_classic_histograms && !metric_.distribution.buckets.empty()) {
          step_ = Step::Classic;
          reads_native_ = false;
        }
        return native_entry(entry);
      case Step::Classic:
        if (TRY(classic_entry(entry))) return {};
        if (is_native()) reads_native_ = true;
        step_ = Step::Type;
        continue;
    }
  }
}

void ProtobufExposition::set_series(Entry& entry, EntryKind kind, char part, double bound) {
  key_.resize(key_base_size_);
  key_ += part;
  if (!bound_name_.empty()) core::append_le(key_, bound);
  bound_ = bound;
  entry.kind = kind;
  entry.key = key_;
  if (metric_.timestamp_ms != 0) entry.timestamp_ms = metric_.timestamp_ms;
  if (metric_.created_ms != 0) entry.start_timestamp_ms = metric_.created_ms;
}

core::Result<bool> ProtobufExposition::classic_entry(Entry& entry) {
  if (is_histogram() || type_ == MetricType::Summary) return distribution_entry(entry);
  if (part_ != -2) return false;
  part_ = 0;
  suffix_ = bound_name_ = {};
  entry.value = metric_.value;
  if (type_ != MetricType::Counter) metric_.created_ms = 0;
  set_series(entry, EntryKind::Sample, 'v', 0);
  if (type_ == MetricType::Counter) TRY(add_exemplar(metric_.exemplar, false, entry));
  return true;
}

core::Result<bool> ProtobufExposition::distribution_entry(Entry& entry) {
  const FamilyDistribution& d = metric_.distribution;
  const double count =
      d.count_float != 0 && is_histogram() ? d.count_float : static_cast<double>(d.count);
  const ptrdiff_t part = part_++;
  bound_name_ = suffix_ = {};
  if (part == -2) {
    suffix_ = "_count";
    entry.value = count;
    set_series(entry, EntryKind::Sample, 'c', 0);
    return true;
  }
  if (part == -1) {
    suffix_ = "_sum";
    entry.value = d.sum;
    set_series(entry, EntryKind::Sample, 's', 0);
    return true;
  }
  const auto index = static_cast<size_t>(part);
  if (type_ == MetricType::Summary) {
    if (index >= d.quantiles.size()) return false;
    bound_name_ = "quantile";
    entry.value = d.quantiles[index].value;
    set_series(entry, EntryKind::Sample, 'q', d.quantiles[index].quantile);
    return true;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (index > d.buckets.size()) return false;
  if (index > 0 && d.buckets[index - 1].upper_bound == kInfinity) return false;
  suffix_ = "_bucket";
  bound_name_ = "le";
  if (index == d.buckets.size()) {
    entry.value = count;
    set_series(entry, EntryKind::Sample, 'b', kInfinity);
    return true;
  }
  entry.value = d.buckets[index].count;
  set_series(entry, EntryKind::Sample, 'b', d.buckets[index].upper_bound);
  TRY(add_exemplar(d.buckets[index].exemplar, false, entry));
  return true;
}

core::Result<void> ProtobufExposition::native_entry(Entry& entry) {
  const FamilyDistribution& d = metric_.distribution;
  model::Histogram& h = entry.histogram;
  h.integer_counts = !(d.count_float > 0 || d.zero_count_float > 0);
  h.schema = d.schema;
  h.reset_hint = type_ == MetricType::GaugeHistogram ? model::CounterResetHint::Gauge
                                                     : model::CounterResetHint::Unknown;
  h.zero_threshold = d.zero_threshold;
  h.sum = d.sum;
  h.positive_spans = d.positive_spans;
  h.negative_spans = d.negative_spans;
  h.custom_bounds.clear();
  if (h.integer_counts) {
    h.count = static_cast<double>(d.count);
    h.zero_count = static_cast<double>(d.zero_count);
    assign_sums(d.positive_deltas, h.positive_counts);
    assign_sums(d.negative_deltas, h.negative_counts);
  } else {
    h.count = d.count_float;
    h.zero_count = d.zero_count_float;
    h.positive_counts = d.positive_counts;
    h.negative_counts = d.negative_counts;
  }
  if (agree(h.positive_spans, h.positive_counts)) compact(h.positive_spans, h.positive_counts);
  if (agree(h.negative_spans, h.negative_counts)) compact(h.negative_spans, h.negative_counts);
  const std::string contradicts = contradiction(h);
  if (!contradicts.empty()) {
    return tl::unexpected(wrong(fmt::format("native histogram: {}", contradicts)));
  }
  bound_name_ = suffix_ = {};
  set_series(entry, EntryKind::Histogram, 'h', 0);
  return add_native_exemplars(entry);
}

core::Result<void> ProtobufExposition::add_exemplar(std::string_view bytes, bool needs_timestamp,
                                                    Entry& entry) {
  if (bytes.data() == nullptr) return {};
  WireFault fault;
  FamilyExemplar exemplar;
  if (!read_exemplar(bytes, exemplar, fault)) return tl::unexpected(malformed(fault));
  if (!exemplar.is_valid || (needs_timestamp && !exemplar.has_timestamp)) return {};
  entry.exemplars.push_back(std::move(exemplar.exemplar));
  return {};
}

// A native histogram has its own exemplars; those of its classic buckets count when there
// are none. Without a timestamp they could not be put in order and are dropped.
core::Result<void> ProtobufExposition::add_native_exemplars(Entry& entry) {
  const FamilyDistribution& d = metric_.distribution;
  for (const std::string_view bytes : d.exemplars) TRY(add_exemplar(bytes, true, entry));
  if (!d.exemplars.empty()) return {};
  for (const FamilyBucket& bucket : d.buckets) TRY(add_exemplar(bucket.exemplar, true, entry));
  return {};
}

core::Result<void> ProtobufExposition::append_labels(std::string& label_bytes) const {
  name_.assign(family_.name);
  name_ += suffix_;
  sorted_.assign(metric_.labels.begin(), metric_.labels.end());
  sorted_.push_back({model::kMetricName, name_});
  if (!bound_name_.empty()) {
    bound_text_.clear();
    append_label_float(bound_text_, bound_);
    sorted_.push_back({bound_name_, bound_text_});
  }
  std::sort(sorted_.begin(), sorted_.end());
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const std::string_view name = sorted_[i].name;
    if (i > 0 && name == sorted_[i - 1].name) {
      return tl::unexpected(wrong(fmt::format("label name \"{}\" is not unique", name)));
    }
  }
  for (const model::Label& label : sorted_) {
    if (!label.value.empty()) model::append_label(label_bytes, label.name, label.value);
  }
  return {};
}

}  // namespace

std::unique_ptr<ExpositionParser> make_protobuf_parser(std::string_view body,
                                                       const ExpositionOptions& options) {
  return std::make_unique<ProtobufExposition>(body, options);
}

}  // namespace ingest
