// Which version of remote write a request's headers announce, and how its body is packed.

#pragma once

#include "core/result.h"
#include "ingest/decompress.h"
#include "net/http.h"

#include <cstdint>

namespace api {

enum class RemoteWriteVersion : uint8_t { V1, V2 };

struct RemoteWriteMedia {
  RemoteWriteVersion version = RemoteWriteVersion::V1;
  ingest::ContentEncoding encoding = ingest::ContentEncoding::Snappy;
};

// As Prometheus: an absent Content-Type is 1.0, an absent Content-Encoding is snappy.
// Anything else that is not known is an error with Prometheus's words, for a 415.
core::Result<RemoteWriteMedia> remote_write_media(const net::Request& request);

}  // namespace api
