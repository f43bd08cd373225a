// embed_assets DIST OUTPUT.cc
//
// Writes the files of the built web UI into a C++ source that defines
// app::web_assets(): each as it is, gzip -9 and brotli -11, so that the server copies
// bytes and never compresses. Runs at build time only.

#include <algorithm>
#include <brotli/encode.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

namespace {

namespace fs = std::filesystem;

struct File {
  std::string path;  // as requested
  std::string content_type;
  bool immutable = false;
  std::string bytes;
};

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "embed_assets: %s\n", message.c_str());
  std::exit(1);
}

std::string content_type(const fs::path& file) {
  const std::string extension = file.extension().string();
  if (extension == ".html") return "text/html; charset=utf-8";
  if (extension == ".js") return "text/javascript; charset=utf-8";
  if (extension == ".css") return "text/css; charset=utf-8";
  if (extension == ".svg") return "image/svg+xml";
  if (extension == ".woff2") return "font/woff2";
  if (extension == ".txt") return "text/plain; charset=utf-8";
  fail(file.string() + ": no content type is known for this extension");
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// What is served when the UI was not built: says so, and where the API is.
File notice() {
  return {
      "/", "text/html; charset=utf-8", false,
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<title>Petrel</title>\n<h1>Petrel is running without its web UI</h1>\n"
      "<p>The UI was not built into this program. <code>./run</code> builds it, and so does\n"
      "<code>web/build.sh</code> followed by a new build of the program; both need Node.js 18 or "
      "newer.</p>\n"
      "<p>Everything else works: <a href=\"metrics\">own metrics</a>,\n"
      "<a href=\"api/v1/query?query=up\">query API</a>, <a href=\"api/v1/alerts\">alerts</a>.</p>\n"
      "</html>\n"};
}

std::vector<File> collect(const fs::path& dist) {
  if (!fs::exists(dist / "index.html")) return {notice()};
  std::vector<File> files;
  for (const auto& entry : fs::recursive_directory_iterator(dist)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), dist).generic_string();
    // The build puts what carries a hash in its name under assets/.
    files.push_back({name == "index.html" ? "/" : "/" + name, content_type(entry.path()),
                     name.starts_with("assets/"), read(entry.path())});
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

std::string gzip(const std::string& bytes) {
  constexpr int kGzipFormat = 15 + 16;  // the largest window, gzip and not zlib framing
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipFormat, 9, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    fail("zlib does not start");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) fail("zlib does not finish");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string brotli(const std::string& bytes) {
  size_t size = BrotliEncoderMaxCompressedSize(bytes.size());
  std::string out(size, '\0');
  if (BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE,
                            bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()), &size,
                            reinterpret_cast<uint8_t*>(out.data())) != BROTLI_TRUE) {
    fail("brotli does not finish");
  }
  out.resize(size);
  return out;
}

// Fonts do not shrink: an empty encoding says "send the identity". Less than a twentieth
// saved is not worth the browser's unpacking.
std::string if_smaller(std::string encoded, const std::string& identity) {
  return encoded.size() < identity.size() - identity.size() / 20 ? encoded : std::string();
}

// FNV-1a: tells two builds' files apart, nothing more.
std::string etag(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3;
  }
  char text[20];
  std::snprintf(text, sizeof text, "\"%016llx\"", static_cast<unsigned long long>(hash));
  return text;
}

// A string literal the compiler reads fast: printable as it is, the rest in octal.
std::string literal(std::string_view bytes) {
  constexpr size_t kLineLength = 100;
  std::string out = "\"";
  size_t column = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f && c != '?') {  // no trigraphs
      out += c;
    } else {
      char octal[5];
      std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(byte));
      out += octal;
    }
    if (++column % kLineLength == 0) out += "\"\n\"";
  }
  return out + "\"";
}

std::string view(std::string_view bytes) {
  if (bytes.empty()) return "{}";
  return "std::string_view(" + literal(bytes) + ", " + std::to_string(bytes.size()) + ")";
}

std::string source(const std::vector<File>& files) {
  std::string out =
      "// Written by tools/embed_assets.cc from web/dist.\n#include \"app/web_assets.h\"\n\n"
      "#include <string_view>\n\nnamespace app {\nnamespace {\n\nconst api::StaticAsset kAssets[] "
      "= {\n";
  for (const File& file : files) {
    out += "{" + literal(file.path) + ", " + literal(file.content_type) + ", " +
           literal(etag(file.bytes)) + ", " + (file.immutable ? "true" : "false") + ",\n" +
           view(file.bytes) + ",\n" + view(if_smaller(gzip(file.bytes), file.bytes)) + ",\n" +
           view(if_smaller(brotli(file.bytes), file.bytes)) + "},\n";
  }
  return out +
         "};\n\n}  // namespace\n\napi::StaticAssets web_assets() { return kAssets; }\n\n}  // "
         "namespace app\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: embed_assets DIST OUTPUT.cc");
  const std::string text = source(collect(argv[1]));
  std::ofstream out(argv[2], std::ios::binary | std::ios::trunc);
  out << text;
  if (!out.flush()) fail(std::string("cannot write ") + argv[2]);
  return 0;
}
