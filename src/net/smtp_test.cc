#include "net/smtp.h"

#include <doctest/doctest.h>

using namespace net;

TEST_CASE("lines of mail servers are codes with text, the last one with a blank") {
  SmtpReplyLine reply;
  REQUIRE(parse_smtp_reply("250-first\r\n", reply));
  CHECK(reply.code == 250);
  CHECK_FALSE(reply.is_last);
  CHECK(reply.text == "first");
  REQUIRE(parse_smtp_reply("354 go on", reply));
  CHECK(reply.is_last);
  REQUIRE(parse_smtp_reply("250", reply));
  CHECK(reply.is_last);
  for (const char* bad : {"", "25", "abc def", "250_x", "2a0 x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_smtp_reply(bad, reply));
  }
}

TEST_CASE("an exchange is summed up: delivered or not, to whom not, and where it ended") {
  MailReceipt receipt = summarize({{"", 220, "hi"},
                                   {"EHLO me", 250, "ok"},
                                   {"MAIL FROM:<a@b>", 250, "ok"},
                                   {"RCPT TO:<c@d>", 250, "ok"},
                                   {"RCPT TO:<e@f> X", 550, "no\r\nsuch user"},
                                   {"DATA", 354, "go"},
                                   {".", 250, "queued"}});
  CHECK(receipt.delivered);
  CHECK(receipt.at == "DATA");
  REQUIRE(receipt.refused.size() == 1);
  CHECK(receipt.refused[0].address == "e@f");
  CHECK(receipt.refused[0].text == "no  such user");

  receipt = summarize({{"", 220, "hi"}, {"EHLO me", 250, "ok"}, {"AUTH", 535, "wrong"}});
  CHECK_FALSE(receipt.delivered);
  CHECK(receipt.code == 535);
  CHECK(receipt.at == "AUTH");
  CHECK(summarize({{"", 554, "go away"}}).at == "connect");
  CHECK(summarize({{".", 451, "later"}}).code == 451);
  CHECK_FALSE(summarize({{".", 451, "later"}}).delivered);
  CHECK(summarize({}).code == 0);
}
