// Label sets.
//
// A set is kept as bytes in the form remote write uses for `repeated Label labels =
// 1` of a TimeSeries (prometheus/prompb/types.proto): per label
//
//   0x0a, length, 0x0a, name length, name, 0x12, value length, value
//
// so the bytes of a known series in a request can be hashed and looked up as they
// came, without decoding. A set is *canonical* when names are sorted bytewise and
// unique, values are not empty and both are UTF-8; only canonical bytes identify a
// series.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace model {

inline constexpr std::string_view kMetricName = "__name__";

struct Label {
  std::string_view name;
  std::string_view value;

  bool operator==(const Label&) const = default;
  auto operator<=>(const Label&) const = default;
};

// Borrows label bytes. Iterating stops at the first byte that is not a label.
class LabelsView {
 public:
  LabelsView() = default;
  explicit LabelsView(std::string_view bytes) : bytes_(bytes) {}

  class Iterator {
   public:
    explicit Iterator(std::string_view rest) : rest_(rest) { next(); }
    const Label& operator*() const { return label_; }
    const Label* operator->() const { return &label_; }
    Iterator& operator++() {
      next();
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    void next();

    std::string_view rest_;
    const char* at_ = nullptr;  // where label_ starts; the end of the bytes after the last
    Label label_;
  };

  Iterator begin() const { return Iterator(bytes_); }
  Iterator end() const { return Iterator(bytes_.substr(bytes_.size())); }
  bool empty() const { return bytes_.empty(); }
  std::string_view bytes() const { return bytes_; }
  // The value, or "" when the name is absent (which PromQL does not tell apart).
  std::string_view get(std::string_view name) const;
  std::string_view metric_name() const { return get(kMetricName); }
  // name{a="1",b="2"}: names that need it are quoted, as Prometheus 3 prints them.
  std::string to_string() const;

 private:
  std::string_view bytes_;
};

// Prometheus's order of label sets: pairwise by name, then value, shorter first.
int compare(LabelsView a, LabelsView b);

// An owned canonical label set. Value type.
class Labels {
 public:
  Labels() = default;
  // Sorts; drops empty values; of a repeated name the last one stays. For labels that
  // were already judged: bytes from outside go through canonical().
  static Labels of(std::vector<std::pair<std::string, std::string>> pairs);
  // Precondition: `bytes` are canonical.
  static Labels from_canonical(std::string_view bytes) { return Labels(std::string(bytes)); }
  static Labels from_canonical(std::string&& bytes) { return Labels(std::move(bytes)); }

  operator LabelsView() const { return view(); }  // NOLINT(google-explicit-constructor)
  LabelsView view() const { return LabelsView(bytes_); }
  LabelsView::Iterator begin() const { return view().begin(); }
  LabelsView::Iterator end() const { return view().end(); }
  const std::string& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  std::string_view get(std::string_view name) const { return view().get(name); }
  std::string_view metric_name() const { return view().metric_name(); }
  std::string to_string() const { return view().to_string(); }

  bool operator==(const Labels& other) const = default;
  bool operator<(const Labels& other) const { return compare(view(), other.view()) < 0; }

 private:
  explicit Labels(std::string bytes) : bytes_(std::move(bytes)) {}

  std::string bytes_;
};

// Edits a label set. An empty value removes the label. Names and values lie in one
// buffer: what get() and for_each() hand out is valid until the next set() or reset().
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(LabelsView base) { reset(base); }
  // Starts again from `base`, keeping the memory.
  void reset(LabelsView base);
  LabelsBuilder& set(std::string_view name, std::string_view value);
  LabelsBuilder& remove(std::string_view name);
  std::string_view get(std::string_view name) const;
  bool empty() const { return entries_.empty(); }
  // visit(Label): what is left of the base in its order, then what was set, in the order
  // of the calls. Relabelling depends on it where two labels are mapped to one name.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : entries_) visit(label_of(entry));
  }
  template <typename Predicate>
  void remove_if(Predicate is_unwanted) {
    size_t kept = 0;
    size_t base_kept = 0;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (is_unwanted(label_of(entries_[i]))) continue;
      base_kept += i < base_count_ ? 1 : 0;
      entries_[kept++] = entries_[i];
    }
    entries_.resize(kept);
    base_count_ = base_kept;
  }
  Labels build() const;

 private:
  struct Entry {  // offsets into bytes_
    uint32_t name_at = 0;
    uint32_t name_size = 0;
    uint32_t value_at = 0;
    uint32_t value_size = 0;
  };
  Label label_of(const Entry& entry) const {
    const std::string_view bytes = bytes_;
    return {bytes.substr(entry.name_at, entry.name_size),
            bytes.substr(entry.value_at, entry.value_size)};
  }
  size_t find(std::string_view name) const;
  uint32_t keep(std::string_view text);

  std::string bytes_;
  std::vector<Entry> entries_;
  size_t base_count_ = 0;  // how many entries at the front are still those of the base
};

// Appends one label to `bytes`; canonical order is the caller's business.
void append_label(std::string& bytes, std::string_view name, std::string_view value);

// Turns label bytes from outside into a canonical set. Labels without a value are
// dropped. Errors (InvalidArgument): malformed bytes, repeated name, empty name, text
// that is not UTF-8, a metric name that is missing or empty.
core::Result<Labels> canonical(LabelsView outside);
// The same test without making a copy; true also implies a metric name.
bool is_canonical(LabelsView labels);

// [a-zA-Z_][a-zA-Z0-9_]*, the names that need no quotes in PromQL (metric names may
// also hold colons).
bool is_legacy_label_name(std::string_view name);
bool is_legacy_metric_name(std::string_view name);

}  // namespace model
