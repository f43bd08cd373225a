// Writes JSON into a string. Numbers the way Prometheus prints sample values.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace core {

// `text` quoted and escaped (RFC 8259); invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// Shortest digits that read back to `value`, as Prometheus's API prints sample values
// (util/jsonutil): an exponent below 1e-6 and from 1e21 on; "NaN", "+Inf", "-Inf" unquoted.
void append_float(std::string& out, double value);
// Milliseconds as seconds with up to three decimals: 1435781451.781
void append_timestamp(std::string& out, int64_t time_ms);

// Commas and brackets in the right places. Misnesting is a bug (not checked).
//
//   JsonWriter json(out);
//   json.object().key("status").value("success").key("data").array().value(1).end().end();
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& object() { return open('{', '}'); }
  JsonWriter& array() { return open('[', ']'); }
  JsonWriter& end() {
    out_ += closers_.back();
    closers_.pop_back();
    need_comma_ = true;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    comma();
    append_json_string(out_, name);
    out_ += ':';
    need_comma_ = false;
    return *this;
  }
  JsonWriter& value(std::string_view text) {
    comma();
    append_json_string(out_, text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
  JsonWriter& value(int64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(uint64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(int number) { return raw(std::to_string(number)); }
  // A JSON number; NaN and infinities, which JSON lacks, become null.
  JsonWriter& value(double number);
  JsonWriter& null() { return raw("null"); }
  // `json` is already JSON.
  JsonWriter& raw(std::string_view json) {
    comma();
    out_.append(json);
    return *this;
  }

 private:
  JsonWriter& open(char opener, char closer) {
    comma();
    out_ += opener;
    closers_ += closer;
    need_comma_ = false;
    return *this;
  }
  void comma() {
    if (need_comma_) out_ += ',';
    need_comma_ = true;
  }

  std::string& out_;
  std::string closers_;
  bool need_comma_ = false;
};

}  // namespace core
