#include <gtest/gtest.h>

#include "head_reader.h"
#include "shoal/fetch/url.h"
#include "stall_meter.h"

namespace shoal::fetch {
namespace {

using namespace std::chrono_literals;

TEST(Url, OriginHasLowerCaseHostAndDefaultPort) {
  EXPECT_EQ(origin_of("https://Registry-1.Docker.io/v2/"), (Origin{"https", "registry-1.docker.io", 443}));
  EXPECT_EQ(origin_of("http://[::1]:5000"), (Origin{"http", "::1", 5000}));
  EXPECT_EQ(origin_of("ftp://x"), std::nullopt);
  EXPECT_EQ(origin_of("x/y"), std::nullopt);
  EXPECT_EQ(origin_of(std::string_view("http://a\0b", 10)), std::nullopt);
}

TEST(Url, PrintableHasNoSecrets) {
  EXPECT_EQ(printable_url("https://u:p@h:1/p?sig=1#f"), "https://h:1/p");
  EXPECT_EQ(printable_url("https://u:p@h"), "https://h");
  EXPECT_EQ(printable_url("https://h/a@b"), "https://h/a@b");
}

TEST(Url, ResolvesLocations) {
  EXPECT_EQ(resolve_url("http://h/a/b?x=1", "/c?d"), "http://h/c?d");
  EXPECT_EQ(resolve_url("http://h/a/b", "c"), "http://h/a/c");
  EXPECT_EQ(resolve_url("http://h/a/b", "//o/c"), "http://o/c");
  EXPECT_EQ(resolve_url("http://h/a/b", "https://o/c%20d"), "https://o/c%20d");
  EXPECT_EQ(resolve_url("http://h/a/b", "file:///etc/passwd"), std::nullopt);
  EXPECT_EQ(resolve_url("http://h/a/b", ""), std::nullopt);
}

TEST(Url, EscapesQueryValues) { EXPECT_EQ(escape_query("repository:a/b:pull$+"), "repository%3Aa%2Fb%3Apull%24%2B"); }

ResponseHead read(const std::vector<std::string>& lines, HeadReader::State expected = HeadReader::State::complete) {
  HeadReader reader(1000);
  HeadReader::State state{};
  for (const auto& line : lines) {
    state = reader.line(line);
    if (state != HeadReader::State::reading) break;
  }
  EXPECT_EQ(state, expected);
  return reader.head();
}

TEST(HeadReader, SkipsInterimAnswersAndTrailers) {
  const auto head =
      read({"HTTP/1.1 100 Continue\r\n", "X: 1\r\n", "\r\n", "HTTP/1.1 200 OK\r\n", "Y:  2 \r\n", "\r\n"});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("x"), "");
  EXPECT_EQ(head.header("y"), "2");
}

TEST(HeadReader, RefusesBadHeads) {
  using S = HeadReader::State;
  (void)read({"X: 1\r\n"}, S::malformed);
  (void)read({"HTTP/1.1 200\r\n", "Content-Length: 1\r\n", "Content-Length: 2\r\n", "\r\n"}, S::malformed);
  (void)read({"HTTP/1.1 200\r\n", "Content-Length: -1\r\n", "\r\n"}, S::malformed);
  (void)read({"HTTP/1.1 200\r\n", "A: " + std::string(1000, 'a') + "\r\n"}, S::too_large);
}

TEST(HeadReader, ChunkedOverridesLength) {
  const auto head = read({"HTTP/1.1 200\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"});
  EXPECT_EQ(head.content_length(), std::nullopt);
}

TEST(StallMeter, NoticesAWindowWithoutEnoughBytes) {
  StallMeter meter(8000ms, 100);  // 800 bytes in 8 ticks of 1 s
  EXPECT_EQ(meter.tick_length(), 1000ms);
  for (int i = 0; i < 100; ++i) {
    meter.add(100);
    EXPECT_FALSE(meter.tick(false));
  }
  for (int i = 0; i < 100; ++i) {
    meter.add(99);
    if (meter.tick(false)) {
      EXPECT_LT(i, 9);
      return;
    }
  }
  FAIL() << "never stalled";
}

TEST(StallMeter, PausedTicksDoNotCount) {
  StallMeter meter(80ms, 0);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(meter.tick(true));
  meter.paused();
  EXPECT_FALSE(meter.tick(false));
  int ticks = 0;
  while (!meter.tick(false)) ++ticks;
  EXPECT_EQ(ticks, 7);
}

}  // namespace
}  // namespace shoal::fetch
