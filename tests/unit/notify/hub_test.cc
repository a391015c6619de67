// The Hub on real threads, against a real HTTP receiver that misbehaves as told.
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "some_events.h"
#include "support/loop_thread.h"
#include "support/scripted_server.h"
#include "support/temp_dir.h"

namespace shoal::notify {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::ScriptedServer;

// Takes events, or answers `status` while that is not 200.
class Receiver {
 public:
  explicit Receiver(const test::TlsIdentity* tls = nullptr)
      : server_([this](const auto& request, auto& connection) { serve(request, connection); }, tls) {}

  std::atomic<int> status{200};
  std::atomic<bool> hangs{false};

  [[nodiscard]] std::string url() const { return server_.url("/hook"); }
  [[nodiscard]] bool wait_for_tags(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return tags_.size() >= count; });
  }
  [[nodiscard]] bool wait_for_requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return requests_ >= count; });
  }
  [[nodiscard]] std::vector<std::string> tags() const {
    const std::lock_guard lock(mutex_);
    return tags_;
  }
  [[nodiscard]] std::vector<ScriptedServer::Request> requests() const { return server_.requests(); }

 private:
  void serve(const ScriptedServer::Request& request, ScriptedServer::Connection& connection) {
    {
      const std::lock_guard lock(mutex_);
      ++requests_;
    }
    changed_.notify_all();
    if (hangs) return (void)connection.wait_for_client_to_leave();
    const int now = status;
    if (now == 200) {
      const auto body = json::parse(request.body);
      const std::lock_guard lock(mutex_);
      for (const auto& event : body.at("events")) tags_.push_back(event.at("target").value("tag", ""));
    }
    connection.reply(now, "");
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> tags_;
  std::size_t requests_ = 0;
  ScriptedServer server_;
};

class HubTest : public ::testing::Test {
 protected:
  HubTest() { start({}); }
  ~HubTest() override { stop(); }

  void start(Options options) {
    hub_ = std::make_unique<Hub>(*pool_, clock_, metrics_);
    options.source = "edge-7";
    hub_->start(
        dir_.file("events"), loop_.loop(), [this] { return make_sender(loop_.loop(), "shoal/test"); },
        std::move(options));
  }
  void stop() {
    if (!hub_) return;
    hub_->close();
    hub_.reset();
  }
  void configure(std::vector<EndpointOptions> endpoints) { hub_->configure({"edge-7", std::move(endpoints)}); }
  static EndpointOptions to(const std::string& url, const std::string& name = "ci") {
    auto options = endpoint(name);
    options.url = url;
    options.batch = 5;
    options.backoff = 10ms;
    options.max_backoff = 50ms;
    options.timeout = 10s;
    return options;
  }
  // Behind everything that was given to the strand before.
  void settle() { (void)dead(); }
  std::vector<DeadLetter> dead(const std::string& name = "ci") {
    std::promise<std::vector<DeadLetter>> got;
    hub_->list_dead(name, 100, [&got](base::Result<std::vector<DeadLetter>> letters) {
      got.set_value(letters ? std::move(*letters) : std::vector<DeadLetter>{});
    });
    return got.get_future().get();
  }

  test::TempDir dir_;
  base::SystemClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<net::ThreadPool> pool_ = std::make_unique<net::ThreadPool>(2);
  test::LoopThread loop_;
  std::unique_ptr<Hub> hub_;
};

TEST_F(HubTest, WantsWhatSomeEndpointTakesAndNothingWithoutAny) {
  EXPECT_FALSE(hub_->wants_any());
  auto options = to("http://127.0.0.1:9/");
  options.kinds.fill(false);
  options.kinds[static_cast<std::size_t>(obs::EventKind::push)] = true;
  options.blobs = false;
  configure({options});
  EXPECT_TRUE(hub_->wants(obs::EventKind::push, obs::EventObject::manifest));
  EXPECT_FALSE(hub_->wants(obs::EventKind::push, obs::EventObject::blob));
  EXPECT_FALSE(hub_->wants(obs::EventKind::pull, obs::EventObject::manifest));
}

TEST_F(HubTest, EventsArriveWithAnIdEach) {
  Receiver receiver;
  configure({to(receiver.url())});
  for (int i = 0; i < 12; ++i) hub_->publish(pushed(std::to_string(i)));
  ASSERT_TRUE(receiver.wait_for_tags(12));
  std::set<std::string> ids;
  for (const auto& request : receiver.requests()) {
    const auto body = json::parse(request.body);
    for (const auto& event : body["events"]) ids.insert(event["id"].get<std::string>());
    EXPECT_EQ(request.header("user-agent"), "shoal/test");
  }
  EXPECT_EQ(ids.size(), 12U);
  EXPECT_EQ(ids.begin()->size(), 36U);
  std::vector<std::string> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(std::to_string(i));
  EXPECT_EQ(receiver.tags(), expected) << "in order";
}

TEST_F(HubTest, AReceiverThatFailsAndRecoversMissesNothing) {
  Receiver receiver;
  receiver.status = 503;
  configure({to(receiver.url())});
  for (int i = 0; i < 10; ++i) hub_->publish(pushed(std::to_string(i)));
  ASSERT_TRUE(receiver.wait_for_requests(3));
  EXPECT_TRUE(receiver.tags().empty());
  EXPECT_GT(hub_->status().at(0).failures, 0U);
  receiver.status = 200;
  ASSERT_TRUE(receiver.wait_for_tags(10));
  EXPECT_EQ(receiver.tags().front(), "0");
}

TEST_F(HubTest, WhatWaitsOutlivesTheHub) {
  const auto port = test::closed_port();
  configure({to("http://127.0.0.1:" + std::to_string(port) + "/")});
  for (int i = 0; i < 7; ++i) hub_->publish(pushed(std::to_string(i)));
  stop();
  Receiver receiver;
  start({"", {to(receiver.url())}});
  ASSERT_TRUE(receiver.wait_for_tags(7));
  EXPECT_EQ(receiver.tags().size(), 7U);
}

TEST_F(HubTest, AnEndpointThatGoesKeepsItsQueueUntilItComesBack) {
  const auto port = test::closed_port();
  configure({to("http://127.0.0.1:" + std::to_string(port) + "/")});
  hub_->publish(pushed("waits"));
  settle();
  configure({});
  EXPECT_FALSE(hub_->wants_any());
  EXPECT_TRUE(hub_->status().empty());
  hub_->publish(pushed("unheard"));
  Receiver receiver;
  configure({to(receiver.url())});
  ASSERT_TRUE(receiver.wait_for_tags(1));
  EXPECT_EQ(receiver.tags(), std::vector<std::string>{"waits"});
}

TEST_F(HubTest, ADeadReceiverDoesNotKeepOthersWaiting) {
  Receiver hanging, fine;
  hanging.hangs = true;
  configure({to(hanging.url(), "hangs"), to(fine.url(), "fine")});
  for (int i = 0; i < 20; ++i) hub_->publish(pushed(std::to_string(i)));
  ASSERT_TRUE(fine.wait_for_tags(20));
  ASSERT_TRUE(hanging.wait_for_requests(1));
  EXPECT_EQ(hub_->status().at(0).pending, 20U);
}

TEST_F(HubTest, DeadLettersAreListedAndRetried) {
  Receiver receiver;
  receiver.status = 400;
  configure({to(receiver.url())});
  hub_->publish(pushed("bad"));
  ASSERT_TRUE(receiver.wait_for_requests(1));
  while (dead().empty()) std::this_thread::yield();
  EXPECT_EQ(dead().at(0).reason, "the receiver answered 400");
  receiver.status = 200;
  std::promise<std::size_t> queued;
  hub_->retry_dead("ci", [&queued](base::Result<std::size_t> n) { queued.set_value(n.value_or(99)); });
  EXPECT_EQ(queued.get_future().get(), 1U);
  ASSERT_TRUE(receiver.wait_for_tags(1));
  EXPECT_TRUE(dead().empty());
}

TEST_F(HubTest, AQueueThatCannotBeOpenedIsSaidAndCounted) {
  std::filesystem::create_directories(dir_.file("events"));
  std::ofstream(dir_.file("events/ci")) << "a file where the directory should be";
  configure({to("http://127.0.0.1:9/")});
  hub_->publish(pushed());
  settle();
  const auto status = hub_->status().at(0);
  EXPECT_GT(status.failures, 0U);
  EXPECT_EQ(status.dropped, 1U);
  std::filesystem::remove(dir_.file("events/ci"));
  Receiver receiver;
  configure({to(receiver.url())});
  hub_->publish(pushed("2"));
  ASSERT_TRUE(receiver.wait_for_tags(1));
}

TEST_F(HubTest, UnknownEndpointsHaveNoDeadLetters) {
  std::promise<base::ErrorKind> kind;
  hub_->list_dead("nobody", 1, [&kind](base::Result<std::vector<DeadLetter>> letters) {
    kind.set_value(letters ? base::ErrorKind::bug : letters.error().kind());
  });
  EXPECT_EQ(kind.get_future().get(), base::ErrorKind::not_found);
}

TEST_F(HubTest, ACertificateOfAnUnknownCaIsRefusedAndAKnownOneTaken) {
  const auto identity = test::TlsIdentity::make(dir_.path().string());
  Receiver receiver(&identity);
  auto options = to(receiver.url());
  configure({options});
  hub_->publish(pushed("1"));
  for (auto error = std::string(); error.find("TLS") == std::string::npos;) {
    error = hub_->status().at(0).last_error;
    std::this_thread::yield();
  }
  options.tls.ca_file = identity.ca_file;
  configure({options});
  ASSERT_TRUE(receiver.wait_for_tags(1));
}

TEST_F(HubTest, PublishingFromManyThreadsLosesNothing) {
  Receiver receiver;
  auto options = to(receiver.url());
  options.batch = 100;
  configure({options});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 250; ++i) hub_->publish(pushed(std::to_string(t * 1000 + i)));
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(receiver.wait_for_tags(1000));
  const auto tags = receiver.tags();
  EXPECT_EQ(std::set<std::string>(tags.begin(), tags.end()).size(), 1000U);
}

}  // namespace
}  // namespace shoal::notify
