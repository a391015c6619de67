// What an operator is told while the index cannot be read: that, and never that what is held is unknown, or gone.
#include "handlers_fixture.h"

namespace shoal::admin {
namespace {

class UnreadableIndex : public Handlers {
 protected:
  UnreadableIndex() : handler_of_memory_(Parts{loop_, pool_, memory_, metrics_, node_, &events_}, {}) {
    memory_.put_blob(layer_, "layer");
    put_mirrored_and_hosted(memory_, image_);
    pool_.run_all();
    (void)events_.take_texts();
  }
  // Whichever of its reads is the first that fails, as long as the answer is made of them. How many it takes.
  std::size_t expect_failed(http::Method method, const std::string& what) {
    std::size_t reads = 0;
    for (;; ++reads) {
      memory_.fail_reads_after(reads);
      const auto failed = memory_.failed_reads();
      const auto answer = ask(handler_of_memory_, method, "/api/v1/" + what);
      if (memory_.failed_reads() == failed) break;
      EXPECT_EQ(answer.status, 500) << what << " after " << reads << " reads: " << answer.text;
      EXPECT_NE(answer.text.find("the index cannot be read"), std::string::npos) << what << ": " << answer.text;
      EXPECT_TRUE(events_.take_texts().empty()) << what;
      if (reads > 50) break;
    }
    memory_.fail_reads_after(std::nullopt);
    return reads;
  }

  const base::Digest layer_ = base::digest_of("layer");
  const std::string image_ = R"({"schemaVersion":2,"mediaType":")" + std::string(kImage) +
                             R"(","config":{"mediaType":"application/octet-stream","digest":")" + layer_.to_string() +
                             R"(","size":5},"layers":[]})";
  const base::Digest digest_ = base::digest_of(image_);
  test::MemoryStore memory_{pool_, clock_};
  AdminHandler handler_of_memory_;
};

TEST_F(UnreadableIndex, WhatIsAskedIsNotUnknown) {
  for (const std::string what : {"images", "images?repository=team/app", "images?repository=team/app&tag=1", "hosted",
                                 "pins", "images?repository=docker.io/library/nginx&tag=1"}) {
    EXPECT_GE(expect_failed(http::Method::get, what), 1U) << what;
  }
  EXPECT_EQ(expect_failed(http::Method::get, "blobs/" + layer_.to_string()), 1U);
}

TEST_F(UnreadableIndex, DryRunsForeseeNothingSmaller) {
  for (const std::string what : {"images/team/app?tag=1&dry_run=1", "images/team/app?dry_run=1",
                                 "images/docker.io/library/nginx?tag=1&dry_run=1"}) {
    EXPECT_GE(expect_failed(http::Method::del, what), 3U) << what;
  }
  EXPECT_GE(expect_failed(http::Method::del, "images/docker.io/library/nginx?dry_run=1"), 2U);
  EXPECT_GE(expect_failed(http::Method::put, "pins/" + digest_.to_string() + "?dry_run=1"), 4U);
  EXPECT_GE(expect_failed(http::Method::del, "pins/" + digest_.to_string() + "?dry_run=1"), 4U);
}

TEST_F(UnreadableIndex, NothingIsSaidToBeRemovedOrPinned) {
  memory_.fail_reads_after(0);
  const std::string pin = "pins/" + digest_.to_string();
  for (const std::string& what :
       std::vector<std::string>{"images/team/app?tag=1", "images/team/app", "images/docker.io/library/nginx?tag=1",
                                "images/docker.io/library/nginx", pin}) {
    const auto answer = ask(handler_of_memory_, http::Method::del, "/api/v1/" + what);
    EXPECT_EQ(answer.status, 500) << what << ": " << answer.text;
  }
  EXPECT_EQ(ask(handler_of_memory_, http::Method::put, "/api/v1/pins/" + digest_.to_string()).status, 500);
  memory_.fail_reads_after(std::nullopt);
  EXPECT_TRUE(memory_.find_tag("team/app", "1"));
  EXPECT_TRUE(memory_.find_tag("docker.io/library/nginx", "1"));
  EXPECT_TRUE(memory_.list_states("", "", 10).empty());
  EXPECT_TRUE(events_.take_texts().empty());
}

// What is pinned is all that an image leads to, or nothing.
TEST_F(UnreadableIndex, APinOfWhatCouldNotBeReadIsNone) {
  EXPECT_GE(expect_failed(http::Method::put, "pins/" + digest_.to_string()), 4U);
  EXPECT_EQ(memory_.list_states("", "", 10).size(), 1U) << "the last, when all could be read";
}

// Its tags are read again and again: where that ends early, not all is gone.
TEST_F(UnreadableIndex, ARepositoryWhoseTagsCouldNotBeReadIsNotSaidToBeGone) {
  for (const std::size_t reads : {1U, 2U, 3U}) {
    memory_.fail_reads_after(reads);
    const auto answer = ask(handler_of_memory_, http::Method::del, "/api/v1/images/team/app");
    EXPECT_EQ(answer.status, 500) << answer.text;
    EXPECT_NE(answer.text.find("team/app: 0 manifests removed, perhaps not all: the index cannot be read"),
              std::string::npos)
        << answer.text;
    EXPECT_TRUE(events_.take_texts().empty());
  }
  memory_.fail_reads_after(std::nullopt);
  EXPECT_TRUE(memory_.find_tag("team/app", "1"));
}

}  // namespace
}  // namespace shoal::admin
