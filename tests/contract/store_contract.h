// What every Store promises, whatever it keeps things in. Instantiate with a way to open one.
#pragma once

#include <gtest/gtest.h>

#include "support/store_rig.h"

namespace shoal::test {

class StoreContract : public ::testing::TestWithParam<OpenStore> {
 protected:
  StoreContract() : rig(GetParam()) { rig.start(); }
  [[nodiscard]] store::Store& store() { return *rig.store; }
  StoreRig rig;
};

inline base::WallTime at(int seconds) { return base::WallTime(std::chrono::seconds(1'800'000'000 + seconds)); }

TEST_P(StoreContract, PublishedBlobReadsBackAndSurvivesReopen) {
  const std::string bytes = some_bytes(300'000, 1);
  const auto digest = base::digest_of(bytes);
  EXPECT_EQ(store().open_blob(digest).error().kind(), base::ErrorKind::not_found);
  {
    const auto published = rig.put(bytes);
    ASSERT_TRUE(published.ok()) << published.error().message();
    EXPECT_EQ(read_all(*published), bytes);
  }
  rig.restart();
  const auto opened = store().open_blob(digest);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(read_all(*opened), bytes);
  EXPECT_EQ(store().usage().blobs, 1U);
  EXPECT_EQ(store().usage().blob_bytes, bytes.size());
  EXPECT_EQ(store().usage().fill_bytes, 0U);
  const auto link = store().find_link("docker.io/library/a", digest);
  ASSERT_TRUE(link);
  EXPECT_TRUE(link->proven);
  EXPECT_EQ(link->size, bytes.size());
}

TEST_P(StoreContract, EmptyBlobPublishes) {
  ASSERT_TRUE(rig.put("").ok());
  const auto opened = store().open_blob(base::digest_of(""));
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened->size(), 0U);
}

TEST_P(StoreContract, DroppedFillIsResumedWhereItStopped) {
  const std::string bytes = some_bytes(200'000, 2);
  const auto digest = base::digest_of(bytes);
  {
    auto fill = rig.begin(digest);
    EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(9), 0U);
    EXPECT_EQ(rig.append(*fill, bytes.substr(0, 150'000)).value_or(0), 150'000U);
  }
  rig.restart();
  EXPECT_EQ(store().usage().fill_bytes, 150'000U);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(9), 150'000U);
  EXPECT_TRUE(rig.append(*fill, bytes.substr(150'000)).ok());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(StoreContract, SecondFillOfADigestIsBusyUntilTheFirstGoes) {
  const auto digest = base::digest_of("x");
  auto fill = rig.begin(digest);
  const auto second = store().begin_fill(digest, rig.loop);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind(), base::ErrorKind::busy);
  fill.reset();
  EXPECT_TRUE(store().begin_fill(digest, rig.loop).ok());
}

TEST_P(StoreContract, NewFillWaitsForTheWorkTheLastOneLeft) {
  const std::string bytes = some_bytes(100'000, 3);
  const auto digest = base::digest_of(bytes);
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  fill->append(shared(bytes), [](base::Result<std::uint64_t>) { FAIL() << "the fill is gone"; });
  fill.reset();  // the append is still queued
  auto next = rig.begin(digest);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(rig.open_fill(*next).value_or(0), bytes.size());
  EXPECT_TRUE(rig.verify(*next).value_or(false));
}

TEST_P(StoreContract, WrongBytesDoNotVerifyAndRestartBeginsANewFile) {
  const std::string bytes = some_bytes(50'000, 4);
  auto fill = rig.begin(base::digest_of(bytes));
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  auto wrong = bytes;
  wrong[777] ^= 1;
  ASSERT_TRUE(rig.append(*fill, wrong).ok());
  EXPECT_FALSE(rig.verify(*fill).value_or(true));
  EXPECT_EQ(rig.publish(*fill).error().kind(), base::ErrorKind::bug);
  const auto old_file = fill->file();
  const auto restarted = rig.wait<void>([&](auto done) { fill->restart("digest mismatch", std::move(done)); });
  ASSERT_TRUE(restarted.ok());
  EXPECT_NE(fill->file(), old_file);
  std::string kept(wrong.size(), '\0');
  EXPECT_EQ(::pread(old_file->fd(), kept.data(), kept.size(), 0), static_cast<ssize_t>(wrong.size()));
  EXPECT_EQ(kept, wrong);  // a reader of the old file is not disturbed
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(store().usage().quarantined, 1U);
}

TEST_P(StoreContract, KeptFileLongerThanTheBlobIsThrownAway) {
  const auto digest = base::digest_of("short");
  {
    auto fill = rig.begin(digest);
    ASSERT_TRUE(rig.open_fill(*fill).ok());
    ASSERT_TRUE(rig.append(*fill, "longer than that").ok());
  }
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, 5).value_or(9), 0U);
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(StoreContract, DiscardedFillLeavesNothing) {
  const auto digest = base::digest_of("x");
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  ASSERT_TRUE(rig.append(*fill, "xyz").ok());
  fill->discard();
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(store().usage().fill_bytes, 0U);
  auto next = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*next).value_or(9), 0U);
}

TEST_P(StoreContract, AfterDiscardNothingMoreIsKeptButTheHashGoesOn) {
  const std::string bytes = "one two";
  auto fill = rig.begin(base::digest_of(bytes));
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  ASSERT_TRUE(rig.append(*fill, "one ").ok());
  const auto file = fill->file();
  fill->discard();
  const auto refused = rig.append(*fill, "two");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), base::ErrorKind::full);
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  char kept[8] = {};
  EXPECT_EQ(::pread(file->fd(), kept, sizeof kept, 0), 4);
  fill.reset();
  rig.loop.run_all();
}

TEST_P(StoreContract, ManifestTagAndNegativeRecordsReadBack) {
  const auto bytes = shared("{\"schemaVersion\":2}");
  const auto digest = base::digest_of(*bytes);
  const std::string repo = "docker.io/library/nginx";
  ASSERT_TRUE(rig.commit({store::PutAbsent{repo, "1", at(60)}}).ok());
  EXPECT_EQ(store().find_absent(repo, "1"), at(60));
  ASSERT_TRUE(rig.commit({store::PutManifest{repo, digest, "application/x", bytes, at(0)},
                          store::PutTag{repo, "1", {digest, at(0), at(1)}}})
                  .ok());
  rig.restart();
  const auto manifest = store().find_manifest(digest);
  ASSERT_TRUE(manifest);
  EXPECT_EQ(*manifest->bytes, *bytes);
  EXPECT_EQ(manifest->media_type, "application/x");
  EXPECT_EQ(manifest->stored, at(0));
  const auto tag = store().find_tag(repo, "1");
  ASSERT_TRUE(tag);
  EXPECT_EQ(tag->digest, digest);
  EXPECT_EQ(tag->checked, at(1));
  EXPECT_FALSE(store().find_absent(repo, "1")) << "a tag that exists is not absent";
  EXPECT_TRUE(store().find_link(repo, digest)->proven);
  EXPECT_EQ(store().usage().manifests, 1U);
  EXPECT_EQ(store().usage().tags, 1U);
  ASSERT_TRUE(rig.commit({store::RemoveTag{repo, "1"}}).ok());
  EXPECT_FALSE(store().find_tag(repo, "1"));
  EXPECT_EQ(store().usage().tags, 0U);
}

TEST_P(StoreContract, LinksMergeAndProofStays) {
  const auto digest = base::digest_of("x");
  ASSERT_TRUE(rig.commit({store::PutLink{"r", digest, {std::nullopt, true}}}).ok());
  ASSERT_TRUE(rig.commit({store::PutLink{"r", digest, {7, false}}}).ok());
  ASSERT_TRUE(rig.commit({store::PutLink{"r", digest, {std::nullopt, false}}}).ok());
  const auto link = store().find_link("r", digest);
  ASSERT_TRUE(link);
  EXPECT_TRUE(link->proven);
  EXPECT_EQ(link->size, 7U);
  EXPECT_FALSE(store().find_link("other", digest));
}

TEST_P(StoreContract, StateReadsBackAndAnEmptyValueRemovesIt) {
  ASSERT_TRUE(rig.commit({store::PutState{"upstream/x/health", "bad"}}).ok());
  EXPECT_EQ(store().find_state("upstream/x/health"), "bad");
  ASSERT_TRUE(rig.commit({store::PutState{"upstream/x/health", ""}}).ok());
  EXPECT_FALSE(store().find_state("upstream/x/health"));
}

TEST_P(StoreContract, NamesBeyondTheLimitsAreInvalid) {
  const auto digest = base::digest_of("x");
  const auto kind = [&](store::Write write) {
    const auto result = rig.commit({std::move(write)});
    return result.ok() ? std::optional<base::ErrorKind>() : result.error().kind();
  };
  const std::string longest(320, 'r');
  const std::string tag(128, 't');
  EXPECT_EQ(kind(store::PutTag{longest, tag, {digest, {}, {}}}), std::nullopt);
  EXPECT_EQ(kind(store::PutLink{longest, base::digest_of("x", base::HashAlgorithm::sha512), {}}), std::nullopt);
  EXPECT_EQ(kind(store::PutTag{longest + "r", tag, {digest, {}, {}}}), base::ErrorKind::invalid);
  EXPECT_EQ(kind(store::PutTag{longest, tag + "t", {digest, {}, {}}}), base::ErrorKind::invalid);
  EXPECT_EQ(kind(store::PutTag{"", tag, {digest, {}, {}}}), base::ErrorKind::invalid);
  EXPECT_EQ(kind(store::PutTag{std::string("a\0b", 3), tag, {digest, {}, {}}}), base::ErrorKind::invalid);
  EXPECT_EQ(kind(store::PutAbsent{"r", std::string(137, 'x'), {}}), base::ErrorKind::invalid);
  EXPECT_EQ(kind(store::PutState{std::string(481, 'x'), "v"}), base::ErrorKind::invalid);
  EXPECT_FALSE(store().find_tag(std::string(5000, 'r'), "t"));
}

TEST_P(StoreContract, ListsAreInByteOrderAndPaged) {
  const auto digest = base::digest_of("x");
  std::vector<store::Write> writes;
  for (const char* repo : {"b", "a-b", "a", "a/b"}) writes.push_back(store::PutLink{repo, digest, {}});
  for (const char* tag : {"2", "10", "1"}) writes.push_back(store::PutTag{"a", tag, {digest, {}, {}}});
  writes.push_back(store::PutTag{"tagged-only", "1", {digest, {}, {}}});
  ASSERT_TRUE(rig.commit(std::move(writes)).ok());
  EXPECT_EQ(store().list_repositories("", 100), (std::vector<std::string>{"a", "a-b", "a/b", "b", "tagged-only"}));
  EXPECT_EQ(store().list_repositories("a", 2), (std::vector<std::string>{"a-b", "a/b"}));
  std::vector<std::string> tags;
  for (const auto& [tag, record] : store().list_tags("a", "1", 100)) tags.push_back(tag);
  EXPECT_EQ(tags, (std::vector<std::string>{"10", "2"}));
  EXPECT_TRUE(store().list_tags("a-", "", 100).empty());
}

TEST_P(StoreContract, BlobsListPagesThroughAllOfThem) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(rig.put(some_bytes(10, static_cast<unsigned>(100 + i))).ok());
  const auto first = store().list_blobs(std::nullopt, 2);
  ASSERT_EQ(first.size(), 2U);
  const auto rest = store().list_blobs(first.back().first, 10);
  EXPECT_EQ(rest.size(), 3U);
  EXPECT_LT(first.back().first, rest.front().first);
}

TEST_P(StoreContract, RemovedRepositoryTakesWhatOnlyItShowed) {
  const std::string own = some_bytes(1000, 5), both = some_bytes(1000, 6);
  ASSERT_TRUE(rig.put(own, "gone").ok());
  ASSERT_TRUE(rig.put(both, "gone").ok());
  const auto manifest = shared("{}");
  const auto digest = base::digest_of(*manifest);
  ASSERT_TRUE(rig.commit({store::PutLink{"stays", base::digest_of(both), {std::nullopt, true}},
                          store::PutManifest{"gone", digest, "m", manifest, at(0)},
                          store::PutTag{"gone", "1", {digest, at(0), at(0)}}})
                  .ok());
  ASSERT_TRUE(rig.commit({store::RemoveRepository{"gone"}}).ok());
  rig.loop.run_all();
  EXPECT_TRUE(store().list_tags("gone", "", 10).empty());
  EXPECT_FALSE(store().find_manifest(digest));
  EXPECT_FALSE(store().find_link("gone", base::digest_of(both)));
  EXPECT_EQ(store().open_blob(base::digest_of(own)).error().kind(), base::ErrorKind::not_found);
  EXPECT_TRUE(store().open_blob(base::digest_of(both)).ok());
  EXPECT_EQ(store().list_repositories("", 10), std::vector<std::string>{"stays"});
}

TEST_P(StoreContract, BlobInUseOrPinnedIsNotRemoved) {
  const std::string bytes = some_bytes(100, 7);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  {
    const auto open = store().open_blob(digest);
    EXPECT_EQ(store().remove_blob(digest).error().kind(), base::ErrorKind::busy);
  }
  ASSERT_TRUE(rig.commit({store::PinBlob{digest, true}}).ok());
  EXPECT_EQ(store().remove_blob(digest).error().kind(), base::ErrorKind::busy);
  ASSERT_TRUE(rig.commit({store::PinBlob{digest, false}}).ok());
  EXPECT_TRUE(store().remove_blob(digest).ok());
  EXPECT_EQ(store().remove_blob(digest).error().kind(), base::ErrorKind::not_found);
  EXPECT_FALSE(store().open_blob(digest).ok());
  EXPECT_EQ(store().usage().blobs, 0U);
  EXPECT_EQ(store().usage().blob_bytes, 0U);
}

TEST_P(StoreContract, TouchesReachTheRecord) {
  const std::string bytes = some_bytes(100, 8);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  const auto before = store().find_blob(digest);
  rig.clock.advance(std::chrono::hours(1));
  store().touch_blob(digest);
  store().touch_blob(digest);
  rig.restart();
  const auto after = store().find_blob(digest);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->uses, before->uses + 2);
  EXPECT_EQ(after->last_use, before->last_use + std::chrono::hours(1));
}

TEST_P(StoreContract, Sha512BlobsAreKeptToo) {
  const std::string bytes = some_bytes(1000, 9);
  const auto digest = base::digest_of(bytes, base::HashAlgorithm::sha512);
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
  EXPECT_TRUE(store().open_blob(digest).ok());
}

TEST_P(StoreContract, OpenBlobOutlivesTheStore) {
  const std::string bytes = some_bytes(1000, 10);
  const auto published = rig.put(bytes);
  ASSERT_TRUE(published.ok());
  rig.close();
  EXPECT_EQ(read_all(*published), bytes);
}

}  // namespace shoal::test
