#include "format.h"

#include <gtest/gtest.h>

namespace shoal::store::format {
namespace {

base::WallTime at(std::int64_t ns) { return base::WallTime(std::chrono::nanoseconds(ns)); }
const base::Digest kSha256 = base::digest_of("x");
const base::Digest kSha512 = base::digest_of("x", base::HashAlgorithm::sha512);

// Cut at every byte, with a byte too many, and of another version: absent, never an error or a crash.
template <class Decode>
void expect_strict(const std::string& bytes, Decode decode) {
  ASSERT_TRUE(decode(bytes));
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode(bytes.substr(0, n))) << n;
  EXPECT_FALSE(decode(bytes + "x"));
  auto other = bytes;
  other[0] = 99;
  EXPECT_FALSE(decode(other));
}

TEST(Format, BlobRecordRoundTrips) {
  const BlobRecord record{1ULL << 40, at(1), at(-2), 3, true, true, ~0ULL, -5, 6};
  const auto bytes = encode(record);
  const auto back = decode_blob(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->size, record.size);
  EXPECT_EQ(back->verified, record.verified);
  EXPECT_EQ(back->last_use, record.last_use);
  EXPECT_EQ(back->uses, record.uses);
  EXPECT_TRUE(back->pinned);
  EXPECT_TRUE(back->hosted);
  EXPECT_EQ(back->inode, record.inode);
  EXPECT_EQ(back->mtime_ns, record.mtime_ns);
  EXPECT_EQ(back->ctime_ns, record.ctime_ns);
  expect_strict(bytes, decode_blob);
}

TEST(Format, HostedValuesRoundTrip) {
  const StoredLink link{{7, true, true}, at(3), true};
  EXPECT_TRUE(decode_link(encode(link))->record.hosted);
  EXPECT_TRUE(decode_link(encode(link))->manifest);
  EXPECT_TRUE(decode_link(encode(link))->record.manifest);
  EXPECT_FALSE(decode_link(encode(link))->released);
  EXPECT_TRUE(decode_link(encode(StoredLink{{7, true, true}, at(3), true, true}))->released);
  const UploadRecord upload{"team/app", at(5)};
  EXPECT_EQ(decode_upload(encode(upload))->repository, "team/app");
  EXPECT_EQ(decode_upload(encode(upload))->started, at(5));
  EXPECT_FALSE(decode_upload(encode(UploadRecord{"", at(5)})));
  EXPECT_FALSE(decode_upload(encode(UploadRecord{std::string(kMaxRepositoryKeyBytes + 1, 'a'), at(5)})));
  const auto hosted = encode(HostedRecord{at(6), 42});
  EXPECT_EQ(decode_hosted(hosted)->changes, 42U);
  expect_strict(hosted, decode_hosted);
  EXPECT_EQ(decode_descriptor(encode_descriptor("{}")), "{}");
  EXPECT_FALSE(decode_descriptor(""));
}

TEST(Format, LinkOfTheFirstVersionIsNotHosted) {
  auto bytes = encode(StoredLink{{7, true, true}, at(3), true});
  bytes[0] = 1;
  const auto link = decode_link(bytes);
  ASSERT_TRUE(link);
  EXPECT_TRUE(link->record.proven);
  EXPECT_EQ(link->record.size, 7U);
  EXPECT_FALSE(link->record.hosted);
  EXPECT_FALSE(link->manifest);
}

TEST(Format, SmallValuesRoundTrip) {
  const Totals totals{1, 2, 3, 4, 5};
  EXPECT_EQ(decode_totals(encode(totals)), totals);
  expect_strict(encode(totals), decode_totals);
  EXPECT_EQ(decode_time(encode_time(at(77))), at(77));
  expect_strict(encode_time(at(77)), decode_time);
  EXPECT_EQ(decode_use(encode(ManifestUse{at(9), 4}))->uses, 4U);
  expect_strict(encode(ManifestUse{at(9), 4}), decode_use);
  for (const auto& digest : {kSha256, kSha512}) {
    const auto bytes = encode(TagRecord{digest, at(1), at(2)});
    EXPECT_EQ(decode_tag(bytes)->digest, digest);
    EXPECT_EQ(decode_tag(bytes)->checked, at(2));
    expect_strict(bytes, decode_tag);
  }
  for (const auto& link : {LinkRecord{}, LinkRecord{0, false}, LinkRecord{7, true}}) {
    const auto bytes = encode(StoredLink{link, at(3)});
    EXPECT_EQ(decode_link(bytes)->record.size, link.size);
    EXPECT_EQ(decode_link(bytes)->record.proven, link.proven);
    expect_strict(bytes, decode_link);
  }
}

TEST(Format, ManifestKeepsItsBytesExactly) {
  const std::string body("{\0\xff}", 4);
  const auto bytes = encode(StoredManifest{{"application/x", std::make_shared<const std::string>(body), at(5)}, true});
  const auto back = decode_manifest(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back->record.bytes, body);
  EXPECT_EQ(back->record.media_type, "application/x");
  EXPECT_TRUE(back->pinned);
  const std::size_t head = bytes.size() - body.size();
  for (std::size_t n = 0; n < head; ++n) EXPECT_FALSE(decode_manifest(bytes.substr(0, n))) << n;
}

TEST(Format, KeysParseBack) {
  for (const auto& digest : {kSha256, kSha512}) {
    EXPECT_EQ(parse_digest_key(digest_key(digest)), digest);
    EXPECT_FALSE(parse_digest_key(digest_key(digest) + "x"));
    EXPECT_FALSE(parse_digest_key(digest_key(digest).substr(1)));
    const auto holder = holder_key(digest, "a/b");
    const auto parts = parse_holder_key(holder);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->first, digest);
    EXPECT_EQ(parts->second, "a/b");
  }
  EXPECT_FALSE(parse_digest_key(""));
  EXPECT_FALSE(parse_digest_key(std::string(33, '\x03')));
  const auto key = name_key("docker.io/a", "1");
  EXPECT_EQ(split_repository_key(key)->first, "docker.io/a");
  EXPECT_EQ(split_repository_key(key)->second, "1");
  EXPECT_FALSE(split_repository_key("no-nul"));
}

TEST(Format, RepositoriesSortAsTheirNamesDo) {
  EXPECT_LT(name_key("a", "z"), name_key("a-b", "a"));
  EXPECT_LT(name_key("a", "\xff"), after_repository("a"));
  EXPECT_LT(after_repository("a"), name_key("a-", ""));
}

TEST(Format, LongestKeysFitTheIndex) {
  EXPECT_LE(link_key(std::string(kMaxRepositoryKeyBytes, 'r'), kSha512).size(), 511U);
  EXPECT_LE(holder_key(kSha512, std::string(kMaxRepositoryKeyBytes, 'r')).size(), 511U);
  EXPECT_LE(name_key(std::string(kMaxRepositoryKeyBytes, 'r'), std::string(kMaxReferenceBytes, 't')).size(), 511U);
}

}  // namespace
}  // namespace shoal::store::format
