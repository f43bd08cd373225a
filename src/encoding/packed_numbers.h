// Numbers packed by what they are like: the layer under columns.
//
// The axis is cut into up to eight intervals ("classes"), each as wide as its numbers need; a
// number is stored as its class (0 to 3 bits) and its place in the class. One class is frame
// of reference; several follow distributions with a peak and tails closer than one width can
// (generalised from PFOR, Zukowski et al., ICDE 2006, and from Huffman codes over lengths).
// Numbers outside of all classes are exceptions: positions and values, packed the same way.
// The writer finds intervals by dynamic programming over quantiles.
//
//   head, classes, [exceptions], planes of class bits, numbers     (docs/formats/chunk.md)

#pragma once

#include "encoding/kernels.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace encoding {

// What the writer does for a few bytes less. Quick is for chunks that live for minutes and are
// written anew with what comes next: no dynamic programming, one form and one class.
enum class Effort : uint8_t { Best, Quick };

// Appends 1..1024 numbers.
void append_packed_numbers(std::string& out, std::span<const int64_t> numbers,
                           Effort effort = Effort::Best);

// Takes `count` (1..1024) numbers off the front of `bytes` into `out`, which has room for `count`
// rounded up to whole groups of eight. False when they are malformed.
[[nodiscard]] bool take_packed_numbers(std::string_view& bytes, size_t count, uint64_t* out);

}  // namespace encoding
