#include "shoal/base/digest.h"

#include <gtest/gtest.h>

#include <set>
#include <unordered_set>
#include <vector>

namespace shoal::base {
namespace {

const std::string kEmpty256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kAbc256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const std::string kEmpty512 =
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
const std::string kAbc512 =
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

TEST(Digest, ParsesWhatItPrints) {
  for (const std::string& text : {"sha256:" + kEmpty256, "sha512:" + kAbc512}) {
    const auto digest = Digest::parse(text);
    ASSERT_TRUE(digest.ok()) << text;
    EXPECT_EQ(digest->to_string(), text);
    EXPECT_EQ(digest->hex(), text.substr(7));
  }
  EXPECT_EQ(Digest::parse("sha256:" + kEmpty256)->algorithm(), HashAlgorithm::sha256);
  EXPECT_EQ(Digest::parse("sha256:" + kEmpty256)->bytes().size(), 32u);
  EXPECT_EQ(Digest::parse("sha512:" + kEmpty512)->bytes().size(), 64u);
}

TEST(Digest, RefusesEverythingElse) {
  const std::string hex(64, 'a');
  const std::vector<std::string> rows = {std::string(),
                                         std::string("sha256"),
                                         std::string("sha256:"),
                                         ":" + hex,
                                         hex,
                                         "sha256:" + hex.substr(1),
                                         "sha256:" + hex + "a",
                                         "sha256:" + std::string(64, 'A'),
                                         "sha256:" + std::string(64, 'g'),
                                         "SHA256:" + hex,
                                         "sha384:" + std::string(96, 'a'),
                                         "sha1:" + std::string(40, 'a'),
                                         "md5:" + std::string(32, 'a'),
                                         "sha512:" + hex,
                                         "sha256:" + hex + hex,
                                         " sha256:" + hex,
                                         "sha256:" + hex + " ",
                                         "sha256 :" + hex,
                                         "sha256:" + hex.substr(2) + "%6",
                                         "sha256:" + std::string(64, '\0'),
                                         "sha256:../" + hex.substr(3),
                                         "sha256:totallywrong",
                                         "sha256+b64:" + hex};
  for (const auto& bad : rows) {
    const auto digest = Digest::parse(bad);
    ASSERT_FALSE(digest.ok()) << bad;
    EXPECT_EQ(digest.error().kind(), ErrorKind::invalid) << bad;
  }
}

TEST(Digest, ComparesAndHashesByContent) {
  const auto a = digest_of("a");
  const auto b = digest_of("b");
  EXPECT_EQ(a, digest_of("a"));
  EXPECT_NE(a, b);
  EXPECT_EQ(a<b, b> a);
  EXPECT_NE(digest_of("a"), digest_of("a", HashAlgorithm::sha512));
  EXPECT_EQ(a.hash(), digest_of("a").hash());
  EXPECT_EQ((std::unordered_set<Digest>{a, b, a}).size(), 2u);
  EXPECT_EQ((std::set<Digest>{a, b, a}).size(), 2u);
  EXPECT_EQ(Digest::from_bytes(a.algorithm(), a.bytes()), a);
}

TEST(Digest, HashSpreadsOverLoops) {
  std::set<std::size_t> loops;
  for (int i = 0; i < 64; ++i) loops.insert(digest_of(std::to_string(i)).hash() % 4);
  EXPECT_EQ(loops.size(), 4u);
}

TEST(Hasher, MatchesKnownVectors) {
  EXPECT_EQ(digest_of("").hex(), kEmpty256);
  EXPECT_EQ(digest_of("abc").hex(), kAbc256);
  EXPECT_EQ(digest_of("", HashAlgorithm::sha512).hex(), kEmpty512);
  EXPECT_EQ(digest_of("abc", HashAlgorithm::sha512).hex(), kAbc512);
  // FIPS 180-2, appendix B.3: a million times "a"
  EXPECT_EQ(digest_of(std::string(1'000'000, 'a')).hex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hasher, PiecesDoNotMatter) {
  const std::string text = "The quick brown fox jumps over the lazy dog, twice around the block.";
  for (std::size_t split = 0; split <= text.size(); ++split) {
    Hasher hasher(HashAlgorithm::sha512);
    hasher.update(std::string_view(text).substr(0, split));
    hasher.update(std::as_bytes(std::span(text).subspan(split)));
    EXPECT_EQ(hasher.finish(), digest_of(text, HashAlgorithm::sha512));
  }
}

TEST(Hasher, MovesWithItsState) {
  Hasher first(HashAlgorithm::sha256);
  first.update("a");
  Hasher second(std::move(first));
  second.update("b");
  Hasher third(HashAlgorithm::sha512);
  third = std::move(second);
  third.update("c");
  EXPECT_EQ(third.finish().hex(), kAbc256);
}

}  // namespace
}  // namespace shoal::base
