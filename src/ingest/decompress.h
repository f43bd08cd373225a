// Undoes the Content-Encoding of a push request, within Limits: the output is never
// larger than decoded_size_max, and nothing is allocated on the word of the sender.

#pragma once

#include "core/result.h"
#include "ingest/limits.h"

#include <string>
#include <string_view>

namespace ingest {

enum class ContentEncoding { Identity, Snappy, Zstd, Gzip, Deflate };

// The value of a Content-Encoding header; "" is Identity. Unsupported otherwise, with
// the accepted ones in the message.
core::Result<ContentEncoding> parse_content_encoding(std::string_view header);

// How much memory decompress() is about to take: what the body says of itself, or a guess.
// Never more than the limits let it take.
size_t decoded_size_hint(ContentEncoding encoding, std::string_view body, const Limits& limits);

// Replaces `out` by the decoded body. Snappy is the block format (the framed one is
// recognised and refused by name). TooLarge: a limit, with its value; InvalidArgument:
// the bytes are not what the encoding says.
core::Result<void> decompress(ContentEncoding encoding, std::string_view body, const Limits& limits,
                              std::string& out);

}  // namespace ingest
