#include "layout.h"

#include <gtest/gtest.h>

namespace shoal::store {
namespace {

const std::string kHex = "00ff000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d";

TEST(Layout, NamesAreStable) {
  const Layout layout("/s");
  const auto digest = *base::Digest::parse("sha256:" + kHex);
  EXPECT_EQ(layout.blob(digest), "/s/blobs/sha256/00/" + kHex);
  EXPECT_EQ(layout.fill(digest), "/s/fills/" + kHex);
  EXPECT_EQ(layout.quarantine(digest, "Digest mismatch!"), "/s/quarantine/" + kHex + ".digest-mismatch");
}

TEST(Layout, ContentNamesParseOnlyWhenTheyAreDigests) {
  EXPECT_EQ(parse_content_name(kHex)->hex(), kHex);
  EXPECT_EQ(parse_content_name(kHex + kHex)->algorithm(), base::HashAlgorithm::sha512);
  for (const std::string& bad : {std::string(), kHex.substr(1), kHex + "0", "F" + kHex.substr(1), kHex + ".tmp"}) {
    EXPECT_FALSE(parse_content_name(bad)) << bad;
  }
}

TEST(Layout, ReasonsBecomeSafeFileNames) {
  EXPECT_EQ(reason_slug("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(reason_slug(""), "unknown");
  EXPECT_EQ(reason_slug("///"), "unknown");
  EXPECT_EQ(reason_slug(std::string(100, 'a')).size(), 40U);
}

}  // namespace
}  // namespace shoal::store
