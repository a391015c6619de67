#include "shoal/obs/log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "support/temp_dir.h"

namespace shoal::obs {
namespace {

class Log : public ::testing::Test {
 protected:
  void TearDown() override {
    stop_log();
    set_level(Level::info);
  }
  std::string written() {
    stop_log();
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  test::TempDir dir_;
  std::string path_ = dir_.file("shoal.log");
};

TEST_F(Log, TextLineHasTimeLevelCategoryAndMessage) {
  start_log({.level = Level::info, .json = false, .file = path_});
  warn(Category::store, "disk {} is {}%", "sda", 97);
  const std::regex expected(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn store: disk sda is 97%\n)");
  const auto text = written();
  EXPECT_TRUE(std::regex_match(text, expected)) << text;
}

TEST_F(Log, JsonLineIsValidWhateverTheMessage) {
  start_log({.level = Level::info, .json = true, .file = path_});
  error(Category::upstream, "bad \"answer\"\n\x1b[0m \xff");
  const auto parsed = nlohmann::json::parse(written());
  EXPECT_EQ(parsed["level"], "error");
  EXPECT_EQ(parsed["category"], "upstream");
  EXPECT_EQ(parsed["message"], "bad \"answer\"\n\x1b[0m \xef\xbf\xbd");
}

TEST_F(Log, LevelsBelowTheSetOneAreDroppedAndItCanChange) {
  start_log({.level = Level::warn, .json = false, .file = path_});
  info(Category::app, "one");
  set_level(Level::debug);
  debug(Category::app, "two");
  const auto text = written();
  EXPECT_EQ(text.find("one"), std::string::npos);
  EXPECT_NE(text.find("debug app: two"), std::string::npos);
}

TEST_F(Log, AMessageIsOneLineOfAtMostFourKibibytes) {
  start_log({.level = Level::info, .json = false, .file = path_});
  info(Category::serve, "a\nb {}", std::string(10'000, 'x'));
  const auto text = written();
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_LT(text.size(), 4096U + 100);
}

TEST_F(Log, ReopenFollowsARotation) {
  start_log({.level = Level::info, .json = false, .file = path_});
  std::filesystem::rename(path_, dir_.file("shoal.log.1"));
  reopen_log();
  info(Category::app, "after");
  EXPECT_NE(written().find("after"), std::string::npos);
}

TEST_F(Log, LevelNamesAreParsed) {
  EXPECT_EQ(parse_level("warn", Level::info), Level::warn);
  EXPECT_EQ(parse_level("loud", Level::error), Level::error);
}

}  // namespace
}  // namespace shoal::obs
