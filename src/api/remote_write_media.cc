#include "api/remote_write_media.h"

#include "core/text.h"

#include <string>
#include <string_view>

namespace api {

using core::ErrorCode;
using core::Result;
using ingest::ContentEncoding;

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::string_view kVersion1 = "prometheus.WriteRequest";
constexpr std::string_view kVersion2 = "io.prometheus.write.v2.Request";

constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";  // of a frame, RFC 8878

Result<RemoteWriteVersion> version_of(std::string_view type) {
  if (core::trim(type).empty()) return RemoteWriteVersion::V1;
  std::string_view rest = type;
  const std::string_view media = core::trim(rest.substr(0, rest.find(';')));
  if (core::lower(media) != kProtobuf) {
    return core::fail(ErrorCode::Unsupported,
                      "expected {} as the first (media) part, got {} content-type", kProtobuf,
                      type);
  }
  while (rest.find(';') != rest.npos) {
    rest.remove_prefix(rest.find(';') + 1);
    const std::string_view parameter = core::trim(rest.substr(0, rest.find(';')));
    if (parameter.empty()) continue;
    const size_t equals = parameter.find('=');
    if (equals == parameter.npos) {
      return core::fail(ErrorCode::Unsupported,
                        "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected "
                        "parameters to be key-values, got {} in {} content-type",
                        parameter, type);
    }
    if (core::lower(parameter.substr(0, equals)) != "proto") continue;
    std::string_view proto = parameter.substr(equals + 1);
    if (proto.size() >= 2 && proto.starts_with('"') && proto.ends_with('"')) {
      proto = proto.substr(1, proto.size() - 2);
    }
    if (core::lower(proto) == core::lower(kVersion1)) return RemoteWriteVersion::V1;
    if (core::lower(proto) == core::lower(kVersion2)) return RemoteWriteVersion::V2;
    return core::fail(ErrorCode::Unsupported,
                      "got {} content type; unknown remote write protobuf message {}, supported: "
                      "{}, {}",
                      type, proto, kVersion1, kVersion2);
  }
  return RemoteWriteVersion::V1;
}

}  // namespace

Result<RemoteWriteMedia> remote_write_media(const net::Request& request) {
  RemoteWriteMedia media;
  media.version = TRY(version_of(request.header("Content-Type").value_or("")));
  const std::string_view encoding = request.header("Content-Encoding").value_or("");
  const std::string name = core::lower(encoding);
  if (name == "zstd") {
    // Senders that know snappy only, behind a proxy that rewrites headers: not a matter of
    // a damaged body.
    if (!request.body.starts_with(kZstdMagic)) {
      return core::fail(ErrorCode::Unsupported,
                        "{} encoding (compression) is announced, and the body of {} bytes does not "
                        "start with zstd's 28 b5 2f fd",
                        encoding, request.body.size());
    }
    media.encoding = ContentEncoding::Zstd;
  } else if (!name.empty() && name != "snappy") {
    return core::fail(ErrorCode::Unsupported,
                      "{} encoding (compression) is not accepted by this server; only snappy and "
                      "zstd are acceptable",
                      encoding);
  }
  return media;
}

}  // namespace api
