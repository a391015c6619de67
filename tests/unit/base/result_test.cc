#include "shoal/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

namespace shoal::base {
namespace {

TEST(Error, GrowsFromCauseToSubject) {
  const Error cause(ErrorKind::gone, "connection refused");
  EXPECT_EQ(cause.at("connect", "10.0.0.1:443").at("pull nginx").message(),
            "pull nginx: connect 10.0.0.1:443: connection refused");
  EXPECT_EQ(cause.at("connect").kind(), ErrorKind::gone);
}

TEST(Error, KeepsRetryAfterOnTheWayUp) {
  const auto error = Error(ErrorKind::busy, "rate limit").retry_after(std::chrono::seconds(7)).at("pull", "nginx");
  EXPECT_EQ(error.retry_after(), std::chrono::seconds(7));
  EXPECT_EQ(Error(ErrorKind::busy, "x").retry_after(), std::nullopt);
}

TEST(Error, FromErrnoTellsTheReaction) {
  EXPECT_EQ(from_errno(ENOENT, "open", "/x").kind(), ErrorKind::not_found);
  EXPECT_EQ(from_errno(EACCES, "open", "/x").kind(), ErrorKind::denied);
  EXPECT_EQ(from_errno(EPERM, "open", "/x").kind(), ErrorKind::denied);
  EXPECT_EQ(from_errno(ENOSPC, "write", "/x").kind(), ErrorKind::full);
  EXPECT_EQ(from_errno(EDQUOT, "write", "/x").kind(), ErrorKind::full);
  EXPECT_EQ(from_errno(EMFILE, "open", "/x").kind(), ErrorKind::busy);
  EXPECT_EQ(from_errno(ENFILE, "open", "/x").kind(), ErrorKind::busy);
  EXPECT_EQ(from_errno(EIO, "read", "/x").kind(), ErrorKind::gone);
  EXPECT_EQ(from_errno(ENOENT, "open", "/x").message(), "open /x: No such file or directory");
  EXPECT_EQ(from_errno(EIO, "read").message(), "read: Input/output error");
}

TEST(Error, EveryKindHasAName) {
  for (const auto kind :
       {ErrorKind::not_found, ErrorKind::denied, ErrorKind::invalid, ErrorKind::busy, ErrorKind::gone,
        ErrorKind::timeout, ErrorKind::corrupt, ErrorKind::full, ErrorKind::cancelled, ErrorKind::bug}) {
    EXPECT_FALSE(to_string(kind).empty());
  }
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::string> good(std::string("x"));
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, "x");
  EXPECT_EQ(good->size(), 1u);
  *good += "y";
  EXPECT_EQ(std::move(good).value(), "xy");
  const Result<std::string> bad(Error(ErrorKind::full, "disk"));
  EXPECT_FALSE(static_cast<bool>(bad));
  EXPECT_EQ(bad.error().kind(), ErrorKind::full);
  EXPECT_EQ(bad.value_or("other"), "other");
}

TEST(Result, MovesWhatOnlyMoves) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  Result<std::unique_ptr<int>> moved(std::move(result));
  const std::unique_ptr<int> value = *std::move(moved);
  EXPECT_EQ(*value, 7);
}

TEST(Result, OfAnErrorLikeValueIsNotConfused) {
  const Result<int> zero(0);
  EXPECT_TRUE(zero.ok());
  EXPECT_EQ(*zero, 0);
}

TEST(Result, OfVoidIsOkByDefault) {
  EXPECT_TRUE(Result<void>().ok());
  const Result<void> bad(Error(ErrorKind::bug, "x"));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message(), "x");
}

TEST(ResultDeathTest, ReadingTheWrongSideAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Result<int> bad(Error(ErrorKind::bug, "x"));
  EXPECT_DEATH((void)*bad, "");
  const Result<int> good(1);
  EXPECT_DEATH((void)good.error(), "");
  EXPECT_DEATH((void)Result<void>().error(), "");
}

}  // namespace
}  // namespace shoal::base
