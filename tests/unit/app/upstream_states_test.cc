#include "upstream_states.h"

#include <algorithm>

#include "loop_upstreams.h"

#include <gtest/gtest.h>

#include "shoal/net/event_loop.h"
#include "support/fake_loop.h"
#include "support/loop_thread.h"
#include "support/open_store.h"

namespace shoal::app {
namespace {

upstream::UpstreamOptions named(std::string name) {
  upstream::UpstreamOptions options;
  if (!name.starts_with("*.")) options.urls = {"https://" + name};
  options.name = std::move(name);
  return options;
}

class States : public ::testing::Test {
 protected:
  States() { store_ = test::open_store(dir_, pool_, clock_); }
  test::TempDir dir_;
  test::FakeClock clock_;
  net::ThreadPool pool_{1};
  std::unique_ptr<store::Store> store_;
};

TEST_F(States, OnlyWhatIsConfiguredIsFound) {
  UpstreamStates states({named("docker.io"), named("*.example.com")}, *store_, clock_);
  EXPECT_NE(states.find("docker.io"), nullptr);
  EXPECT_EQ(states.find("quay.io"), nullptr);
  EXPECT_EQ(states.find("example.com"), nullptr);
  EXPECT_EQ(states.find("*.example.com"), nullptr);
  const auto instance = states.find("a.example.com");
  ASSERT_NE(instance, nullptr);
  EXPECT_EQ(instance->options()->urls, std::vector<std::string>{"https://a.example.com"});
  EXPECT_EQ(states.find("a.example.com"), instance);
  EXPECT_EQ(states.all().size(), 2U);
}

std::string host(int i) { return "h" + std::to_string(i) + ".example.com"; }

TEST_F(States, MadeUpNamesMakeRoomForOthers) {
  UpstreamStates states({named("docker.io"), named("*.example.com")}, *store_, clock_);
  const auto docker = states.find("docker.io");
  const auto used = states.find("used.example.com");
  for (int i = 0; i < 10'000; ++i) {
    clock_.advance(std::chrono::milliseconds(1));
    ASSERT_NE(states.find(host(i)), nullptr) << i;
  }
  EXPECT_EQ(states.all().size(), UpstreamStates::kMaxInstances + 1);
  EXPECT_EQ(states.find("used.example.com"), used) << "what is in use is kept";
  EXPECT_EQ(states.find("docker.io"), docker) << "and what is configured by name";
  EXPECT_NE(states.find("real.example.com"), nullptr);
}

TEST_F(States, NamesInUseAreBounded) {
  UpstreamStates states({named("*.example.com")}, *store_, clock_);
  std::vector<std::shared_ptr<upstream::UpstreamState>> held;
  for (int i = 0; i < 1200; ++i) {
    if (auto state = states.find(host(i))) held.push_back(std::move(state));
  }
  EXPECT_EQ(held.size(), UpstreamStates::kMaxInstances);
  EXPECT_EQ(states.find("real.example.com"), nullptr);
  held.pop_back();
  EXPECT_NE(states.find("real.example.com"), nullptr);
}

TEST_F(States, IdleInstancesGoWithTheirSavedHealth) {
  UpstreamStates states({named("docker.io"), named("*.example.com")}, *store_, clock_);
  const auto used = states.find("used.example.com");
  (void)states.find("idle.example.com");
  const auto saved = states.unsaved_health();
  clock_.advance(UpstreamStates::kIdle);
  std::size_t removed = 0;
  for (const auto& write : states.unsaved_health()) {
    const auto* put = std::get_if<store::PutState>(&write);
    if (put != nullptr && put->key == "upstream/idle.example.com/health" && put->value.empty()) ++removed;
  }
  const bool was_saved = std::any_of(saved.begin(), saved.end(), [](const auto& write) {
    const auto* put = std::get_if<store::PutState>(&write);
    return put != nullptr && put->key == "upstream/idle.example.com/health" && !put->value.empty();
  });
  EXPECT_EQ(removed, was_saved ? 1U : 0U);
  EXPECT_EQ(states.all().size(), 2U);
  EXPECT_EQ(states.find("used.example.com"), used);
}

TEST_F(States, OnlyTheLastHolderRetiresOne) {
  UpstreamStates states({named("docker.io"), named("*.example.com")}, *store_, clock_);
  auto mine = states.find("a.example.com");
  auto other = mine;
  EXPECT_FALSE(states.retire("a.example.com"));
  other.reset();
  EXPECT_TRUE(states.retire("a.example.com"));
  EXPECT_NE(states.find("a.example.com"), mine) << "a new one";
  const auto docker = states.find("docker.io");
  EXPECT_FALSE(states.retire("docker.io")) << "no instance of a pattern";
}

// Two loops with the real things; nothing is asked of the network.
TEST_F(States, LoopsLetGoOfMadeUpNames) {
  UpstreamStates states({named("docker.io"), named("*.example.com")}, *store_, clock_, 2);
  test::LoopThread home(0), other(1);
  std::unique_ptr<fetch::Client> home_client, client;
  home.run([&] { home_client = std::make_unique<fetch::Client>(home.loop(), fetch::ClientOptions{}); });
  other.run([&] { client = std::make_unique<fetch::Client>(other.loop(), fetch::ClientOptions{}); });
  LoopUpstreams at_home(states, home.loop(), *home_client, home.loop(), *home_client);
  LoopUpstreams elsewhere(states, other.loop(), *client, home.loop(), *home_client);
  std::shared_ptr<upstream::Registry> used, docker;
  other.run([&] {
    used = elsewhere.find("used.example.com");
    docker = elsewhere.find("docker.io");
    docker.reset();
  });
  int missing = 0;
  for (int i = 0; i < 10'000; i += 100) {  // both loops meet the same names, as owner and as asker
    const auto some = [&, i](LoopUpstreams& upstreams) {
      for (int k = i; k < i + 100; ++k) missing += upstreams.find(host(k)) == nullptr ? 1 : 0;
    };
    other.run([&] { some(elsewhere); });
    home.run([&] { some(at_home); });
  }
  EXPECT_EQ(missing, 0);
  other.run([&] {
    EXPECT_LE(elsewhere.size(), states.share_of_loop() + 2);
    EXPECT_EQ(elsewhere.find("used.example.com"), used);
    EXPECT_NE(elsewhere.find("real.example.com"), nullptr);
    used.reset();
  });
  home.run([&] {
    EXPECT_LE(at_home.size(), 2 * states.share_of_loop() + 2);
    EXPECT_NE(at_home.find("real.example.com"), nullptr);
    at_home.close();
    home_client.reset();
  });
  other.run([&] {
    elsewhere.close();
    client.reset();
  });
}

TEST_F(States, AReloadAddsChangesAndTakesAway) {
  UpstreamStates states({named("docker.io"), named("quay.io")}, *store_, clock_);
  const auto docker = states.find("docker.io");
  const auto before = states.generation();
  auto changed = named("docker.io");
  changed.retries = 9;
  states.configure({changed, named("ghcr.io")});
  EXPECT_NE(states.generation(), before);
  EXPECT_EQ(states.find("docker.io"), docker);
  EXPECT_EQ(docker->options()->retries, 9U);
  EXPECT_NE(states.find("ghcr.io"), nullptr);
  EXPECT_EQ(states.find("quay.io"), nullptr);
  states.configure({named("quay.io")});
  EXPECT_NE(states.find("quay.io"), nullptr);
}

}  // namespace
}  // namespace shoal::app
