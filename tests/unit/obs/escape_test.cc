#include "escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace shoal::obs {
namespace {

using namespace std::string_literals;

std::string plain(std::string_view text) {
  std::string out;
  append_plain(out, text);
  return out;
}
std::string value(std::string_view text, std::size_t limit = kNoLimit) {
  std::string out;
  append_value(out, text, limit);
  return out;
}
std::string json(std::string_view text, std::size_t limit = kNoLimit) {
  std::string out;
  append_json(out, text, limit);
  return out;
}

TEST(Escape, ControlBytesAndBrokenUtf8NeverSurvivePlainText) {
  EXPECT_EQ(plain("layer 7 \"ok\""), "layer 7 \"ok\"");
  EXPECT_EQ(plain("a\r\n2026 error"), "a\\r\\n2026 error");
  EXPECT_EQ(plain("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(plain("a\0b"s), "a\\x00b");
  EXPECT_EQ(plain("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f"), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f");
  EXPECT_EQ(plain("\xc3"), "\\xc3");
  EXPECT_EQ(plain("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(plain("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(plain("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(plain("\xc2\x9b"
                  "31m"),
            "\\xc2\\x9b"
            "31m");  // CSI as a C1 control
}

TEST(Escape, ValueIsBareWhenOneWordAndQuotedOtherwise) {
  EXPECT_EQ(value("/v2/library/nginx/manifests/1"), "/v2/library/nginx/manifests/1");
  EXPECT_EQ(value(""), "\"\"");
  EXPECT_EQ(value("a b"), "\"a b\"");
  EXPECT_EQ(value("a=b"), "\"a=b\"");
  EXPECT_EQ(value("say \"hi\" \\o/"), R"("say \"hi\" \\o/")");
  EXPECT_EQ(value("x\nstatus=200"), R"("x\nstatus=200")");
  EXPECT_EQ(value("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
}

TEST(Escape, LimitIsKeptWithoutCuttingAnEscapeOrACharacter) {
  EXPECT_EQ(value("abcdef", 5), "\"abc\"");
  EXPECT_EQ(value("a\nb", 4), "\"a\"");
  EXPECT_EQ(json("ab\xe2\x82\xac", 6), "\"ab\"");
  EXPECT_EQ(json("ab\xe2\x82\xac", 7), "\"ab\xe2\x82\xac\"");
  for (std::size_t limit = 2; limit < 40; ++limit)
    EXPECT_LE(value("\"\n\x1b\xff \xe2\x82\xac\"\\"s, limit).size(), limit);
}

TEST(Escape, JsonIsValidForEveryByteAndEveryPairOfBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b), '"'};
      const auto parsed = nlohmann::json::parse(json(text), nullptr, /*allow_exceptions=*/false);
      ASSERT_TRUE(parsed.is_string()) << a << " " << b;
      if (a < 128 && b < 128) {
        ASSERT_EQ(parsed.get<std::string>(), text);
      }
    }
  }
}

}  // namespace
}  // namespace shoal::obs
