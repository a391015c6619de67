#include "failure_book.h"

#include <gtest/gtest.h>

#include "support/fake_loop.h"

namespace shoal::auth {
namespace {

using namespace std::chrono_literals;

TEST(FailureBook, DrainsAtItsRate) {
  test::FakeClock clock;
  FailureBook book;
  book.set_limit(60);
  for (int i = 0; i < 59; ++i) book.failed("a", clock.steady_now());
  EXPECT_FALSE(book.wait_for("a", clock.steady_now()));
  for (int i = 0; i < 6; ++i) book.failed("a", clock.steady_now());
  EXPECT_EQ(book.wait_for("a", clock.steady_now()), 6s);
  EXPECT_FALSE(book.wait_for("b", clock.steady_now()));
  clock.advance(6s);
  EXPECT_FALSE(book.wait_for("a", clock.steady_now()));
}

TEST(FailureBook, KnowsOnlySoManySources) {
  test::FakeClock clock;
  FailureBook book;
  book.set_limit(2);
  for (int i = 0; i < 2; ++i) book.failed("worst", clock.steady_now());
  for (std::size_t i = 0; i < FailureBook::kMaxSources + 100; ++i) book.failed(std::to_string(i), clock.steady_now());
  EXPECT_EQ(book.size(), FailureBook::kMaxSources);
  EXPECT_TRUE(book.wait_for("worst", clock.steady_now())) << "who has failed least is forgotten first";
  clock.advance(1h);
  book.failed("new", clock.steady_now());
  EXPECT_EQ(book.size(), 1U) << "and who has not failed for long";
}

TEST(SourceOf, IsAnAddressOrANetworkOfOneCustomer) {
  EXPECT_EQ(source_of("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(source_of("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(source_of("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
  EXPECT_EQ(source_of("2001:db8:1:2:bbbb:cccc:dddd:2"), "2001:db8:1:2::/64");
  EXPECT_EQ(source_of("2001:db8:1:3::1"), "2001:db8:1:3::/64");
  EXPECT_EQ(source_of("::1"), "::/64");
  EXPECT_EQ(source_of(""), "");
  EXPECT_EQ(source_of("nonsense"), "nonsense");
}

}  // namespace
}  // namespace shoal::auth
