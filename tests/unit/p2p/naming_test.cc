#include "naming.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

const base::Digest kDigest = base::digest_of("a layer");
const base::HmacKey kSecret("the secret of the site");

Naming named(const base::HmacKey& secret, const base::Digest& digest, std::uint64_t size, std::uint32_t length) {
  auto naming = Naming::make(secret, digest, size, length);
  EXPECT_TRUE(naming.ok());
  return std::move(*naming);
}

TEST(Naming, TheSameBlobHasTheSameNameEverywhere) {
  EXPECT_EQ(named(kSecret, kDigest, 1'000'003, 65'536).metainfo(),
            named(base::HmacKey("the secret of the site"), kDigest, 1'000'003, 65'536).metainfo());
}

// Nodes of different versions must derive the same: a change here is a change of the protocol.
TEST(Naming, TheNameIsWhatItWasWhenThisTestWasWritten) {
  const std::string info = named(kSecret, kDigest, 1'000'003, 65'536).metainfo();
  EXPECT_EQ(info.substr(0, 40), "d4:infod6:lengthi1000003e4:name64:" + kDigest.hex().substr(0, 6));
  EXPECT_EQ(base::digest_of(info).hex(), "1cd3564b593fc08c27c5b334743aa1b0a3d1a6b86465a2ca7cbb5ab15ab0f94e");
}

TEST(Naming, SecretDigestSizeAndPieceLengthAllEnter) {
  const std::string info = named(kSecret, kDigest, 1'000'003, 65'536).metainfo();
  const auto first = named(kSecret, kDigest, 1'000'003, 65'536).placeholder(0);
  EXPECT_NE(named(base::HmacKey("another secret, of others"), kDigest, 1'000'003, 65'536).placeholder(0), first);
  EXPECT_NE(named(kSecret, base::digest_of("other"), 1'000'003, 65'536).placeholder(0), first);
  EXPECT_NE(named(kSecret, kDigest, 1'000'004, 65'536).placeholder(0), first);
  EXPECT_NE(named(kSecret, kDigest, 1'000'003, 131'072).placeholder(0), first);
  EXPECT_NE(named(kSecret, kDigest, 1'000'003, 65'536).placeholder(1), first);
}

TEST(Naming, TheLastPieceIsWhatIsLeft) {
  const Naming naming = named(kSecret, kDigest, 1'000'003, 65'536);
  EXPECT_EQ(naming.pieces(), 16u);
  EXPECT_EQ(naming.piece_size(0), 65'536u);
  EXPECT_EQ(naming.piece_size(15), 1'000'003u - 15 * 65'536u);
  EXPECT_EQ(named(kSecret, kDigest, 131'072, 65'536).pieces(), 2u);
  EXPECT_EQ(named(kSecret, kDigest, 131'072, 65'536).piece_size(1), 65'536u);
}

TEST(Naming, ASha512DigestHasANameToo) {
  const auto digest = base::digest_of("a layer", base::HashAlgorithm::sha512);
  EXPECT_NE(named(kSecret, digest, 10, 65'536).metainfo().find("4:name128:" + digest.hex()), std::string::npos);
}

TEST(Naming, WhatCannotBeCutIsRefused) {
  const auto refused = [](std::uint64_t size, std::uint32_t length) {
    const auto naming = Naming::make(kSecret, kDigest, size, length);
    return !naming.ok() && naming.error().kind() == base::ErrorKind::invalid;
  };
  EXPECT_TRUE(refused(0, 65'536));
  EXPECT_TRUE(refused(10, 0));
  EXPECT_TRUE(refused(10, 8'192));
  EXPECT_TRUE(refused(10, 65'537));
  EXPECT_TRUE(refused(10, 1u << 31));
  EXPECT_TRUE(refused((std::uint64_t{65'536} << 20) + 1, 65'536));
  EXPECT_FALSE(refused(std::uint64_t{65'536} << 20, 65'536));
}

}  // namespace
}  // namespace shoal::p2p
