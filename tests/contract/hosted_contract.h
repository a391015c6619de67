// What every Hosted promises, whatever it keeps things in. Instantiate with a way to open its Store.
#pragma once

#include <gtest/gtest.h>

#include "support/hosted_rig.h"

namespace shoal::test {

class HostedContract : public ::testing::TestWithParam<OpenStore> {
 protected:
  HostedContract() : rig(GetParam()) { rig.start(); }
  [[nodiscard]] store::Store& store() { return *rig.store; }
  [[nodiscard]] store::Hosted& hosted() { return rig.hosted(); }
  [[nodiscard]] base::ErrorKind kind(const base::Result<void>& result) {
    return result.ok() ? base::ErrorKind::bug : result.error().kind();
  }
  HostedRig rig;
};

inline const std::string kApp = "team/app";
inline const std::string kOther = "team/other";

TEST_P(HostedContract, PushedBlobReadsBackAndIsShownInItsRepositoryOnly) {
  const auto bytes = some_bytes(200'000, 1);
  const auto digest = base::digest_of(bytes);
  auto upload = rig.begin_upload(kApp);
  EXPECT_FALSE(upload->id().empty());
  EXPECT_EQ(rig.length(*upload).value_or(9), 0U);
  EXPECT_EQ(rig.add(*upload, bytes.substr(0, 150'000)).value_or(0), 150'000U);
  EXPECT_EQ(rig.add(*upload, bytes.substr(150'000)).value_or(0), bytes.size());
  EXPECT_EQ(rig.length(*upload).value_or(0), bytes.size());
  const auto finished = rig.finish(*upload, digest);
  ASSERT_TRUE(finished.ok()) << finished.error().message();
  const auto open = store().open_blob(digest);
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(read_all(*open), bytes);
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_EQ(store().find_link(kApp, digest)->size, bytes.size());
  EXPECT_FALSE(rig.shows(kOther, digest));
  EXPECT_EQ(hosted().resume_upload(kApp, upload->id(), rig.loop).error().kind(), base::ErrorKind::not_found);
}

TEST_P(HostedContract, UnreadableBlobMayBePushedAgainAndCountsOnce) {
  const auto bytes = some_bytes(200'000, 3);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  const auto reader = store().open_blob(digest);
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  store().report_unreadable(digest, *reader->file(), base::from_errno(EIO, "read"));
  ASSERT_EQ(store().open_blob(digest).error().kind(), base::ErrorKind::corrupt);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  store().report_unreadable(digest, *reader->file(), base::from_errno(EIO, "read"));  // of the old file
  const auto open = store().open_blob(digest);
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(read_all(*open), bytes);
  EXPECT_EQ(store().usage().blob_bytes, bytes.size());
}

TEST_P(HostedContract, EmptyBlobAndSha512ArePushedToo) {
  auto upload = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.finish(*upload, base::digest_of("")).ok());
  EXPECT_TRUE(rig.shows(kApp, base::digest_of("")));
  const auto bytes = some_bytes(3'000'000, 2);
  ASSERT_TRUE(rig.push_blob(kApp, bytes, base::HashAlgorithm::sha512).ok());
  const auto open = store().open_blob(base::digest_of(bytes, base::HashAlgorithm::sha512));
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(read_all(*open), bytes);
}

TEST_P(HostedContract, WrongBytesEndTheSession) {
  for (const auto algorithm : {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512}) {
    auto upload = rig.begin_upload(kApp);
    ASSERT_TRUE(rig.add(*upload, "these").ok());
    EXPECT_EQ(kind(rig.finish(*upload, base::digest_of("others", algorithm))), base::ErrorKind::corrupt);
    EXPECT_EQ(rig.resume_upload(kApp, upload->id()), nullptr);
    EXPECT_FALSE(rig.shows(kApp, base::digest_of("others", algorithm)));
  }
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(HostedContract, SessionIsGoneOnWithByWhoeverKnowsItsIdInItsRepository) {
  auto upload = rig.begin_upload(kApp);
  const auto id = upload->id();
  ASSERT_TRUE(rig.add(*upload, "hello ").ok());
  upload.reset();
  EXPECT_EQ(rig.resume_upload(kOther, id), nullptr);
  EXPECT_EQ(rig.resume_upload(kApp, "no-such-upload"), nullptr);
  upload = rig.resume_upload(kApp, id);
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(upload->id(), id);
  EXPECT_EQ(rig.length(*upload).value_or(0), 6U);
  EXPECT_EQ(rig.add(*upload, "world").value_or(0), 11U);
  EXPECT_TRUE(rig.finish(*upload, base::digest_of("hello world")).ok());
}

TEST_P(HostedContract, FormerHolderOfASessionIsRefused) {
  auto former = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*former, "a").ok());
  auto upload = rig.resume_upload(kApp, former->id());
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(rig.add(*former, "b").error().kind(), base::ErrorKind::cancelled);
  EXPECT_EQ(kind(rig.finish(*former, base::digest_of("a"))), base::ErrorKind::cancelled);
  EXPECT_EQ(kind(rig.cancel(*former)), base::ErrorKind::cancelled);
  former.reset();
  EXPECT_EQ(rig.add(*upload, "c").value_or(0), 2U);
  EXPECT_TRUE(rig.finish(*upload, base::digest_of("ac")).ok());
}

TEST_P(HostedContract, CancelledSessionIsGone) {
  auto upload = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*upload, "abc").ok());
  EXPECT_TRUE(rig.cancel(*upload).ok());
  EXPECT_EQ(rig.resume_upload(kApp, upload->id()), nullptr);
  EXPECT_EQ(rig.add(*upload, "d").error().kind(), base::ErrorKind::not_found);
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(HostedContract, SameBlobPushedTwiceAtOnceIsThereOnce) {
  const auto bytes = some_bytes(50'000, 3);
  const auto digest = base::digest_of(bytes);
  std::vector<std::unique_ptr<store::Upload>> uploads;
  int done = 0, good = 0;
  for (int i = 0; i < 8; ++i) {
    uploads.push_back(rig.begin_upload(i % 2 == 0 ? kApp : kOther));
    ASSERT_TRUE(rig.add(*uploads.back(), bytes).ok());
  }
  for (auto& upload : uploads) {
    upload->finish(digest, [&](base::Result<void> result) {
      ++done;
      good += result.ok() ? 1 : 0;
    });
  }
  ASSERT_TRUE(rig.loop.run_until([&] { return done == 8; }));
  EXPECT_EQ(good, 8);
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_TRUE(rig.shows(kOther, digest));
  EXPECT_EQ(read_all(*store().open_blob(digest)), bytes);
  EXPECT_EQ(store().usage().fill_bytes, 0U);
}

TEST_P(HostedContract, MountShowsABlobOfAnotherRepository) {
  const auto digest = base::digest_of("blob");
  EXPECT_EQ(kind(rig.mount(kOther, digest, kApp)), base::ErrorKind::not_found);
  ASSERT_TRUE(rig.push_blob(kApp, "blob").ok());
  EXPECT_EQ(kind(rig.mount(kOther, digest, "team/unknown")), base::ErrorKind::not_found);
  EXPECT_FALSE(rig.shows(kOther, digest));
  EXPECT_TRUE(rig.mount(kOther, digest, kApp).ok());
  EXPECT_TRUE(rig.shows(kOther, digest));
  EXPECT_TRUE(rig.mount("team/third", digest, "").ok());
  EXPECT_TRUE(rig.shows("team/third", digest));
  EXPECT_EQ(kind(rig.mount(kOther, base::digest_of("nothing"), "")), base::ErrorKind::not_found);
}

TEST_P(HostedContract, ManifestIsRefusedWhileOneThatItNeedsIsMissing) {
  const auto layer = base::digest_of("layer");
  const auto json = image_of({layer});
  ASSERT_TRUE(rig.push_blob(kOther, "layer").ok());  // elsewhere does not count
  const auto refused = rig.push_manifest(kApp, json, {layer}, {"v1"});
  EXPECT_EQ(kind(refused), base::ErrorKind::not_found);
  EXPECT_EQ(refused.error().message(), layer.to_string());
  EXPECT_FALSE(store().find_tag(kApp, "v1"));
  EXPECT_FALSE(rig.shows(kApp, base::digest_of(json)));
  EXPECT_FALSE(hosted().is_hosted(kApp));
  ASSERT_TRUE(rig.push_blob(kApp, "layer").ok());
  ASSERT_TRUE(rig.push_manifest(kApp, json, {layer}, {"v1", "v2"}).ok());
  EXPECT_TRUE(rig.shows(kApp, base::digest_of(json)));
  EXPECT_EQ(store().find_tag(kApp, "v1")->digest, base::digest_of(json));
  EXPECT_EQ(store().find_tag(kApp, "v2")->digest, base::digest_of(json));
  const auto manifest = store().find_manifest(base::digest_of(json));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(*manifest->bytes, json);
  EXPECT_EQ(manifest->media_type, "application/vnd.oci.image.manifest.v1+json");
}

TEST_P(HostedContract, FixedTagStaysWithItsDigest) {
  const auto one = image_of({base::digest_of("l")}, {}, "one"), two = image_of({base::digest_of("l")}, {}, "two");
  const auto push = [&](const std::string& json) {
    return rig.put_manifest(
        {kApp, base::digest_of(json), "application/x", shared(json), {"v1", "latest"}, {}, {}, "", {"v1"}});
  };
  ASSERT_TRUE(push(one).ok());
  ASSERT_TRUE(push(one).ok());  // the same again changes nothing
  EXPECT_EQ(kind(push(two)), base::ErrorKind::denied);
  EXPECT_EQ(store().find_tag(kApp, "latest")->digest, base::digest_of(one));
  EXPECT_FALSE(rig.shows(kApp, base::digest_of(two)));
}

TEST_P(HostedContract, ReferrersAreListedByPages) {
  const auto subject = base::digest_of("subject");
  std::vector<base::Digest> referrers;
  for (int i = 0; i < 10; ++i) {
    const auto json = image_of({base::digest_of("l")}, subject, std::to_string(i));
    referrers.push_back(base::digest_of(json));
    ASSERT_TRUE(rig.push_manifest(kApp, json, {}, {}, subject).ok());
    ASSERT_TRUE(rig.push_manifest(kApp, json, {}, {}, subject).ok());  // again: listed once
  }
  std::sort(referrers.begin(), referrers.end());
  const auto all = hosted().list_referrers(kApp, subject, {}, 1 << 20);
  ASSERT_EQ(all.size(), 10U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].digest, referrers[i]);
    EXPECT_EQ(all[i].descriptor, "{\"digest\":\"" + referrers[i].to_string() + "\"}");
  }
  const auto size = all[0].descriptor.size();
  const auto page = hosted().list_referrers(kApp, subject, referrers[2], 3 * size);
  ASSERT_EQ(page.size(), 3U);
  EXPECT_EQ(page[0].digest, referrers[3]);
  EXPECT_TRUE(hosted().list_referrers(kApp, subject, referrers[9], 1 << 20).empty());
  EXPECT_TRUE(hosted().list_referrers(kOther, subject, {}, 1 << 20).empty());
  ASSERT_TRUE(rig.remove_content(kApp, referrers[0]).ok());
  EXPECT_EQ(hosted().list_referrers(kApp, subject, {}, 1 << 20).size(), 9U);
}

TEST_P(HostedContract, RemovedTagLeavesTheManifest) {
  const auto json = image_of({base::digest_of("l")});
  ASSERT_TRUE(rig.push_manifest(kApp, json, {}, {"v1", "v2"}).ok());
  EXPECT_TRUE(rig.remove_tag(kApp, "v1").ok());
  EXPECT_FALSE(store().find_tag(kApp, "v1"));
  EXPECT_TRUE(store().find_tag(kApp, "v2"));
  EXPECT_TRUE(rig.shows(kApp, base::digest_of(json)));
  EXPECT_EQ(kind(rig.remove_tag(kApp, "v1")), base::ErrorKind::not_found);
}

TEST_P(HostedContract, RemovedManifestTakesItsTags) {
  const auto one = image_of({base::digest_of("l")}, {}, "1"), two = image_of({base::digest_of("l")}, {}, "2");
  ASSERT_TRUE(rig.push_manifest(kApp, one, {}, {"a", "b"}).ok());
  ASSERT_TRUE(rig.push_manifest(kApp, two, {}, {"c"}).ok());
  ASSERT_TRUE(rig.push_manifest(kOther, one, {}, {"a"}).ok());
  EXPECT_TRUE(rig.remove_content(kApp, base::digest_of(one)).ok());
  EXPECT_FALSE(store().find_tag(kApp, "a"));
  EXPECT_FALSE(store().find_tag(kApp, "b"));
  EXPECT_TRUE(store().find_tag(kApp, "c"));
  EXPECT_FALSE(rig.shows(kApp, base::digest_of(one)));
  EXPECT_TRUE(rig.shows(kOther, base::digest_of(one)));
  EXPECT_TRUE(store().find_manifest(base::digest_of(one)));
  EXPECT_EQ(kind(rig.remove_content(kApp, base::digest_of(one))), base::ErrorKind::not_found);
  EXPECT_TRUE(rig.remove_content(kOther, base::digest_of(one)).ok());
  EXPECT_FALSE(store().find_manifest(base::digest_of(one)));
}

TEST_P(HostedContract, BlobThatAManifestNeedsIsNotRemoved) {
  const auto layer = base::digest_of("layer");
  const auto json = image_of({base::digest_of("config"), layer});
  ASSERT_TRUE(rig.push_blob(kApp, "config").ok());
  ASSERT_TRUE(rig.push_blob(kApp, "layer").ok());
  ASSERT_TRUE(rig.push_manifest(kApp, json, {base::digest_of("config"), layer}).ok());
  EXPECT_EQ(kind(rig.remove_content(kApp, layer)), base::ErrorKind::busy);
  EXPECT_TRUE(rig.shows(kApp, layer));
  ASSERT_TRUE(rig.mount(kOther, layer, kApp).ok());
  EXPECT_TRUE(rig.remove_content(kOther, layer).ok());  // no manifest of that repository needs it
  EXPECT_TRUE(store().open_blob(layer).ok());
  ASSERT_TRUE(rig.remove_content(kApp, base::digest_of(json)).ok());
  EXPECT_TRUE(rig.remove_content(kApp, layer).ok());
  rig.loop.run_all();
  EXPECT_FALSE(store().open_blob(layer).ok());
  EXPECT_EQ(kind(rig.remove_content(kApp, layer)), base::ErrorKind::not_found);
}

TEST_P(HostedContract, WhatADigestIsDependsOnTheRepository) {
  const auto json = image_of({base::digest_of("l")});
  const auto digest = base::digest_of(json);
  ASSERT_TRUE(rig.push_manifest(kApp, json, {}, {"v1"}).ok());  // a manifest here
  ASSERT_TRUE(rig.push_blob(kOther, json).ok());                // a plain blob there
  EXPECT_TRUE(store().find_link(kApp, digest)->manifest);
  EXPECT_FALSE(store().find_link(kOther, digest)->manifest);
  EXPECT_EQ(kind(rig.remove_content(kApp, digest, {.manifest = false})), base::ErrorKind::not_found);
  EXPECT_EQ(kind(rig.remove_content(kOther, digest, {.manifest = true})), base::ErrorKind::not_found);
  EXPECT_TRUE(rig.remove_content(kOther, digest, {.manifest = false}).ok());
  EXPECT_FALSE(rig.shows(kOther, digest));
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_TRUE(store().find_manifest(digest));
  EXPECT_TRUE(rig.remove_content(kApp, digest, {.manifest = true}).ok());
  EXPECT_FALSE(store().find_tag(kApp, "v1"));
}

TEST_P(HostedContract, FixedTagKeepsItsManifestAndAllThatItsIndexLeadsTo) {
  const auto is_fixed = [](std::string_view tag) { return tag.starts_with("v"); };
  const auto child = image_of({base::digest_of("l")}, {}, "child"),
             other = image_of({base::digest_of("l")}, {}, "other");
  const auto inner = index_of({base::digest_of(child)}), outer = index_of({base::digest_of(inner)});
  ASSERT_TRUE(rig.push_manifest(kApp, child, {}, {"latest"}).ok());
  ASSERT_TRUE(rig.push_manifest(kApp, other, {}, {"other"}).ok());
  ASSERT_TRUE(rig.push_manifest(kApp, inner, {base::digest_of(child)}).ok());
  ASSERT_TRUE(rig.push_manifest(kApp, outer, {base::digest_of(inner)}, {"v1"}).ok());
  for (const auto& json : {child, inner, outer}) {
    const auto refused = rig.remove_content(kApp, base::digest_of(json), {.is_fixed = is_fixed});
    EXPECT_EQ(kind(refused), base::ErrorKind::denied);
    EXPECT_EQ(refused.error().message(), "v1");
    EXPECT_TRUE(rig.shows(kApp, base::digest_of(json)));
  }
  EXPECT_TRUE(store().find_tag(kApp, "latest"));
  EXPECT_TRUE(rig.remove_content(kApp, base::digest_of(other), {.is_fixed = is_fixed}).ok());
  EXPECT_TRUE(rig.remove_content(kApp, base::digest_of(outer)).ok());  // no rule: as asked
  EXPECT_TRUE(rig.remove_content(kApp, base::digest_of(inner), {.is_fixed = is_fixed}).ok());
  EXPECT_TRUE(rig.remove_content(kApp, base::digest_of(child), {.is_fixed = is_fixed}).ok());
}

TEST_P(HostedContract, HostedRepositoriesAreListedAndMeasured) {
  EXPECT_FALSE(hosted().is_hosted(kApp));
  ASSERT_TRUE(rig.put("mirrored").ok());  // docker.io/library/a: not ours
  for (const std::string name : {"b", "a", "a/b", "c"}) ASSERT_TRUE(rig.push_blob(name, "same").ok());
  EXPECT_EQ(hosted().list_hosted("", 10), (std::vector<std::string>{"a", "a/b", "b", "c"}));
  EXPECT_EQ(hosted().list_hosted("a", 2), (std::vector<std::string>{"a/b", "b"}));
  EXPECT_TRUE(hosted().is_hosted("a/b"));
  EXPECT_FALSE(hosted().is_hosted("docker.io/library/a"));
  const auto json = image_of({base::digest_of("same")});
  ASSERT_TRUE(rig.push_manifest("a", json, {base::digest_of("same")}, {"x", "y"}).ok());
  const auto sum = hosted().measure("a").value_or({});
  EXPECT_EQ(sum.name, "a");
  EXPECT_EQ(sum.tags, 2U);
  EXPECT_EQ(sum.manifests, 1U);
  EXPECT_EQ(sum.bytes, 4 + json.size());
}

TEST_P(HostedContract, TooManySessionsAreBusy) {
  std::vector<std::unique_ptr<store::Upload>> uploads;
  for (;;) {
    auto upload = hosted().begin_upload(kApp, rig.loop);
    if (!upload.ok()) {
      EXPECT_EQ(upload.error().kind(), base::ErrorKind::busy);
      break;
    }
    uploads.push_back(std::move(upload).value());
    ASSERT_LE(uploads.size(), 20'000U);
  }
  EXPECT_TRUE(rig.cancel(*uploads.back()).ok());
  EXPECT_TRUE(hosted().begin_upload(kApp, rig.loop).ok());
}

TEST_P(HostedContract, GarbageIsWhatNoManifestNames) {
  const auto used = base::digest_of("used"), unused = base::digest_of("unused");
  ASSERT_TRUE(rig.push_blob(kApp, "used").ok());
  ASSERT_TRUE(rig.push_blob(kApp, "unused").ok());
  const auto json = image_of({used});
  ASSERT_TRUE(rig.push_manifest(kApp, json, {used}).ok());
  const auto young = rig.collect({});
  ASSERT_TRUE(young.ok()) << young.error().message();
  EXPECT_EQ(young->links_removed, 0U);
  const auto dry = rig.collect_now(/*untagged=*/false, /*dry_run=*/true);
  ASSERT_TRUE(dry.ok());
  EXPECT_EQ(dry->links_removed, 1U);
  EXPECT_EQ(dry->blobs_removed, 1U);
  EXPECT_EQ(dry->bytes_freed, 6U);
  EXPECT_TRUE(rig.shows(kApp, unused));
  const auto report = rig.collect_now();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->repositories, 1U);
  EXPECT_EQ(report->links_removed, 1U);
  EXPECT_EQ(report->blobs_removed, 1U);
  EXPECT_EQ(report->bytes_freed, 6U);
  EXPECT_FALSE(rig.shows(kApp, unused));
  EXPECT_TRUE(rig.shows(kApp, used));
  EXPECT_TRUE(rig.shows(kApp, base::digest_of(json)));
  rig.loop.run_all();
  EXPECT_FALSE(store().open_blob(unused).ok());
  EXPECT_TRUE(store().open_blob(used).ok());
}

}  // namespace shoal::test
