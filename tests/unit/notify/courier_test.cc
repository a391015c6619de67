#include "courier.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "shoal/fetch/url.h"
#include "some_events.h"
#include "support/fake_loop.h"
#include "support/temp_dir.h"

namespace shoal::notify {
namespace {

using namespace std::chrono_literals;

// Answers when the test says so.
class FakeSender final : public Sender {
 public:
  using Done = base::UniqueFunction<void(base::Result<Reply>)>;
  struct Handle final : Sending {
    explicit Handle(FakeSender& s) : sender(s) {}
    ~Handle() override { sender.done = nullptr; }
    FakeSender& sender;
  };
  std::unique_ptr<Sending> send(fetch::Request request, Done d) override {
    EXPECT_FALSE(done) << "one request at a time";
    requests.push_back(std::move(request));
    done = std::move(d);
    return std::make_unique<Handle>(*this);
  }
  std::vector<fetch::Request> requests;
  Done done;
};

class CourierTest : public ::testing::Test {
 protected:
  CourierTest() {
    board_->edit([](EndpointStatus& status) { status.name = "ci"; });
    options_ = endpoint();
    options_.batch = 3;
    options_.backoff = 1s;
    options_.max_backoff = 8s;
    options_.retries = 3;
    options_.retry_for = 1h;
    options_.timeout = 5s;
    make();
  }
  void make() {
    courier_.reset();
    queue_ = std::make_shared<Queue>(dir_.file("ci"), Source{"edge-7", "0123456789abcdef"}, clock_, board_, probe_);
    queue_->set_options(std::make_shared<const EndpointOptions>(options_), "edge-7");
    ASSERT_TRUE(queue_->open().ok());
    courier_ = std::make_unique<Courier>(Courier::Parts{loop_, clock_, strand_, sender_}, queue_, board_, probe_, 7);
  }
  void set_options() { queue_->set_options(std::make_shared<const EndpointOptions>(options_), "edge-7"); }
  void run() {
    while (loop_.run_one() || strand_.run_one()) {
    }
  }
  void publish(std::initializer_list<const char*> tags) {
    std::vector<obs::Event> events;
    for (const char* tag : tags) events.push_back(pushed(tag));
    queue_->offer(events);
    courier_->wake();
    run();
  }
  // Tags of the events in the last request.
  std::vector<std::string> sent() {
    std::vector<std::string> tags;
    const auto body = nlohmann::json::parse(sender_.requests.back().body);
    for (const auto& event : body.at("events")) tags.push_back(event.at("target").value("tag", ""));
    return tags;
  }
  void reply(int status, const std::string& retry_after = "") {
    ASSERT_TRUE(sender_.done) << "nothing was sent";
    auto done = std::move(sender_.done);
    sender_.done = nullptr;
    done(Sender::Reply{status, retry_after});
    run();
  }
  void fail(base::Error error = {base::ErrorKind::gone, "connect to 127.0.0.1:9: connection refused"}) {
    ASSERT_TRUE(sender_.done) << "nothing was sent";
    auto done = std::move(sender_.done);
    sender_.done = nullptr;
    done(std::move(error));
    run();
  }
  void advance(std::chrono::milliseconds by) {
    loop_.advance(by);
    run();
  }
  EndpointStatus status() const { return board_->status(); }
  bool sending() const { return static_cast<bool>(sender_.done); }

  using Tags = std::vector<std::string>;
  test::TempDir dir_;
  test::FakeClock clock_;
  test::FakeLoop loop_{clock_};
  test::FakeExecutor strand_;
  FakeSender sender_;
  obs::Metrics metrics_;
  EndpointOptions options_;
  std::shared_ptr<Board> board_ = std::make_shared<Board>();
  std::shared_ptr<EndpointProbe> probe_ = std::make_shared<EndpointProbe>(metrics_, "ci");
  std::shared_ptr<Queue> queue_;
  std::unique_ptr<Courier> courier_;
};

TEST_F(CourierTest, TheUrlsPathIsNotTold) {
  options_.url = "https://hooks.example/services/T0/s3cret?key=s3cret";
  set_options();
  board_->edit([](EndpointStatus& status) { status.origin = "https://hooks.example:443"; });
  publish({"1"});
  // As the client says it of a receiver that does not speak HTTP.
  fail({base::ErrorKind::corrupt, fetch::printable_url(options_.url) + ": malformed answer head"});
  EXPECT_EQ(status().last_error, "https://hooks.example:443: malformed answer head");
}

TEST_F(CourierTest, SendsInOrderInBatchesOneRequestAtATime) {
  publish({"1", "2", "3", "4"});
  EXPECT_EQ(sent(), (Tags{"1", "2", "3"}));
  publish({"5"});
  EXPECT_EQ(sender_.requests.size(), 1U);
  reply(200);
  EXPECT_EQ(sent(), (Tags{"4", "5"}));
  reply(204);
  EXPECT_FALSE(sending());
  EXPECT_EQ(status().delivered, 5U);
  EXPECT_EQ(status().pending, 0U);
  publish({"6"});
  EXPECT_EQ(sent(), Tags{"6"});
}

TEST_F(CourierTest, TheRequestIsAPostWithTypeHeadersAndSignature) {
  options_.headers = {{"X-Token", "s3cret"}};
  options_.secret = "key";
  set_options();
  publish({"1"});
  const auto& request = sender_.requests.back();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.max_redirects, 0);
  const decltype(request.headers) expected{{"Content-Type", "application/vnd.docker.distribution.events.v2+json"},
                                           {"X-Token", "s3cret"},
                                           {"X-Shoal-Signature", signature("key", request.body)}};
  EXPECT_EQ(request.headers, expected);
}

TEST_F(CourierTest, AHeaderOfTheOperatorsReplacesTheContentType) {
  options_.headers = {{"content-type", "application/json"}};
  set_options();
  publish({"1"});
  EXPECT_EQ(sender_.requests.back().headers, options_.headers);
}

TEST_F(CourierTest, AReceiverThatIsAwayIsTriedAgainLaterAndLater) {
  publish({"1"});
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 6; ++i) {
    fail();
    EXPECT_FALSE(sending());
    const auto next = status().next_try;
    ASSERT_TRUE(next);
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*next - clock_.wall_now());
    waits.push_back(wait.count());
    advance(wait - 1ms);
    EXPECT_FALSE(sending()) << "too soon";
    advance(1ms);
    EXPECT_TRUE(sending());
    EXPECT_EQ(sent(), Tags{"1"});
  }
  const std::int64_t expected[] = {1000, 2000, 4000, 8000, 8000, 8000};
  for (int i = 0; i < 6; ++i) {
    EXPECT_GE(waits[i], expected[i] * 3 / 4) << i;
    EXPECT_LE(waits[i], expected[i] * 5 / 4) << i;
  }
  EXPECT_EQ(status().failures, 6U);
  EXPECT_EQ(status().last_error, "connect to 127.0.0.1:9: connection refused");
  reply(200);
  EXPECT_EQ(status().failures, 0U);
  EXPECT_EQ(status().last_error, "");
  EXPECT_EQ(status().delivered, 1U);
  EXPECT_EQ(status().dead, 0U);
}

TEST_F(CourierTest, RetryAfterIsHonoured) {
  publish({"1"});
  reply(429, "120");
  advance(119s);
  EXPECT_FALSE(sending());
  advance(1s);
  EXPECT_TRUE(sending());
  reply(200);
  EXPECT_EQ(status().delivered, 1U);
}

TEST_F(CourierTest, AReceiverThatSaysNothingTimesOut) {
  publish({"1"});
  advance(4999ms);
  EXPECT_TRUE(sending());
  advance(1ms);
  EXPECT_FALSE(sending()) << "the request is cancelled";
  EXPECT_EQ(status().last_error, "no answer within 5000 ms");
  advance(2s);
  EXPECT_TRUE(sending());
}

TEST_F(CourierTest, ABadBodyIsLookedForOneByOneAndAloneBecomesADeadLetter) {
  publish({"1", "bad", "3"});
  reply(400);
  EXPECT_EQ(sent(), Tags{"1"}) << "at once";
  reply(200);
  EXPECT_EQ(sent(), Tags{"bad"});
  reply(400);
  EXPECT_EQ(sent(), Tags{"3"});
  publish({"4", "5"});
  reply(200);
  EXPECT_EQ(sent(), (Tags{"4", "5"})) << "in batches again";
  reply(200);
  EXPECT_EQ(status().delivered, 4U);
  EXPECT_EQ(status().dead, 1U);
  const auto letters = queue_->list_dead(10);
  ASSERT_TRUE(letters.ok());
  ASSERT_EQ(letters->size(), 1U);
  EXPECT_EQ(letters->at(0).reason, "the receiver answered 400");
  EXPECT_EQ(letters->at(0).attempts, 1U);
  EXPECT_EQ(nlohmann::json::parse(letters->at(0).event)["target"]["tag"], "bad");
}

TEST_F(CourierTest, ARefusedEventIsTriedAFewTimesThenTheNextGoes) {
  options_.batch = 1;
  set_options();
  publish({"1", "2"});
  for (int i = 0; i < 2; ++i) {
    reply(500);
    EXPECT_FALSE(sending());
    advance(10s);
    EXPECT_EQ(sent(), Tags{"1"});
  }
  reply(500);
  EXPECT_EQ(sent(), Tags{"2"});
  EXPECT_EQ(status().dead, 1U);
  EXPECT_EQ(queue_->list_dead(1)->at(0).attempts, 3U);
}

TEST_F(CourierTest, WhatWaitedTooLongBecomesADeadLetterAndTheRestWaitsOn) {
  publish({"old"});
  fail();
  clock_.advance(50min);
  publish({"young"});
  clock_.advance(11min);
  advance(0ms);  // the wait is over
  EXPECT_EQ(sent(), (Tags{"old", "young"}));
  fail();
  EXPECT_EQ(status().dead, 1U);
  EXPECT_EQ(status().pending, 1U);
  EXPECT_EQ(sent(), Tags{"young"});
  reply(200);
  EXPECT_EQ(status().delivered, 1U);
}

TEST_F(CourierTest, DeadLettersGoBackIntoTheQueueWhenAsked) {
  publish({"1"});
  reply(422);
  EXPECT_EQ(status().dead_letters, 1U);
  const auto again = queue_->retry_dead();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, 1U);
  EXPECT_EQ(status().dead_letters, 0U);
  courier_->wake();
  run();
  EXPECT_EQ(sent(), Tags{"1"});
  reply(200);
  EXPECT_EQ(status().delivered, 1U);
}

TEST_F(CourierTest, AfterAKillWhatWasNotAcknowledgedIsSentAgain) {
  publish({"1", "2", "3", "4"});
  reply(200);  // 1 to 3
  EXPECT_EQ(sent(), Tags{"4"});
  make();  // it is on its way, nobody knows how it ended
  EXPECT_FALSE(sending());
  courier_->wake();
  run();
  EXPECT_EQ(sent(), Tags{"4"});
  EXPECT_EQ(sender_.requests.size(), 3U);
}

TEST_F(CourierTest, NewOptionsAreTriedAtOnce) {
  publish({"1"});
  fail();
  EXPECT_FALSE(sending());
  options_.url = "http://127.0.0.1:10/other";
  set_options();
  courier_->try_again();
  run();
  ASSERT_TRUE(sending());
  EXPECT_EQ(sender_.requests.back().url, "http://127.0.0.1:10/other");
}

TEST_F(CourierTest, AFullQueueDropsTheNewestAndCounts) {
  options_.queue_bytes = 1500;
  set_options();
  publish({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"});
  EXPECT_GT(status().dropped, 0U);
  EXPECT_EQ(status().pending + status().dropped, 10U);
  EXPECT_EQ(sent().front(), "1");
}

}  // namespace
}  // namespace shoal::notify
