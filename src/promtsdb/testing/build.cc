#include "promtsdb/testing/build.h"

#include "core/crc32c.h"
#include "core/varint.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <snappy.h>
#include <zstd.h>

namespace promtsdb::testing {

void append_be32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
void append_be64(std::string& out, uint64_t value) {
  append_be32(out, static_cast<uint32_t>(value >> 32U));
  append_be32(out, static_cast<uint32_t>(value));
}

void BitWriter::write(uint64_t value, unsigned count) {
  while (count > 0) {
    if (free_ == 0) {
      bytes_.push_back('\0');
      free_ = 8;
    }
    const bool bit = ((value >> (count - 1)) & 1U) != 0;
    if (bit) bytes_.back() = static_cast<char>(bytes_.back() | (1 << (free_ - 1)));
    --free_;
    --count;
  }
}

namespace {

constexpr unsigned kSizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

void write_prefix(BitWriter& bits, unsigned kind, unsigned most) {
  for (unsigned i = 0; i < kind; ++i) bits.write(1, 1);
  if (kind < most) bits.write(0, 1);
}

bool fits(int64_t value, unsigned size) {
  return size >= 64 ||
         (value >= -((int64_t{1} << (size - 1)) - 1) && value <= int64_t{1} << (size - 1));
}

void write_xor(BitWriter& bits, double value, double before) {
  const uint64_t delta = std::bit_cast<uint64_t>(value) ^ std::bit_cast<uint64_t>(before);
  bits.write(delta != 0, 1);
  if (delta == 0) return;
  const auto leading = std::min(static_cast<unsigned>(std::countl_zero(delta)), 31U);
  const auto trailing = static_cast<unsigned>(std::countr_zero(delta));
  const unsigned size = 64 - leading - trailing;
  bits.write(1, 1);
  bits.write(leading, 5);
  bits.write(size & 63U, 6);
  bits.write(delta >> trailing, size);
}

void write_varint(BitWriter& bits, uint64_t value) {
  std::string bytes;
  core::append_varint(bytes, value);
  for (const char c : bytes) bits.write(static_cast<uint8_t>(c), 8);
}

}  // namespace

void BitWriter::varbit_int(int64_t value) {
  unsigned kind = 0;
  if (value != 0) {
    for (kind = 1; !fits(value, kSizes[kind]); ++kind) {
    }
  }
  write_prefix(*this, kind, 8);
  if (kind != 0) write(static_cast<uint64_t>(value), kSizes[kind]);
}

void BitWriter::varbit_uint(uint64_t value) {
  unsigned kind = 0;
  if (value != 0) {
    for (kind = 1; kSizes[kind] < 64 && value >> kSizes[kind] != 0; ++kind) {
    }
  }
  write_prefix(*this, kind, 8);
  if (kind != 0) write(value, kSizes[kind]);
}

std::string xor_chunk(const Samples& samples) {
  BitWriter bits;
  bits.write(samples.size(), 16);
  int64_t delta = 0;
  constexpr unsigned kTimeSizes[] = {0, 14, 17, 20, 64};
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto [time, value] = samples[i];
    if (i == 0) {
      write_varint(bits, core::zigzag(time));
      bits.write(std::bit_cast<uint64_t>(value), 64);
      continue;
    }
    const int64_t next = time - samples[i - 1].first;
    if (i == 1) {
      write_varint(bits, static_cast<uint64_t>(next));
    } else {
      const int64_t change = next - delta;
      unsigned kind = 0;
      if (change != 0) {
        for (kind = 1; !fits(change, kTimeSizes[kind]); ++kind) {
        }
      }
      write_prefix(bits, kind, 4);
      if (kind != 0) bits.write(static_cast<uint64_t>(change), kTimeSizes[kind]);
    }
    delta = next;
    write_xor(bits, value, samples[i - 1].second);
  }
  return bits.bytes();
}

std::string stored_chunk(uint8_t encoding, std::string_view data) {
  std::string out;
  core::append_varint(out, data.size());
  std::string checked(1, static_cast<char>(encoding));
  checked.append(data);
  out += checked;
  append_be32(out, core::crc32c(checked));
  return out;
}

std::string chunk_file(const std::vector<std::string>& chunks, std::vector<uint64_t>& offsets) {
  std::string out;
  append_be32(out, 0x85BD40DD);
  out += std::string("\1\0\0\0", 4);
  for (const std::string& chunk : chunks) {
    offsets.push_back(out.size());
    out += chunk;
  }
  return out;
}

std::string index_file(const std::vector<IndexEntry>& series, uint8_t version,
                       std::vector<uint64_t>& begins) {
  std::string out;
  append_be32(out, 0xBAAAD700);
  out.push_back(static_cast<char>(version));
  std::set<std::string> texts;
  for (const IndexEntry& one : series) {
    for (const auto& [name, value] : one.labels) texts.insert({name, value});
  }
  std::map<std::string, uint32_t> refs;
  std::string symbols;
  append_be32(symbols, static_cast<uint32_t>(texts.size()));
  const size_t symbols_at = out.size();
  for (const std::string& text : texts) {
    refs[text] =
        static_cast<uint32_t>(version == 1 ? symbols_at + 4 + symbols.size() : refs.size());
    core::append_string(symbols, text);
  }
  append_be32(out, static_cast<uint32_t>(symbols.size()));
  out += symbols;
  append_be32(out, core::crc32c(symbols));
  const size_t series_at = out.size();
  for (const IndexEntry& one : series) {
    out.resize((out.size() + 15) / 16 * 16);
    begins.push_back(out.size());
    std::string body;
    core::append_varint(body, one.labels.size());
    for (const auto& [name, value] : one.labels) {
      core::append_varint(body, refs[name]);
      core::append_varint(body, refs[value]);
    }
    core::append_varint(body, one.chunks.size());
    for (size_t i = 0; i < one.chunks.size(); ++i) {
      const IndexEntry::Chunk& chunk = one.chunks[i];
      if (i == 0) {
        core::append_zigzag(body, chunk.min_ms);
      } else {
        core::append_varint(body, static_cast<uint64_t>(chunk.min_ms - one.chunks[i - 1].max_ms));
      }
      core::append_varint(body, static_cast<uint64_t>(chunk.max_ms - chunk.min_ms));
      if (i == 0) {
        core::append_varint(body, chunk.ref);
      } else {
        core::append_zigzag(body, static_cast<int64_t>(chunk.ref - one.chunks[i - 1].ref));
      }
    }
    core::append_varint(out, body.size());
    out += body;
    append_be32(out, core::crc32c(body));
  }
  const size_t end = out.size();
  std::string toc;
  for (const size_t offset : {symbols_at, series_at, end, end, end, end}) append_be64(toc, offset);
  out += toc;
  append_be32(out, core::crc32c(toc));
  return out;
}

std::string log_segment(const std::vector<std::string>& records, uint8_t compression) {
  constexpr size_t kPage = 32768;
  constexpr size_t kHeader = 7;
  std::string out;
  for (std::string record : records) {
    if (compression == 8) {
      std::string packed;
      snappy::Compress(record.data(), record.size(), &packed);
      record = packed;
    } else if (compression == 16) {
      std::string packed(ZSTD_compressBound(record.size()), '\0');
      packed.resize(ZSTD_compress(packed.data(), packed.size(), record.data(), record.size(), 1));
      record = packed;
    }
    size_t at = 0;
    bool first = true;
    do {
      size_t left = kPage - out.size() % kPage;
      if (left <= kHeader) {
        out.append(left, '\0');
        left = kPage;
      }
      const size_t size = std::min(record.size() - at, left - kHeader);
      const bool last = at + size == record.size();
      const uint8_t type = first ? (last ? 1 : 2) : (last ? 4 : 3);
      const std::string_view data = std::string_view(record).substr(at, size);
      out.push_back(static_cast<char>(type | compression));
      out.push_back(static_cast<char>(size >> 8U));
      out.push_back(static_cast<char>(size));
      append_be32(out, core::crc32c(data));
      out += data;
      at += size;
      first = false;
    } while (at < record.size());
  }
  return out;
}

std::string series_record(uint64_t ref,
                          const std::vector<std::pair<std::string, std::string>>& labels) {
  std::string out(1, '\1');
  append_be64(out, ref);
  core::append_varint(out, labels.size());
  for (const auto& [name, value] : labels) {
    core::append_string(out, name);
    core::append_string(out, value);
  }
  return out;
}

std::string samples_record(
    const std::vector<std::pair<uint64_t, std::pair<int64_t, double>>>& all) {
  std::string out(1, '\2');
  const auto& [ref, first] = all.front();
  append_be64(out, ref);
  append_be64(out, static_cast<uint64_t>(first.first));
  for (const auto& [one, sample] : all) {
    core::append_zigzag(out, static_cast<int64_t>(one - ref));
    core::append_zigzag(out, sample.first - first.first);
    append_be64(out, std::bit_cast<uint64_t>(sample.second));
  }
  return out;
}

std::string head_chunk(uint64_t ref, int64_t min_ms, int64_t max_ms, uint8_t encoding,
                       std::string_view data) {
  std::string out;
  append_be64(out, ref);
  append_be64(out, static_cast<uint64_t>(min_ms));
  append_be64(out, static_cast<uint64_t>(max_ms));
  out.push_back(static_cast<char>(encoding));
  core::append_varint(out, data.size());
  out += data;
  append_be32(out, core::crc32c(out));
  return out;
}

std::string head_chunk_file(const std::vector<std::string>& chunks) {
  std::string out;
  append_be32(out, 0x0130BC91);
  out += std::string("\1\0\0\0", 4);
  for (const std::string& chunk : chunks) out += chunk;
  return out;
}

std::string tombstones_file(
    const std::vector<std::pair<uint64_t, std::pair<int64_t, int64_t>>>& all) {
  std::string out;
  append_be32(out, 0x0130BA30);
  out.push_back('\1');
  std::string stones;
  for (const auto& [ref, interval] : all) {
    core::append_varint(stones, ref);
    core::append_zigzag(stones, interval.first);
    core::append_zigzag(stones, interval.second);
  }
  out += stones;
  append_be32(out, core::crc32c(stones));
  return out;
}

}  // namespace promtsdb::testing
