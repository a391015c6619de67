#include "unreadable.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal::store {
namespace {

TEST(Unreadable, RemembersTheNewestWhenThereAreTooMany) {
  Unreadable unreadable;
  base::Digest last = base::digest_of("");
  for (int i = 0; i <= 10'000; ++i) {
    last = base::digest_of(std::to_string(i));
    EXPECT_EQ(unreadable.add(last, 7, base::SteadyTime{}), Unreadable::News::first);
  }
  EXPECT_TRUE(unreadable.since(last, 7));
  EXPECT_FALSE(unreadable.since(last, 8)) << "another file";
  EXPECT_EQ(unreadable.errors(), 10'001U);
}

}  // namespace
}  // namespace shoal::store
