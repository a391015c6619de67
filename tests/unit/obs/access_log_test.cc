#include "shoal/obs/access_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "support/temp_dir.h"

namespace shoal::obs {
namespace {

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

AccessLine line_for(std::string_view target) {
  AccessLine line;
  line.target = target;
  line.status = 200;
  return line;
}

TEST(AccessLog, WritesEveryLineOfEveryThreadWhole) {
  const test::TempDir dir;
  AccessLogOptions options;
  options.file = dir.file("access.log");
  {
    AccessLog log(options);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log] {
        for (int i = 0; i < 2000; ++i) log.write(line_for("/v2/"));
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(log.dropped(), 0U);
  }
  std::istringstream lines(read(options.file));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(line.starts_with("time=") && line.ends_with(" target=/v2/")) << line;
  }
  EXPECT_EQ(count, 8000);
}

TEST(AccessLog, DropsAndCountsBeyondItsBuffer) {
  const test::TempDir dir;
  AccessLogOptions options;
  options.file = dir.file("access.log");
  options.max_buffered_bytes = 0;
  AccessLog log(options);
  log.write(line_for("/v2/"));
  EXPECT_EQ(log.dropped(), 1U);
}

TEST(AccessLog, CountsLinesItCannotWrite) {
  const test::TempDir dir;
  AccessLogOptions options;
  options.file = dir.file("no/such/directory");
  AccessLog log(options);
  EXPECT_FALSE(log.usable());
  log.write(line_for("/v2/"));
  EXPECT_EQ(log.dropped(), 1U);
}

TEST(AccessLog, ReopenFollowsARotation) {
  const test::TempDir dir;
  AccessLogOptions options;
  options.file = dir.file("access.log");
  {
    AccessLog log(options);
    std::filesystem::rename(options.file, dir.file("access.log.1"));
    log.reopen();
    log.write(line_for("/after"));
  }
  EXPECT_NE(read(options.file).find("target=/after"), std::string::npos);
}

TEST(AccessLog, NoFileMeansOff) {
  AccessLog log({});
  log.write(line_for("/v2/"));
  log.reopen();
  EXPECT_EQ(log.dropped(), 0U);
}

}  // namespace
}  // namespace shoal::obs
