#include "alerting/notify/email.h"

#include "alerting/notify/mime.h"

#include <doctest/doctest.h>

using namespace alerting;
using alertstore::AlertEvent;
using alertstore::Transition;

namespace {

constexpr int64_t kNowMs = 1'700'000'300'000;

AlertEvent alert(const std::string& instance, Transition transition) {
  AlertEvent event;
  event.transition = transition;
  event.labels = model::Labels::of({{"alertname", "Down"}, {"instance", instance}});
  event.annotations = {{"summary", "<" + instance + "> fällt aus"}};
  event.starts_at_ms = 1'700'000'000'000;
  event.ends_at_ms = transition == Transition::Resolved ? 1'700'000'200'000 : 0;
  event.generator_url = "http://petrel/graph";
  return event;
}

Notification example() {
  Notification notification;
  notification.receiver = "team";
  notification.group_key = "{}:{alertname=\"Down\"}";
  notification.group_labels = model::Labels::of({{"alertname", "Down"}});
  notification.external_url = "http://petrel";
  notification.alerts = {alert("a", Transition::Firing), alert("b", Transition::Resolved)};
  return notification;
}

EmailConfig config() {
  EmailConfig config;
  config.to = "Ops <ops@example.org>, second@example.org";
  config.from = "petrel@example.org";
  return config;
}

core::Result<EmailMessage> make(const EmailConfig& how, int64_t now_ms = kNowMs) {
  const templates::TemplateSet templates;
  return make_email(how, example(), {.templates = templates, .id = "k1", .now_ms = now_ms});
}

std::string header(const std::string& message, const std::string& name) {
  const size_t at = ("\r\n" + message).find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t start = at + name.size() + 2;
  size_t end = message.find("\r\n", start);
  while (message[end + 2] == ' ') end = message.find("\r\n", end + 2);
  std::string value = message.substr(start, end - start);
  for (size_t i; (i = value.find("\r\n")) != std::string::npos;) value.erase(i, 2);
  return value;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

net::MailReceipt receipt(int code, const std::string& at, bool delivered = false) {
  net::MailReceipt one;
  one.code = code;
  one.text = "said";
  one.at = at;
  one.delivered = delivered;
  return one;
}

}  // namespace

TEST_CASE("a mail has its headers and two bodies, and lines that end with CRLF") {
  EmailConfig how = config();
  how.text = "text of {{ .GroupLabels.alertname }}";
  const EmailMessage email = make(how).value();
  CHECK(email.from == "petrel@example.org");
  CHECK(email.to == std::vector<std::string>{"ops@example.org", "second@example.org"});
  const std::string& message = email.message;
  CHECK(header(message, "From") == "petrel@example.org");
  CHECK(header(message, "To") == "Ops <ops@example.org>, second@example.org");
  CHECK(header(message, "Subject") == "[FIRING:1] Down");
  CHECK(header(message, "Message-Id") == "<k1@example.org>");
  CHECK(header(message, "Date") == "Tue, 14 Nov 2023 22:18:20 +0000");
  CHECK(header(message, "References").empty());
  CHECK(contains(message, "Content-Type: multipart/alternative;"));
  const size_t text = message.find("Content-Type: text/plain; charset=UTF-8");
  const size_t html = message.find("Content-Type: text/html; charset=UTF-8");
  REQUIRE(text != std::string::npos);
  REQUIRE(html != std::string::npos);
  CHECK(text < html);
  CHECK(contains(message, "text of Down\r\n"));
  std::string joined = message;
  for (size_t i; (i = joined.find("=\r\n")) != std::string::npos;) joined.erase(i, 3);
  CHECK(contains(joined, "&lt;a&gt; f=C3=A4llt aus"));
  for (size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n') REQUIRE(message[i - 1] == '\r');
  }
  size_t column = 0;
  for (const char c : message) {
    column = c == '\n' ? 0 : column + 1;
    REQUIRE(column <= 79);
  }
}

TEST_CASE("the same notification makes the same bytes, so that attempts are one mail") {
  CHECK(make(config())->message == make(config())->message);
}

TEST_CASE("headers are templates, encoded, and cannot bring further headers") {
  EmailConfig how = config();
  how.headers = {{"Reply-To", "Grüße <r@example.org>"},
                 {"Subject", "Störung {{ .Status }}\r\nBcc: evil@example.org"},
                 {"X-Team", "{{ .Receiver }}"}};
  const std::string message = make(how)->message;
  CHECK(header(message, "Reply-To") == "=?utf-8?q?Gr=C3=BC=C3=9Fe?= <r@example.org>");
  CHECK(header(message, "X-Team") == "team");
  CHECK(header(message, "Subject").starts_with("=?utf-8?q?St=C3=B6rung_firing"));
  CHECK_FALSE(contains(message, "\r\nBcc:"));
}

TEST_CASE("threads are of a group, by day if asked to") {
  EmailConfig how = config();
  how.threading = true;
  const std::string first = header(make(how)->message, "References");
  CHECK(first.ends_with("@example.org>"));
  CHECK(header(make(how)->message, "In-Reply-To") == first);
  CHECK(header(make(how, kNowMs + 86'400'000)->message, "References") == first);
  how.thread_by_date = true;
  CHECK(header(make(how)->message, "References") != first);
  CHECK(header(make(how)->message, "References") !=
        header(make(how, kNowMs + 86'400'000)->message, "References"));
}

TEST_CASE("a template that fails does not keep the page back") {
  EmailConfig how = config();
  how.html = "{{ .NoSuchThing }}";
  how.headers = {{"Subject", "{{ template \"nowhere\" . }}"}};
  const std::string message = make(how)->message;
  CHECK(header(message, "Subject") == "[FIRING:1] Down");
  CHECK(contains(message, "The template of the HTML text failed"));
  CHECK(contains(message, "instance =3D a"));
  CHECK_FALSE(contains(message, "text/html"));
}

TEST_CASE("what is no address is an error that names it") {
  EmailConfig how = config();
  how.to = "ops";
  CHECK(make(how).error().message == "to: \"ops\" is not a mail address");
  how = config();
  how.from = "a@example.org, b@example.org";
  CHECK(make(how).error().message == "from: one address is needed, not 2");
  for (const char* bad : {"", ",", "a@", "@b", "a b@c", "<a@b", "a@b> x", "a@b\r\nRCPT TO:<c@d>"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_addresses(bad));
  }
  const auto boxes = parse_addresses(R"("Doe, J \"x\"" <j@example.org>,k@example.org)");
  REQUIRE(boxes);
  CHECK((*boxes)[0].name == "Doe, J \"x\"");
  CHECK(encode_mailboxes(*boxes) == R"("Doe, J \"x\"" <j@example.org>, k@example.org)");
}

TEST_CASE("quoted-printable keeps every byte within its lines") {
  CHECK(quoted_printable("a=b\n") == "a=3Db\r\n");
  CHECK(quoted_printable("end \nnext\t") == "end=20\r\nnext=09\r\n");
  CHECK(quoted_printable("é") == "=C3=A9\r\n");
  CHECK(quoted_printable(std::string(80, 'x')) ==
        std::string(75, 'x') + "=\r\n" + std::string(5, 'x') + "\r\n");
  CHECK(quoted_printable("a\r\nb\rc") == "a\r\nb=0Dc\r\n");
}

TEST_CASE("long headers fold and long encoded words are cut between characters") {
  std::string words;
  for (int i = 0; i < 30; ++i) words += "word ";
  const std::string line = header_line("Subject", words);
  CHECK(contains(line, "\r\n word"));
  std::string umlauts;
  for (int i = 0; i < 60; ++i) umlauts += "ä";
  const std::string encoded = encode_header(umlauts);
  CHECK(contains(encoded, "?= =?utf-8?q?"));
  size_t start = 0;
  while (start < encoded.size()) {
    const size_t end = std::min(encoded.find(' ', start), encoded.size());
    CHECK(end - start <= 75);
    CHECK((end - start - 12) % 6 == 0);
    start = end + 1;
  }
}

TEST_CASE("a mail is kept as it is") {
  const EmailMessage email = make(config()).value();
  const EmailMessage same = decode_email(encode_email(email)).value();
  CHECK(same.from == email.from);
  CHECK(same.to == email.to);
  CHECK(same.message == email.message);
  const std::string bytes = encode_email(email);
  for (const size_t size : {size_t{0}, size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    CHECK_FALSE(decode_email(bytes.substr(0, size)));
  }
}

TEST_CASE("answers of mail servers: 4yz is later, 5yz is never, a password can be mended") {
  const EmailMessage email{"f@e.org", {"a@e.org", "b@e.org"}, "m"};
  const auto outcome = [&](const net::MailReceipt& one) { return judge_email(one, email).outcome; };
  CHECK(outcome(receipt(250, "DATA", true)) == Outcome::Delivered);
  CHECK(outcome(receipt(451, "DATA")) == Outcome::Retry);
  CHECK(outcome(receipt(552, "DATA")) == Outcome::Permanent);
  CHECK(outcome(receipt(550, "MAIL")) == Outcome::Permanent);
  CHECK(outcome(receipt(421, "connect")) == Outcome::Retry);
  CHECK(outcome(receipt(554, "connect")) == Outcome::Retry);
  const Verdict login = judge_email(receipt(535, "AUTH"), email);
  CHECK(login.outcome == Outcome::Retry);
  CHECK(login.failure == "auth");
  CHECK(login.reason == "AUTH: 535 said");
  const core::Result<net::MailReceipt> down =
      core::fail(core::ErrorCode::Unavailable, "h:25: refused");
  CHECK(judge_email(down, email).outcome == Outcome::Retry);
  CHECK(judge_email(down, email).reason == "h:25: refused");
}

TEST_CASE("recipients are judged one by one") {
  const EmailMessage email{"f@e.org", {"a@e.org", "b@e.org", "c@e.org"}, "m"};
  net::MailReceipt one = receipt(250, "DATA", true);
  one.refused = {{"a@e.org", 550, "gone"}};
  Verdict verdict = judge_email(one, email);
  CHECK(verdict.outcome == Outcome::Delivered);
  CHECK(verdict.refused == "a@e.org: 550 gone");

  one.refused.push_back({"b@e.org", 450, "later"});
  verdict = judge_email(one, email);
  CHECK(verdict.outcome == Outcome::Retry);
  REQUIRE(verdict.rest);
  CHECK(decode_email(*verdict.rest)->to == std::vector<std::string>{"b@e.org"});

  one = receipt(550, "RCPT");
  one.refused = {{"a@e.org", 550, "x"}, {"b@e.org", 550, "x"}, {"c@e.org", 550, "x"}};
  CHECK(judge_email(one, email).outcome == Outcome::Permanent);
  one.refused[2].code = 450;
  verdict = judge_email(one, email);
  CHECK(verdict.outcome == Outcome::Retry);
  CHECK(decode_email(*verdict.rest)->to == std::vector<std::string>{"c@e.org"});
}
