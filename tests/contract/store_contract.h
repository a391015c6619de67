// What every Store promises, whatever it keeps things in. Instantiate with a way to open one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

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

TEST_P(StoreContract, UnreadableBlobIsCorruptUntilAFillHasPutItAnew) {
  const std::string bytes = some_bytes(200'000, 3);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  const auto reader = store().open_blob(digest);
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  store().report_unreadable(digest, *reader->file(), base::from_errno(EIO, "read"));
  EXPECT_EQ(store().open_blob(digest).error().kind(), base::ErrorKind::corrupt);
  EXPECT_TRUE(store().find_blob(digest)) << "its record stays";
  EXPECT_EQ(store().usage().read_errors, 1U);
  ASSERT_TRUE(rig.put(bytes).ok());
  const auto opened = store().open_blob(digest);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(read_all(*opened), bytes);
  EXPECT_EQ(store().usage().blob_bytes, bytes.size());
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

TEST_P(StoreContract, PiecesInAnyOrderBesideAppends) {
  const std::string bytes = some_bytes(100'000, 11);
  const auto digest = base::digest_of(bytes);
  auto fill = rig.begin(digest);
  EXPECT_EQ(fill->pieces(), nullptr) << "not open yet";
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  const auto pieces = fill->pieces();
  ASSERT_NE(pieces, nullptr);
  EXPECT_EQ(pieces->file(), fill->file());
  const auto place = [&](std::size_t at, std::size_t size) {
    return pieces->write(at, std::string_view(bytes).substr(at, size));
  };
  ASSERT_TRUE(place(80'000, 20'000).ok());
  ASSERT_TRUE(place(20'000, 30'000).ok());
  EXPECT_EQ(rig.append(*fill, bytes.substr(0, 20'000)).value_or(0), 20'000U);
  EXPECT_EQ(rig.absorb(*fill, 50'000).value_or(0), 50'000U);
  EXPECT_EQ(rig.absorb(*fill, 40'000).value_or(0), 50'000U);
  EXPECT_EQ(rig.append(*fill, bytes.substr(50'000, 30'000)).value_or(0), 80'000U);
  EXPECT_EQ(rig.absorb(*fill, 100'000).value_or(0), 100'000U);
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  const auto published = rig.publish(*fill);
  ASSERT_TRUE(published.ok());
  EXPECT_EQ(place(0, 1).error().kind(), base::ErrorKind::cancelled);
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(read_all(*published), bytes);
  EXPECT_EQ(store().usage().fill_bytes, 0U);
  fill.reset();
  rig.loop.run_all();  // what it leaves to be done holds the store until it is
}

TEST_P(StoreContract, PiecesBehindBytesThatAreNotKeptAreHashedAndStay) {
  const std::string bytes = some_bytes(100'000, 13);
  auto fill = rig.begin(base::digest_of(bytes));
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(fill->pieces()->write(50'000, std::string_view(bytes).substr(50'000, 40'000)).ok());
  EXPECT_EQ(rig.append(*fill, bytes.substr(0, 20'000)).value_or(0), 20'000U);
  fill->discard();
  EXPECT_EQ(rig.append(*fill, bytes.substr(20'000, 30'000)).error().kind(), base::ErrorKind::full);
  EXPECT_EQ(rig.absorb(*fill, 90'000).error().kind(), base::ErrorKind::full);
  EXPECT_EQ(rig.absorb(*fill, 80'000).error().kind(), base::ErrorKind::full);
  EXPECT_EQ(rig.append(*fill, bytes.substr(90'000)).error().kind(), base::ErrorKind::full);
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  std::string there(40'000, '\0');
  EXPECT_EQ(::pread(fill->file()->fd(), there.data(), there.size(), 50'000), 40'000);
  EXPECT_EQ(there, bytes.substr(50'000, 40'000));
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(StoreContract, PiecesAheadGoWithTheirFill) {
  const std::string bytes = some_bytes(100'000, 12);
  const auto digest = base::digest_of(bytes);
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes.substr(0, 1000)).ok());
  const auto pieces = fill->pieces();
  ASSERT_TRUE(pieces->write(50'000, std::string_view(bytes).substr(50'000)).ok());
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(pieces->write(0, "x").error().kind(), base::ErrorKind::cancelled);
  EXPECT_EQ(store().usage().fill_bytes, 1000U);
  auto next = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*next, bytes.size()).value_or(0), 1000U);
}

TEST_P(StoreContract, RestartAndDiscardEndTheirPieces) {
  auto fill = rig.begin(base::digest_of("right"));
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  const auto old = fill->pieces();
  ASSERT_TRUE(old->write(0, "wrong").ok());
  EXPECT_EQ(rig.absorb(*fill, 6).error().kind(), base::ErrorKind::corrupt);
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("short", std::move(done)); }).ok());
  EXPECT_EQ(old->write(0, "wrong").error().kind(), base::ErrorKind::cancelled);
  const auto pieces = fill->pieces();
  ASSERT_NE(pieces, nullptr);
  ASSERT_TRUE(pieces->write(0, "right").ok());
  fill->discard();
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(pieces->write(0, "right").error().kind(), base::ErrorKind::cancelled);
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(store().usage().fill_bytes, 0U);
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

TEST_P(StoreContract, ManifestsListPagesThroughAllOfThemTaggedOrNot) {
  std::set<base::Digest> all;
  for (int i = 0; i < 5; ++i) {
    const auto manifest = shared(i == 0 ? std::string(100'000, 'x') : "{" + std::to_string(i) + "}");
    const auto digest = base::digest_of(*manifest);
    all.insert(digest);
    ASSERT_TRUE(rig.commit({store::PutManifest{"r", digest, "m", manifest, at(0)}}).ok());
  }
  const auto first = store().list_manifests(std::nullopt, 2);
  ASSERT_EQ(first.size(), 2U);
  const auto rest = store().list_manifests(first.back(), 10);
  EXPECT_EQ(rest.size(), 3U);
  std::set<base::Digest> found(first.begin(), first.end());
  found.insert(rest.begin(), rest.end());
  EXPECT_EQ(found, all);
  EXPECT_TRUE(store().list_manifests(rest.back(), 10).empty());
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

TEST_P(StoreContract, WhatARemovalWouldDoIsToldBefore) {
  const std::string own = some_bytes(1000, 21), both = some_bytes(2000, 22), manifest = "{}";
  ASSERT_TRUE(rig.put(own, "gone").ok());
  ASSERT_TRUE(rig.put(both, "gone").ok());
  const auto digest = base::digest_of(manifest);
  ASSERT_TRUE(rig.commit({store::PutLink{"stays", base::digest_of(both), {2000, true}},
                          store::PutLink{"gone", base::digest_of("not here"), {7, false}},
                          store::PutManifest{"gone", digest, "text/plain", shared(manifest), rig.clock.wall_now()},
                          store::PutTag{"gone", "1", {digest, {}, {}}}, store::PutTag{"gone", "2", {digest, {}, {}}}})
                  .ok());
  const auto forecast = store().foresee_removal("gone");
  ASSERT_TRUE(forecast.ok());
  EXPECT_EQ(forecast->tags, 2U);
  EXPECT_EQ(forecast->manifests, 1U);
  EXPECT_EQ(forecast->blobs, 1U);
  EXPECT_EQ(forecast->bytes, 1000U);
  EXPECT_EQ(forecast->blobs_shared, 1U);
  EXPECT_EQ(forecast->bytes_shared, 2000U);
  EXPECT_EQ(store().find_removable(base::digest_of(own)).value_or({}).size, 1000U);
  EXPECT_EQ(store().find_removable(base::digest_of("not here")).error().kind(), base::ErrorKind::not_found);
  EXPECT_TRUE(store().find_tag("gone", "1"));
  {
    const auto reader = store().open_blob(base::digest_of(own));
    EXPECT_EQ(store().find_removable(base::digest_of(own)).error().kind(), base::ErrorKind::busy);
    EXPECT_EQ(store().foresee_removal("gone")->blobs_in_use, 1U);
    EXPECT_EQ(store().foresee_removal("gone")->bytes, 0U);
  }
  ASSERT_TRUE(rig.commit({store::PinBlob{base::digest_of(own), true}}).ok());
  EXPECT_EQ(store().foresee_removal("gone")->bytes_pinned, 1000U);
  EXPECT_EQ(store().find_removable(base::digest_of(own)).error().kind(), base::ErrorKind::busy);
  EXPECT_EQ(store().foresee_removal("no/such")->tags, 0U);
}

TEST_P(StoreContract, StatesAreListedByPrefix) {
  ASSERT_TRUE(rig.commit({store::PutState{"pin/b", "2"}, store::PutState{"pin/a", "1"}, store::PutState{"pin/c", "3"},
                          store::PutState{"pim", "x"}, store::PutState{"pio", "y"}})
                  .ok());
  using States = store::Store::States;
  EXPECT_EQ(store().list_states("pin/", "", 10), (States{{"pin/a", "1"}, {"pin/b", "2"}, {"pin/c", "3"}}));
  EXPECT_EQ(store().list_states("pin/", "pin/a", 1), (States{{"pin/b", "2"}}));
  EXPECT_EQ(store().list_states("pin/", "pin/c", 10), States{});
  EXPECT_EQ(store().list_states("none/", "", 10), States{});
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
