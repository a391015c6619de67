// One blob, several repositories: fetched once, shown only where upstream has it. Limits; stopping.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using Kind = upstream::Failure::Kind;

TEST(SharedBlob, CostsOneGetAndOneHead) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  (void)world.upstream.put_blob("library/other", bytes);
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  const auto blob = world.opened(kOther, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  ASSERT_NE(world.opened(kOther, digest), nullptr);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_EQ(world.count(Op::head_blob), 1U);
}

TEST(SharedBlob, IsNotShownWhereUpstreamDoesNotHaveIt) {
  MirrorWorld world;
  const auto digest = world.upstream.put_blob("library/app", "secret");
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  for (int i = 0; i < 3; ++i) {
    auto asked = world.open(kOther, digest);
    world.run();
    ASSERT_NE(asked->refusal(), nullptr);
    EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
  }
  EXPECT_EQ(world.count(Op::head_blob), 1U);  // then remembered
}

TEST(SharedBlob, AnotherRepositoryJoinsTheRunningFillOnceProven) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/other", bytes);
  auto first = world.open(kApp, digest);
  world.run();
  auto second = world.open(kOther, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  call->data(bytes);
  call->end();
  world.run();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(Body(second->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.upstream.blob_calls(), 1U);
  EXPECT_EQ(world.count(Op::head_blob), 1U);
}

TEST(SharedBlob, RepositoryWithoutTheRightGetsNothingOfTheFillThatAnotherJoined) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(100'000);
  const auto digest = world.upstream.put_blob("library/other", bytes);
  auto intruder = world.open(kApp, digest);  // starts the fill; upstream will say 404
  world.run();
  auto honest = world.open(kOther, digest);  // proven by HEAD, joins
  world.run();
  EXPECT_EQ(world.count(Op::head_blob), 1U);
  world.upstream.blob_call(0)->end(failure(Kind::not_found, 404));
  world.run();
  world.advance(std::chrono::milliseconds(100));
  ASSERT_NE(intruder->refusal(), nullptr);
  EXPECT_EQ(intruder->refusal()->kind, mirror::Refusal::Kind::not_found);
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  auto call = world.upstream.blob_call(1);
  EXPECT_EQ(call->repository, "library/other");
  call->start(0, bytes.size());
  call->data(bytes);
  call->end();
  world.run();
  ASSERT_TRUE(honest->ok());
  EXPECT_EQ(Body(honest->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(intruder->answers, 1);
  const auto link = world.store.find_link(kApp.canonical(), digest);
  EXPECT_FALSE(link && link->proven);
}

TEST(SharedBlob, HeadThatLeftEarlyIsNotFollowedByBytesOfAnotherRepository) {
  mirror::MirrorOptions options;
  options.header_wait = std::chrono::seconds(1);
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/other", bytes);
  world.link(kApp, digest, bytes.size(), false);
  auto intruder = world.open(kApp, digest);
  world.advance(std::chrono::seconds(2));
  ASSERT_TRUE(intruder->ok());
  Body body(intruder->value()->read_all());
  body.follow();
  auto honest = world.open(kOther, digest);
  world.run();
  world.upstream.blob_call(0)->end(failure(Kind::not_found, 404));
  world.advance(std::chrono::milliseconds(100));
  world.upstream.blob_call(1)->start(0, bytes.size());
  world.upstream.blob_call(1)->data(bytes);
  world.upstream.blob_call(1)->end();
  world.run();
  EXPECT_TRUE(honest->ok());
  EXPECT_TRUE(body.error.has_value());
  EXPECT_TRUE(body.bytes.empty());
}

TEST(SharedBlob, RefusedHeadIsProvenByAGetThatIsDroppedAtItsHead) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  (void)world.upstream.put_blob("library/other", bytes);
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  world.upstream.fail_always(Op::head_blob, failure(Kind::bad_answer, 405));
  const auto blob = world.opened(kOther, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_TRUE(world.upstream.blob_call(1)->dropped());
}

TEST(SharedBlob, ProofThatFailsIsAskedAgainAndThenRefused) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  (void)world.upstream.put_blob("library/other", bytes);
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  world.upstream.fail_next(Op::head_blob, failure(Kind::unavailable, 503));
  auto asked = world.open(kOther, digest);
  world.advance(std::chrono::seconds(1));
  EXPECT_TRUE(asked->ok());
}

TEST(SharedBlob, ProofHasATimeLimit) {
  mirror::MirrorOptions options;
  options.answer_wait = std::chrono::seconds(20);
  MirrorWorld world(options);
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  world.upstream.hold(true);
  auto asked = world.open(kOther, digest);
  auto stat = world.stat(kOther, digest);
  world.advance(std::chrono::milliseconds(20'100));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  ASSERT_NE(stat->refusal(), nullptr);
  EXPECT_EQ(world.count(Op::head_blob), 1U);
}

TEST(SharedBlob, ProofWorksThoughTheIndexTakesNoWrites) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  (void)world.upstream.put_blob("library/other", bytes);
  ASSERT_NE(world.opened(kApp, digest), nullptr);
  world.store.fail_commits(base::Error(base::ErrorKind::gone, "read-only"));
  EXPECT_NE(world.opened(kOther, digest), nullptr);
  EXPECT_EQ(world.count(Op::head_blob), 1U);
}

TEST(Overload, RequestsBeyondMaxWaitingAreRefused) {
  mirror::MirrorOptions options;
  options.max_waiting = 3;
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto digest = base::digest_of("x");
  std::vector<AskedBlob> asked;
  for (int i = 0; i < 4; ++i) asked.push_back(world.open(kApp, digest));
  world.run();
  EXPECT_FALSE(asked[2]->outcome.has_value());
  ASSERT_NE(asked[3]->refusal(), nullptr);
  EXPECT_EQ(asked[3]->refusal()->kind, mirror::Refusal::Kind::overloaded);
}

TEST(Overload, RequestsThatWaitForProofsCount) {
  mirror::MirrorOptions options;
  options.max_waiting = 3;
  MirrorWorld world(options);
  world.upstream.hold(true);
  const auto digest = base::digest_of("x");
  std::vector<AskedPtr<mirror::BlobStat>> asked;
  for (int i = 0; i < 4; ++i) asked.push_back(world.stat(kApp, digest));
  world.run();
  EXPECT_FALSE(asked[2]->outcome.has_value());
  ASSERT_NE(asked[3]->refusal(), nullptr);
  world.upstream.release();
  world.run();
  auto after = world.stat(kApp, base::digest_of("y"));
  world.run();
  EXPECT_FALSE(after->outcome.has_value());  // there is room again; it waits
}

TEST(Overload, RegistryThatCannotBeMadeIsUnavailableNotUnknown) {
  MirrorWorld world;
  const mirror::Target beyond{"r1001.example.com", "library/app"};
  const auto manifest = world.manifest(beyond, registry::Tag("1"));
  const auto blob = world.open(beyond, base::digest_of("x"));
  const auto tags = world.tags(beyond);
  world.run();
  for (const auto* refusal : {manifest->refusal(), blob->refusal(), tags->refusal()}) {
    ASSERT_NE(refusal, nullptr);
    EXPECT_EQ(refusal->kind, mirror::Refusal::Kind::unavailable);
  }
}

TEST(Overload, QuestionsThatNobodyWaitsForCount) {
  mirror::MirrorOptions options;
  options.max_waiting = 3;
  options.answer_wait = std::chrono::seconds(1);
  MirrorWorld world(options);
  world.upstream.hold(true);
  const auto ask = [&world](auto start) {  // the asker gives up, the question goes on
    for (int i = 0; i < 40; ++i) {
      auto asked = start(std::to_string(i));
      world.advance(std::chrono::milliseconds(1'050));
      ASSERT_NE(asked->refusal(), nullptr) << i;
    }
  };
  ask([&](const std::string& n) { return world.manifest(kApp, registry::Tag(n)); });
  EXPECT_EQ(world.count(Op::get_manifest), 3U);
  ask([&](const std::string& n) { return world.tags(kApp, "last=" + n); });
  EXPECT_EQ(world.count(Op::list_tags), 3U);
  ask([&](const std::string& n) { return world.stat(kApp, base::digest_of(n)); });
  EXPECT_LE(world.count(Op::head_blob), 6U);  // of two loops
  world.upstream.release();
  world.run();
  auto after = world.tags(kApp, "last=z");
  world.run();
  EXPECT_EQ(world.count(Op::list_tags), 4U) << "there is room again";
}

TEST(Overload, FillsBeyondMaxFillsAreRefused) {
  mirror::MirrorOptions options;
  options.max_fills = 1;
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  std::vector<AskedBlob> asked;
  for (int i = 0; i < 6; ++i) asked.push_back(world.open(kApp, base::digest_of(std::to_string(i))));
  world.run();
  std::size_t refused = 0;
  for (auto& a : asked) refused += a->refusal() != nullptr ? 1 : 0;
  EXPECT_GE(refused, 4U);  // one a loop
  EXPECT_LE(world.upstream.blob_calls(), 2U);
}

TEST(Stop, AnswersEverybodyAndKeepsWhatIsOnDisk) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto held = world.upstream.put_blob("library/app", bytes);
  ASSERT_NE(world.opened(kApp, held), nullptr);
  world.upstream.manual_blobs(true);
  world.upstream.hold(true);
  const auto large = some_bytes(300'000);
  const auto digest = base::digest_of(large);
  auto streaming = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0 + world.upstream.blob_calls() - 1)->start(0, large.size());
  world.upstream.blob_call(world.upstream.blob_calls() - 1)->data(large.substr(0, 200'000));
  world.run();
  ASSERT_TRUE(streaming->ok());
  Body body(streaming->value()->read_all());
  body.follow();
  auto waiting = world.open(kApp, base::digest_of("never"));
  auto proving = world.open(kOther, held);
  auto stat = world.stat(kOther, held);
  auto manifest = world.manifest(kApp, registry::Tag("latest"));
  auto tags = world.tags(kApp);
  world.run();
  bool stopped = false;
  world.mirror->stop([&stopped] { stopped = true; });
  world.run();
  EXPECT_TRUE(stopped);
  EXPECT_NE(waiting->refusal(), nullptr);
  EXPECT_NE(proving->refusal(), nullptr);
  EXPECT_NE(stat->refusal(), nullptr);
  EXPECT_NE(manifest->refusal(), nullptr);
  EXPECT_NE(tags->refusal(), nullptr);
  EXPECT_TRUE(body.error.has_value());
  EXPECT_EQ(world.store.kept(digest), large.substr(0, 200'000));
  auto late = world.open(kApp, digest);
  world.run();
  EXPECT_NE(late->refusal(), nullptr);
  world.upstream.release();
  world.run();
}

}  // namespace
}  // namespace shoal::test
