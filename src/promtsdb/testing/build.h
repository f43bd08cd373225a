// Writes what Prometheus writes, for tests: from the format's description, not from the reader.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace promtsdb::testing {

void append_be32(std::string& out, uint32_t value);
void append_be64(std::string& out, uint64_t value);

// Bits, most significant first.
class BitWriter {
 public:
  void write(uint64_t value, unsigned count);
  // Prometheus's variable sizes: integers in histogram chunks, time differences in float ones.
  void varbit_int(int64_t value);
  void varbit_uint(uint64_t value);
  std::string bytes() const { return bytes_; }

 private:
  std::string bytes_;
  unsigned free_ = 0;  // bits of the last byte
};

using Samples = std::vector<std::pair<int64_t, double>>;
std::string xor_chunk(const Samples& samples);

// A chunk as a block's chunk file has it.
std::string stored_chunk(uint8_t encoding, std::string_view data);
// A chunk file with these chunks; `offsets` gets where each begins.
std::string chunk_file(const std::vector<std::string>& chunks, std::vector<uint64_t>& offsets);

struct IndexEntry {
  std::vector<std::pair<std::string, std::string>> labels;
  struct Chunk {
    int64_t min_ms, max_ms;
    uint64_t ref;
  };
  std::vector<Chunk> chunks;
};
// An index of version 1 or 2; `begins` gets the offset of each series.
std::string index_file(const std::vector<IndexEntry>& series, uint8_t version,
                       std::vector<uint64_t>& begins);

// One log segment with these records, each split where a page ends.
std::string log_segment(const std::vector<std::string>& records, uint8_t compression = 0);
std::string series_record(uint64_t ref,
                          const std::vector<std::pair<std::string, std::string>>& labels);
std::string samples_record(const std::vector<std::pair<uint64_t, std::pair<int64_t, double>>>& all);
std::string head_chunk(uint64_t ref, int64_t min_ms, int64_t max_ms, uint8_t encoding,
                       std::string_view data);
std::string head_chunk_file(const std::vector<std::string>& chunks);
std::string tombstones_file(
    const std::vector<std::pair<uint64_t, std::pair<int64_t, int64_t>>>& all);

}  // namespace promtsdb::testing
