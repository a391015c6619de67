#include "shoal/base/base64.h"

#include <gtest/gtest.h>

namespace shoal::base {
namespace {

TEST(Base64, IsAsInRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
}

TEST(Base64, IsReadBackWithOrWithoutPadding) {
  for (const char* text : {"", "f", "fo", "foo", "foobar", "\xfb\xff\xfe"}) {
    auto coded = base64(text);
    EXPECT_EQ(from_base64(coded), text);
    while (coded.ends_with('=')) coded.pop_back();
    EXPECT_EQ(from_base64(coded), text);
  }
  for (const char* text : {"Z", "Zh", "Zg=a", "Z g=", "Zg==="}) EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace shoal::base
