// Quotas: that pushes together never pass them, whatever their order, and that nobody waits for room that is there.
#include "quota.h"

#include <atomic>
#include <future>
#include <thread>

#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using http::Method;
using test::some_bytes;

TEST(HostedQuota, PushesUnderWayCountSoThatTogetherTheyCannotPassIt) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/**", 1000}}; });
  const auto path = [](const std::string& bytes) {
    return "/v2/team/app/blobs/uploads/?digest=" + base::digest_of(bytes).to_string();
  };
  const auto one = some_bytes(600, 1), two = some_bytes(600, 2), small = some_bytes(300, 3);
  auto first = node.body(600), second = node.body(600);
  const auto first_id = node.begin(Method::post, path(one), first);
  const auto second_id = node.begin(Method::post, path(two), second);  // neither has sent anything
  node.world.run();
  second->give(two);
  second->end();
  auto& refused = node.answered(second_id);
  EXPECT_EQ(refused.status(), 413);
  for (const char* number : {"quota of team/** is 1000", "600 are used or promised", "needs 600"}) {
    EXPECT_NE(refused.response.text.find(number), std::string::npos) << refused.response.text;
  }
  EXPECT_EQ(node.ask(Method::post, path(small), small).status(), 201) << "there is room beside it";
  first->give(one);
  first->end();
  EXPECT_EQ(node.answered(first_id).status(), 201);
  EXPECT_EQ(node.ask(Method::post, path(two), two).status(), 413);
}

TEST(HostedQuota, HandlersOfAllLoopsShareTheAccountAndOneMeasurement) {
  HostedNode node;
  auto& world = node.world;
  const auto book = make_quota_book();
  RouteTable table;
  table.hosted = {"**"};
  std::vector<std::unique_ptr<DistributionHandler>> handlers;
  std::vector<std::shared_ptr<FakeBody>> bodies;
  std::vector<std::unique_ptr<http::Operation>> operations;
  auto options = std::make_shared<HostedOptions>();
  options->quotas = {{"**", 1000}};
  const auto& hosted = static_cast<const test::MemoryHosted&>(world.store.hosted());
  (void)node.push_blob("team/app", "x");
  const auto measured = hosted.measured();
  constexpr int kPushes = 8;
  for (int i = 0; i < kPushes; ++i) {
    DistributionHandler::Parts parts{world.loops[0], *world.mirror, world.sets[0], node.log, make_probe(world.metrics),
                                     world.clock,    &world.store,  &world.disk};
    parts.quotas = book;
    handlers.push_back(
        std::make_unique<DistributionHandler>(parts, std::make_shared<const RouteTable>(table), nullptr));
    handlers.back()->set_hosted(options);
    const auto bytes = some_bytes(300, static_cast<unsigned>(i));
    http::Request request;
    request.method = Method::post;
    request.target = "/v2/team/app/blobs/uploads/?digest=" + base::digest_of(bytes).to_string();
    bodies.push_back(node.body(300));
    request.stream = bodies.back();
    bodies.back()->give(bytes);
    bodies.back()->end();
    operations.push_back(
        handlers.back()->handle(request, http::Responder(node.target, 1000U + static_cast<unsigned>(i))));
  }
  world.run();
  EXPECT_EQ(hosted.measured(), measured + 1) << "one measurement for all of them";
  int taken = 0;
  for (int i = 0; i < kPushes; ++i) {
    const auto status = node.target->answers[1000U + static_cast<unsigned>(i)].status();
    EXPECT_TRUE(status == 201 || status == 413) << status;
    taken += status == 201 ? 1 : 0;
  }
  EXPECT_EQ(taken, 3);
  operations.clear();
}

TEST(HostedQuota, ChunksOfUnknownLengthMountsAndManifestsAskAsWell) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/**", 1000}}; });
  auto& session = node.ask(Method::post, "/v2/team/app/blobs/uploads/");
  ASSERT_EQ(session.status(), 202);
  auto body = node.body();
  const auto id = node.begin(Method::patch, session.header("Location"), body);
  body->give(some_bytes(900));
  node.world.run();
  body->give(some_bytes(200));
  EXPECT_EQ(node.answered(id).status(), 413);
  // What was refused holds no room; what is cancelled or wrong neither.
  const auto bytes = some_bytes(900, 2);
  const auto wrong = "/v2/team/app/blobs/uploads/?digest=" + base::digest_of("other").to_string();
  EXPECT_EQ(node.ask(Method::post, wrong, bytes).status(), 400);
  const auto digest = node.push_blob("team/app", bytes);
  auto& mounted = node.ask(Method::post, "/v2/team/b/blobs/uploads/?mount=" + digest.to_string() + "&from=team/app");
  EXPECT_EQ(mounted.status(), 413);
  EXPECT_EQ(
      node.ask(Method::post, "/v2/team/app/blobs/uploads/?mount=" + digest.to_string() + "&from=team/app").status(),
      201)
      << "it is there already";
  EXPECT_EQ(node.put_manifest("team/app", "v1", HostedNode::image(digest)).status(), 413);
  // Room that was made counts at once: a refusal is measured anew.
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/blobs/" + digest.to_string()).status(), 202);
  node.world.advance(std::chrono::milliseconds(1));
  (void)node.push_blob("team/app", some_bytes(950, 4));
}

TEST(HostedQuota, WhatTheStoreIsAtCountsEvenIfTheClientLeaves) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/small/*", 2000}}; });
  const auto digest = node.push_blob("team/large", some_bytes(900));
  (void)node.push_blob("team/small/a", some_bytes(10, 2));  // measured
  const auto mount = [&](const std::string& name) {
    return "/v2/team/small/" + name + "/blobs/uploads/?mount=" + digest.to_string() + "&from=team/large";
  };
  for (const char* name : {"b", "c"}) {
    node.operations.erase(node.begin(Method::post, mount(name), node.body(0)));
    node.world.run();
    EXPECT_TRUE(node.world.store.find_link(std::string("team/small/") + name, digest)) << "mounted all the same";
  }
  EXPECT_EQ(node.ask(Method::post, mount("d")).status(), 413) << "the client's leaving must not make room";
  // And it must not count for ever beside what is measured.
  EXPECT_EQ(node.ask(Method::del, "/v2/team/small/c/blobs/" + digest.to_string()).status(), 202);
  node.world.advance(std::chrono::seconds(61));
  EXPECT_EQ(node.ask(Method::post, mount("d")).status(), 201);
}

TEST(QuotaBook, PromisesOfAbandonedPushesEnd) {
  QuotaBook book;
  const Quota quota{"**", 100};
  base::SteadyTime now{std::chrono::hours(1)};
  const auto ask = [&](const std::string& key, std::uint64_t bytes) {
    auto asked = book.ask(quota, key, bytes, now, now, [] { ADD_FAILURE() << "nobody measures"; });
    if (asked.answer != QuotaBook::Answer::measure) return asked;
    book.measured("**", 0);
    return book.ask(quota, key, bytes, now, now, [] { ADD_FAILURE() << "nobody measures"; });
  };
  EXPECT_EQ(ask("a", 80).answer, QuotaBook::Answer::granted);
  book.rest("**", "a", now + std::chrono::minutes(10));
  now += std::chrono::minutes(9);
  EXPECT_EQ(ask("b", 30).answer, QuotaBook::Answer::refused);
  EXPECT_EQ(ask("b", 30).used, 80U);
  EXPECT_EQ(ask("a", 90).answer, QuotaBook::Answer::granted) << "its own goes on";
  book.rest("**", "a", now + std::chrono::minutes(10));
  now += std::chrono::minutes(11);
  EXPECT_EQ(ask("b", 30).answer, QuotaBook::Answer::granted);
  EXPECT_EQ(ask("a", 90).answer, QuotaBook::Answer::refused);
  book.stored("**", "b");
  EXPECT_EQ(ask("a", 70).answer, QuotaBook::Answer::granted);
}

TEST(QuotaBook, AMeasurementThatTakesLongServesThoseWhoAskedBeforeItBegan) {
  QuotaBook book;
  const Quota quota{"**", 100};
  const base::SteadyTime asked{std::chrono::hours(1)};
  const auto ended = asked + std::chrono::seconds(30);
  const auto ask = [&](const std::string& key, std::uint64_t bytes, base::SteadyTime since, base::SteadyTime now) {
    return book.ask(quota, key, bytes, since, now, nullptr).answer;
  };
  EXPECT_EQ(ask("a", 60, asked, asked), QuotaBook::Answer::measure);
  book.measured("**", 10);
  EXPECT_EQ(ask("a", 60, asked, ended), QuotaBook::Answer::granted) << "not measured again and again";
  EXPECT_EQ(ask("b", 60, asked, ended), QuotaBook::Answer::refused);
  EXPECT_EQ(ask("c", 60, ended, ended), QuotaBook::Answer::measure) << "these figures are older than its request";
}

TEST(QuotaBook, ThreadsNeverGetMoreThanTheQuota) {
  QuotaBook book;
  const Quota quota{"**", 1000};
  std::atomic<std::uint64_t> in_store{0};
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto since = std::chrono::steady_clock::now();
      for (int i = 0; i < 200; ++i) {
        const auto key = book.new_key();
        for (;;) {
          std::promise<void> woken;
          const auto [answer, used] =
              book.ask(quota, key, 7, since, std::chrono::steady_clock::now(), [&woken] { woken.set_value(); });
          if (answer == QuotaBook::Answer::measure) {
            book.measured("**", in_store);
          } else if (answer == QuotaBook::Answer::wait) {
            woken.get_future().wait();
          } else {
            if (answer == QuotaBook::Answer::refused) break;
            ++granted;
            in_store += 7;
            book.stored("**", key);
            break;
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(in_store, 1000U);
  EXPECT_GT(granted, 0);
}

TEST(HostedQuota, RefusesWithNumbersAndCountsWhatIsThere) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/small/*", 1000}, {"team/**", 100'000}}; });
  (void)node.push_blob("team/small/a", some_bytes(600));
  const auto second = some_bytes(600, 2);
  const auto query = "?digest=" + base::digest_of(second).to_string();
  auto& refused = node.ask(Method::post, "/v2/team/small/b/blobs/uploads/" + query, second);
  EXPECT_EQ(refused.status(), 413);
  for (const char* number : {"1000", "600", "team/small/*"}) {
    EXPECT_NE(refused.response.text.find(number), std::string::npos) << refused.response.text;
  }
  EXPECT_EQ(node.ask(Method::post, "/v2/team/large/blobs/uploads/" + query, second).status(), 201);
  node.world.advance(std::chrono::seconds(11));
  EXPECT_EQ(node.ask(Method::post, "/v2/team/small/b/blobs/uploads/" + query, second).status(), 413) << "measured";
  (void)node.push_blob("team/small/b", some_bytes(300, 3));
}

}  // namespace
}  // namespace shoal::serve
