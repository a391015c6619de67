#include "access_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace shoal::obs {
namespace {

using namespace std::chrono_literals;

AccessLine sample() {
  AccessLine line;
  line.at = base::WallTime(std::chrono::milliseconds(1'795'467'600'123));
  line.id = "00ff00ff00ff00ff";
  line.peer = "127.0.0.1:51000";
  line.method = "GET";
  line.target = "/v2/library/nginx/manifests/1?ns=docker.io";
  line.repository = "docker.io/library/nginx";
  line.cache = "shoal; hit";
  line.user_agent = "containerd/1.6.20";
  line.status = 200;
  line.bytes = 1234;
  line.first_byte = 512us;
  line.total = 1'500'007us;
  line.complete = true;
  line.end = "ok";
  return line;
}

std::string text_of(const AccessLine& line, bool json = false, std::size_t most = 4096) {
  std::string out;
  append_access_line(out, line, json, most);
  return out;
}

TEST(AccessLine, TextHasEveryFieldAsKeyAndValue) {
  EXPECT_EQ(
      text_of(sample()),
      "time=2026-11-23T21:00:00.123Z status=200 bytes=1234 first_byte_ms=0.512 total_ms=1500.007 complete=true end=ok "
      "id=00ff00ff00ff00ff peer=127.0.0.1:51000 method=GET "
      "target=\"/v2/library/nginx/manifests/1?ns=docker.io\" repository=docker.io/library/nginx "
      "cache=\"shoal; hit\" user_agent=containerd/1.6.20\n");
}

TEST(AccessLine, JsonHasEveryFieldWithItsType) {
  const auto parsed = nlohmann::json::parse(text_of(sample(), /*json=*/true));
  EXPECT_EQ(parsed["time"], "2026-11-23T21:00:00.123Z");
  EXPECT_EQ(parsed["status"], 200);
  EXPECT_EQ(parsed["bytes"], 1234);
  EXPECT_DOUBLE_EQ(parsed["total_ms"].get<double>(), 1500.007);
  EXPECT_EQ(parsed["complete"], true);
  EXPECT_EQ(parsed["end"], "ok");
  EXPECT_EQ(parsed["cache"], "shoal; hit");
  EXPECT_FALSE(parsed.contains("detail"));
}

TEST(AccessLine, SaysWhereBytesCameFromAndLeavesOutWhereNoneDid) {
  auto line = sample();
  line.from_upstream = 234;
  line.from_neighbours = 1000;
  line.from_swarm = 600;
  EXPECT_NE(text_of(line).find(" bytes=1234 from_upstream=234 from_neighbours=1000 from_swarm=600 first_byte_ms="),
            std::string::npos);
  const auto parsed = nlohmann::json::parse(text_of(line, /*json=*/true));
  EXPECT_EQ(parsed["from_neighbours"], 1000);
  EXPECT_FALSE(parsed.contains("from_disk"));
}

TEST(AccessLine, AClientCannotForgeALineOrAField) {
  auto line = sample();
  line.user_agent = "x\r\ntime=2026-11-23T21:00:00.123Z status=200 \x1b[2J";
  line.target = "/\" status=500";
  for (const bool json : {false, true}) {
    const auto text = text_of(line, json);
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    EXPECT_EQ(text.find('\r'), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
  EXPECT_NE(text_of(line).find(R"(target="/\" status=500")"), std::string::npos);
}

TEST(AccessLine, LongTextsAreCutAndTheLineStaysWellFormed) {
  auto line = sample();
  const std::string evil(20'000, '\x01');
  const std::string quotes(20'000, '"');
  line.target = evil;
  line.user_agent = quotes;
  line.peer = evil;
  line.detail = quotes;
  for (const std::size_t most : {0UL, 512UL, 600UL, 1000UL, 4096UL}) {
    const auto text = text_of(line, /*json=*/false, most);
    EXPECT_LE(text.size(), std::max<std::size_t>(most, 512));
    EXPECT_EQ(text.back(), '\n');
    const auto json = text_of(line, /*json=*/true, most);
    EXPECT_LE(json.size(), std::max<std::size_t>(most, 512));
    EXPECT_TRUE(nlohmann::json::accept(json)) << json;
  }
}

}  // namespace
}  // namespace shoal::obs
