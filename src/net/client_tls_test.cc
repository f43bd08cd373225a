// TLS of the HTTP client, with certificates that openssl makes for the test.

#include "net/client_tls.h"

#include "net/testing/client_fixture.h"
#include "net/testing/scripted_server.h"

#include <atomic>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <mutex>
#include <openssl/tls1.h>
#include <unistd.h>

namespace net {

namespace {

using core::ErrorCode;
using core::Result;
using testing::ClientFixture;
using testing::ScriptedPeer;
using testing::ScriptedServer;
using testing::ServerIdentity;

// An authority, a server's and a client's certificate of it, and a server's certificate of
// nobody known.
class Certificates {
 public:
  Certificates() : folder_(fmt::format("/tmp/petrel-tls-test-{}", getpid())) {
    std::filesystem::create_directories(folder_);
    const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(fmt::format("req -x509 {} -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem", key));
    issue("server", "DNS:server.test,DNS:*.wild.test,IP:127.0.0.1", key);
    issue("renewed", "IP:127.0.0.1", key);
    issue("other", "DNS:other.test", key);
    issue("nameless", "", key);
    issue("client", "DNS:client.test", key);
    run(
        fmt::format("req -x509 {} -days 2 -subj /CN=self -addext subjectAltName=IP:127.0.0.1 "
                    "-keyout self.key -out self.pem",
                    key));
  }
  ~Certificates() { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  ServerIdentity identity(const std::string& name) const {
    return {.cert_file = path(name + ".pem"), .key_file = path(name + ".key")};
  }
  std::string text(const std::string& name) const {
    core::PosixFileSystem files;
    return *files.read_file(path(name));
  }

 private:
  void issue(const std::string& name, const std::string& names, const std::string& key) {
    const std::string extension = names.empty() ? std::string() : "-addext subjectAltName=" + names;
    run(fmt::format("req {} -subj /CN=127.0.0.1 {} -keyout {}.key -out {}.csr", key, extension,
                    name, name));
    run(
        fmt::format("x509 -req -in {}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
                    "-copy_extensions copy -out {}.pem",
                    name, name));
  }
  void run(const std::string& command) const {
    const std::string line = fmt::format("cd {} && openssl {} 2>/dev/null", folder_, command);
    ENSURE(std::system(line.c_str()) == 0);
  }

  std::string folder_;
};

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

ClientConfig trusting(const std::string& ca) {
  ClientConfig config;
  config.tls.ca_file = certificates().path(ca);
  return config;
}

void echo(ScriptedPeer& peer, int) {
  for (std::string request; !(request = peer.read_request()).empty();) peer.answer(request);
}

core::Error error_with(const ClientConfig& config, const ScriptedServer& server) {
  return ClientFixture(config).error({.url = server.url("/", "https")});
}

}  // namespace

TEST_CASE("https: the certificate is checked, the connection kept") {
  ScriptedServer server(certificates().identity("server"), echo);
  const ClientFixture fixture(trusting("ca.pem"));
  for (int i = 0; i < 3; ++i) {
    const Result<FetchResponse> result = fixture.get(server.url("/metrics", "https"));
    REQUIRE_MESSAGE(result, result.error().message);
    CHECK(result->body.starts_with("GET /metrics HTTP/1.1"));
    CHECK(result->connection_reused == (i > 0));
  }
  ClientConfig inline_ca;
  inline_ca.tls.ca = certificates().text("ca.pem");
  inline_ca.tls.server_name = "a.wild.test";
  CHECK(ClientFixture(inline_ca).get(server.url("/", "https")));
}

TEST_CASE("Certificates that do not hold are told as Go tells them") {
  const std::string prefix = "tls: failed to verify certificate: x509: ";
  ScriptedServer server(certificates().identity("server"), echo);
  const core::Error unknown = error_with({}, server);
  CHECK(unknown.code == ErrorCode::InvalidArgument);
  CHECK(unknown.message == prefix + "certificate signed by unknown authority");
  CHECK(error_with(trusting("self.pem"), server).message ==
        prefix + "certificate signed by unknown authority");
  ClientConfig named = trusting("ca.pem");
  named.tls.server_name = "elsewhere.test";
  CHECK(error_with(named, server).message ==
        prefix + "certificate is valid for server.test, *.wild.test, not elsewhere.test");

  ScriptedServer other(certificates().identity("other"), echo);
  CHECK(error_with(trusting("ca.pem"), other).message ==
        prefix +
            "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs");
  ScriptedServer nameless(certificates().identity("nameless"), echo);
  named.tls.server_name = "server.test";
  CHECK(error_with(named, nameless).message ==
        prefix + "certificate relies on legacy Common Name field, use SANs instead");

  ScriptedServer self(certificates().identity("self"), echo);
  CHECK(ClientFixture(trusting("self.pem")).get(self.url("/", "https")));
  ClientConfig careless;
  careless.tls.insecure_skip_verify = true;
  CHECK(ClientFixture(careless).get(self.url("/", "https")));
}

TEST_CASE("A client shows its certificate; without one it is turned away") {
  ServerIdentity identity = certificates().identity("server");
  identity.client_ca_file = certificates().path("ca.pem");
  ScriptedServer server(identity, echo);
  ClientConfig config = trusting("ca.pem");
  CHECK(error_with(config, server).message == "remote error: tls: certificate required");
  config.tls.cert_file = certificates().path("client.pem");
  config.tls.key.file = certificates().path("client.key");
  const Result<FetchResponse> result = ClientFixture(config).get(server.url("/", "https"));
  CHECK_MESSAGE(result, result.error().message);
  config.tls.cert_file.clear();
  config.tls.key = {.value = core::Secret(certificates().text("client.key")), .file = {}};
  config.tls.cert = certificates().text("client.pem");
  CHECK(ClientFixture(config).get(server.url("/", "https")));
}

TEST_CASE("Versions outside the bounds end the handshake") {
  ServerIdentity old = certificates().identity("server");
  old.max_version = TLS1_2_VERSION;
  ScriptedServer server(old, echo);
  ClientConfig config = trusting("ca.pem");
  CHECK(ClientFixture(config).get(server.url("/", "https")));
  config.tls.min_version = TlsVersion::Tls13;
  CHECK(error_with(config, server).message == "remote error: tls: protocol version not supported");
  config.tls.min_version = TlsVersion::Default;
  config.tls.max_version = TlsVersion::Tls12;
  CHECK(ClientFixture(config).get(server.url("/", "https")));
}

TEST_CASE("Both ends speak different protocols") {
  ScriptedServer plain([](ScriptedPeer& peer, int) {
    peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    peer.wait_for_end();
  });
  CHECK(error_with({}, plain).message == "http: server gave HTTP response to HTTPS client");
  ScriptedServer noise([](ScriptedPeer& peer, int) {
    peer.send("SSH-2.0-OpenSSH_9.2p1\r\n");
    peer.wait_for_end();
  });
  CHECK(error_with({}, noise).message == "tls: first record does not look like a TLS handshake");
  ScriptedServer silent([](ScriptedPeer& peer, int) { peer.wait_for_end(); });
  const core::Error slow =
      ClientFixture().error({.url = silent.url("/", "https"), .timeout_ms = 50});
  CHECK(slow.code == ErrorCode::Timeout);
  CHECK(slow.message == "context deadline exceeded");
  ScriptedServer gone([](ScriptedPeer&, int) {});
  CHECK(error_with({}, gone).code == ErrorCode::Unavailable);
}

TEST_CASE("A session is resumed by the next connection") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    std::atomic<int> resumed = 0;
    ServerIdentity identity = certificates().identity("server");
    identity.max_version = version;
    ScriptedServer server(identity, [&](ScriptedPeer& peer, int) {
      peer.read_request();
      resumed += peer.is_resumed() ? 1 : 0;
      peer.answer("ok", "Connection: close\r\n");
    });
    const ClientFixture fixture(trusting("ca.pem"));
    for (int i = 0; i < 3; ++i) CHECK(fixture.get(server.url("/", "https")));
    CHECK(server.connection_count() == 3);
    CHECK(resumed == 2);
  }
}

TEST_CASE("Certificate files are read again when they change") {
  core::PosixFileSystem files;
  const std::string ca = certificates().path("rotating.pem");
  REQUIRE(files.write_file_atomically(ca, certificates().text("self.pem")));
  TlsConfig config;
  config.ca_file = ca;
  TlsSource source(config, files, 0);
  const uint64_t first = (*source.current())->id();
  CHECK((*source.current())->id() == first);
  REQUIRE(files.write_file_atomically(ca, certificates().text("ca.pem")));
  CHECK((*source.current())->id() != first);
  std::filesystem::remove(ca);
  CHECK(source.current().error().message.starts_with("unable to load specified CA cert"));
}

TEST_CASE("What does not load is refused when the client is made") {
  core::PosixFileSystem files;
  const auto loop = std::move(*ClientLoop::start({}));
  const auto error = [&](const TlsConfig& tls) {
    ClientConfig config;
    config.tls = tls;
    return HttpClient::create(*loop, config, files).error();
  };
  TlsConfig tls;
  tls.ca_file = certificates().path("absent.pem");
  CHECK(error(tls).message.starts_with("unable to load specified CA cert: "));
  tls.ca_file = certificates().path("ca.key");
  CHECK(error(tls).message ==
        "unable to use specified CA cert " + tls.ca_file + ": no PEM certificate in it");
  tls = {};
  tls.cert_file = certificates().path("client.pem");
  tls.key.file = certificates().path("server.key");
  CHECK(error(tls).message ==
        fmt::format("unable to use specified client cert ({}) & key ({}): tls: private key does "
                    "not match public key",
                    tls.cert_file, tls.key.file));
  CHECK(error(tls).code == ErrorCode::InvalidArgument);
}

TEST_CASE("https through a proxy goes through a tunnel that the proxy cannot read") {
  ScriptedServer server(certificates().identity("server"), echo);
  std::mutex mutex;
  std::string asked;
  ScriptedServer proxy([&](ScriptedPeer& peer, int index) {
    {
      const std::lock_guard lock(mutex);
      asked = peer.read_request();
    }
    if (index > 0) {
      peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    peer.send("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
    peer.tunnel_to(server.port());
  });
  ClientConfig config = trusting("ca.pem");
  config.tls.server_name = "server.test";
  config.authorization = Authorization{};
  config.authorization->credentials.value = core::Secret("t0ken");
  config.proxy.url = fmt::format("http://user:pass@127.0.0.1:{}", proxy.port());
  config.proxy.connect_headers = {{"X-Proxy", core::Secret("yes")}};
  const ClientFixture fixture(config);
  const std::string url = "https://far.test:4443/metrics";
  for (int i = 0; i < 2; ++i) {
    const Result<FetchResponse> result = fixture.get(url);
    REQUIRE_MESSAGE(result, result.error().message);
    CHECK(result->body.starts_with("GET /metrics HTTP/1.1\r\nHost: far.test:4443\r\n"));
    CHECK(result->body.find("Proxy-") == std::string::npos);
    CHECK(result->connection_reused == (i == 1));
  }
  CHECK(asked.starts_with("CONNECT far.test:4443 HTTP/1.1\r\nHost: far.test:4443\r\n"));
  CHECK(asked.find("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n") != std::string::npos);
  CHECK(asked.find("\r\nX-Proxy: yes\r\n") != std::string::npos);
  CHECK(asked.find("t0ken") == std::string::npos);
  CHECK(ClientFixture(config).error({.url = url}).message ==
        fmt::format("proxyconnect 127.0.0.1:{}: Proxy Authentication Required", proxy.port()));
}

TEST_CASE("A proxy may itself be reached over TLS") {
  ScriptedServer proxy(certificates().identity("server"), echo);
  ClientConfig config = trusting("ca.pem");
  config.proxy.url = fmt::format("https://127.0.0.1:{}", proxy.port());
  const Result<FetchResponse> result = ClientFixture(config).get("http://far.test/x");
  REQUIRE_MESSAGE(result, result.error().message);
  CHECK(result->body.starts_with("GET http://far.test/x HTTP/1.1"));
  CHECK(ClientFixture(config).error({.url = "https://far.test/x"}).message ==
        fmt::format("proxyconnect 127.0.0.1:{}: https targets through a proxy that is itself "
                    "reached over https are not supported; use an http:// proxy_url",
                    proxy.port()));
}

}  // namespace net
