// Kills and power cuts while repositories of our own are pushed to: what was acknowledged is there and sound, what was
// not is there whole or not at all.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "../../src/store/open_store.h"
#include "support/hosted_rig.h"
#include "support/test_file_ops.h"

namespace shoal::test {
namespace {

const std::string kApp = "team/app";

class HostedPowerCut : public ::testing::TestWithParam<unsigned> {
 protected:
  struct Image {
    std::vector<std::string> blobs;
    std::string json;
    bool acknowledged = false;
  };

  // All blobs finish at once, as many as a client's layers: four and more share a batch, fewer are synced alone.
  static bool push_blobs(HostedRig& rig, const std::vector<std::string>& blobs) {
    std::vector<std::unique_ptr<store::Upload>> uploads;
    std::size_t done = 0, good = 0;
    for (const auto& bytes : blobs) {
      auto upload = rig.hosted().begin_upload(kApp, rig.loop);
      if (!upload.ok()) return false;
      uploads.push_back(std::move(upload).value());
      if (!rig.add(*uploads.back(), bytes).ok()) return false;
    }
    for (std::size_t i = 0; i < blobs.size(); ++i) {
      uploads[i]->finish(base::digest_of(blobs[i]), [&done, &good](base::Result<void> result) {
        ++done;
        good += result.ok() ? 1U : 0U;
      });
    }
    EXPECT_TRUE(rig.loop.run_until([&] { return done == blobs.size(); }));
    return good == blobs.size();
  }

  static std::vector<base::Digest> digests_of(const Image& image) {
    std::vector<base::Digest> digests;
    for (const auto& bytes : image.blobs) digests.push_back(base::digest_of(bytes));
    return digests;
  }

  static void push(HostedRig& rig, Image& image, unsigned number) {
    image.json = image_of(digests_of(image), {}, std::to_string(number));
    image.acknowledged = push_blobs(rig, image.blobs) &&
                         rig.push_manifest(kApp, image.json, digests_of(image), {"v" + std::to_string(number)}).ok();
  }

  static void expect_whole(HostedRig& rig, const Image& image, unsigned number) {
    const auto digest = base::digest_of(image.json);
    EXPECT_EQ(*rig.store->find_manifest(digest)->bytes, image.json);
    const auto tag = rig.store->find_tag(kApp, "v" + std::to_string(number));
    ASSERT_TRUE(tag);
    EXPECT_EQ(tag->digest, digest);
    for (const auto& bytes : image.blobs) {
      EXPECT_TRUE(rig.shows(kApp, base::digest_of(bytes)));
      const auto open = rig.store->open_blob(base::digest_of(bytes));
      ASSERT_TRUE(open.ok()) << open.error().message();
      EXPECT_EQ(read_all(*open), bytes);
    }
  }
};

TEST_P(HostedPowerCut, AtAnyOperationLosesNoAcknowledgedPush) {
  constexpr int kStride = 5;  // every operation is somebody's: one seed, one remainder
  bool through = false;
  for (int cut = 1 + static_cast<int>(GetParam()); !through; cut += kStride) {
    ASSERT_LT(cut, 2000);
    SCOPED_TRACE("power cut at operation " + std::to_string(cut));
    HostedRig rig;
    rig.start();  // the directory is made in peace
    rig.close();
    const auto files = std::make_shared<ForgettingFileOps>(GetParam() * 1000 + static_cast<unsigned>(cut));
    auto opened = store::open_store(rig.options, rig.loop, rig.clock, files);
    ASSERT_TRUE(opened.ok());
    rig.store = std::move(opened).value();
    files->cut_power_at(files->operations() + cut);
    std::vector<Image> images(4);
    for (unsigned i = 0; i < images.size(); ++i) {
      const unsigned layers[] = {1, 6, 2, 9};
      for (unsigned l = 0; l < layers[i]; ++l) {
        images[i].blobs.push_back(some_bytes(3000 + 100 * l, GetParam() * 1000 + i * 10 + l));
      }
      if (i > 0) images[i].blobs.push_back(images[i - 1].blobs.front());  // shared: only linked
      push(rig, images[i], i);
    }
    through = !files->dark();  // all cuts are tried
    rig.close();
    files->lose_unsynced();

    rig.start();
    for (unsigned i = 0; i < images.size(); ++i) {
      const bool there = rig.store->find_manifest(base::digest_of(images[i].json)).has_value();
      EXPECT_TRUE(there || !images[i].acknowledged) << "image " << i;
      EXPECT_EQ(there, rig.store->find_tag(kApp, "v" + std::to_string(i)).has_value());
      if (there) expect_whole(rig, images[i], i);
      for (const auto& bytes : images[i].blobs) {  // pushed or not: nothing wrong is ever served
        const auto open = rig.store->open_blob(base::digest_of(bytes));
        if (open.ok()) {
          EXPECT_EQ(read_all(*open), bytes);
        }
        EXPECT_TRUE(open.ok() || !rig.shows(kApp, base::digest_of(bytes)));
      }
    }
    // And the pusher who was not answered can do it again.
    for (unsigned i = 0; i < images.size(); ++i) {
      push(rig, images[i], i);
      EXPECT_TRUE(images[i].acknowledged);
      expect_whole(rig, images[i], i);
    }
  }
}

// What goes, goes whole: file behind link, so that a cut leaves at most bytes that nobody shows.
TEST_P(HostedPowerCut, InMidCollectionLosesNothingThatIsNamed) {
  constexpr int kStride = 5;
  bool through = false;
  for (int cut = 1 + static_cast<int>(GetParam()); !through; cut += kStride) {
    ASSERT_LT(cut, 500);
    SCOPED_TRACE("power cut at operation " + std::to_string(cut));
    HostedRig rig;
    const auto files = std::make_shared<ForgettingFileOps>(GetParam() * 1000 + static_cast<unsigned>(cut));
    auto opened = store::open_store(rig.options, rig.loop, rig.clock, files);
    ASSERT_TRUE(opened.ok());
    rig.store = std::move(opened).value();
    Image kept{{some_bytes(1000, 1), some_bytes(1000, 2)}, {}, false};
    push(rig, kept, 0);
    ASSERT_TRUE(kept.acknowledged);
    std::vector<std::string> garbage;
    for (unsigned i = 0; i < 5; ++i) garbage.push_back(some_bytes(1000, 10 + i));
    ASSERT_TRUE(push_blobs(rig, garbage));
    files->cut_power_at(files->operations() + cut);
    const bool collected = rig.collect_now().ok();
    rig.loop.run_all();
    through = !files->dark();
    rig.close();
    files->lose_unsynced();

    rig.start();
    expect_whole(rig, kept, 0);
    for (const auto& bytes : garbage) {
      const auto digest = base::digest_of(bytes);
      const auto open = rig.store->open_blob(digest);
      EXPECT_TRUE(open.ok() || !rig.shows(kApp, digest));
      if (collected) {
        EXPECT_FALSE(rig.shows(kApp, digest));
      }
    }
    EXPECT_TRUE(rig.collect_now().ok());
    expect_whole(rig, kept, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HostedPowerCut, ::testing::Range(0U, 5U));

TEST(HostedKilled, AcknowledgedPushesAndTheSessionInProgressAreThere) {
  HostedRig rig;
  const auto bytes = some_bytes(500'000, 1);
  const auto id_file = rig.dir.file("id");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rig.start();
    EXPECT_TRUE(rig.push_blob(kApp, "whole").ok());
    auto upload = rig.begin_upload(kApp);
    EXPECT_TRUE(rig.add(*upload, bytes.substr(0, 300'000)).ok());
    // The session's record comes with the next commit of anything.
    EXPECT_TRUE(rig.push_manifest(kApp, image_of({base::digest_of("whole")}), {base::digest_of("whole")}, {"v1"}).ok());
    FILE* out = ::fopen(id_file.c_str(), "w");
    (void)::fputs(upload->id().c_str(), out);
    (void)::fclose(out);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  rig.start();
  EXPECT_TRUE(rig.store->open_blob(base::digest_of("whole")).ok());
  EXPECT_TRUE(rig.store->find_tag(kApp, "v1"));
  std::string id(64, '\0');
  FILE* in = ::fopen(id_file.c_str(), "r");
  ASSERT_NE(in, nullptr);
  id.resize(::fread(id.data(), 1, id.size(), in));
  (void)::fclose(in);
  auto upload = rig.resume_upload(kApp, id);
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(rig.length(*upload).value_or(0), 300'000U);
  ASSERT_TRUE(rig.add(*upload, bytes.substr(300'000)).ok());
  EXPECT_TRUE(rig.finish(*upload, base::digest_of(bytes)).ok());
}

}  // namespace
}  // namespace shoal::test
