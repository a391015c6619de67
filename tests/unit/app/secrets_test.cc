#include "secrets.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

TEST(Secrets, FileLosesItsTrailingNewlineOnly) {
  const test::TempDir dir;
  std::ofstream(dir.file("a")) << " pass word \n";
  std::ofstream(dir.file("b")) << "x\r\n";
  EXPECT_EQ(secret_from_file(dir.file("a")).value(), " pass word ");
  EXPECT_EQ(secret_from_file(dir.file("b")).value(), "x");
}

TEST(Secrets, UselessFilesAreRefusedWithoutRepeatingThem) {
  const test::TempDir dir;
  std::ofstream(dir.file("empty")) << "\n";
  std::ofstream(dir.file("lines")) << "hunter2\nX-Evil: 1\n";
  std::ofstream(dir.file("huge")) << std::string(70'000, 'x');
  for (const char* name : {"empty", "lines", "huge", "missing", "."}) {
    const auto secret = secret_from_file(dir.file(name));
    ASSERT_FALSE(secret.ok()) << name;
    EXPECT_EQ(secret.error().message().find("hunter2"), std::string::npos);
  }
}

TEST(Secrets, CommandGivesItsOutput) { EXPECT_EQ(secret_from_command("printf 'a b\\n'").value(), "a b"); }

TEST(Secrets, CommandThatFailsOrHangsIsAnError) {
  EXPECT_FALSE(secret_from_command("echo hunter2; exit 3").ok());
  EXPECT_FALSE(secret_from_command("true").ok());
  EXPECT_FALSE(secret_from_command("no-such-program-here 2>/dev/null").ok());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(secret_from_command("sleep 60", 50ms).error().kind(), base::ErrorKind::timeout);
  EXPECT_FALSE(secret_from_command("echo x; exec >&-; sleep 60", 50ms).ok());
  EXPECT_FALSE(secret_from_command("yes", 5s).ok());  // more than 64 KiB
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST(Secrets, VariableMustBeSet) { EXPECT_FALSE(secret_from_variable("NO_SUCH_VARIABLE_HERE").ok()); }

}  // namespace
}  // namespace shoal::app
