#include "upstream_states.h"

#include <gtest/gtest.h>

#include "shoal/net/event_loop.h"
#include "support/fake_loop.h"
#include "support/temp_dir.h"

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
  States() {
    store::StoreOptions options;
    options.path = dir_.file("store");
    options.min_free = 0;
    auto opened = store::Store::open(options, pool_, clock_);
    if (!opened.ok()) throw std::runtime_error(opened.error().message());
    store_ = std::move(*opened);
  }
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

TEST_F(States, InstancesOfPatternsAreBounded) {
  UpstreamStates states({named("*.example.com")}, *store_, clock_);
  std::size_t made = 0;
  for (int i = 0; i < 1200; ++i) made += states.find("h" + std::to_string(i) + ".example.com") != nullptr ? 1 : 0;
  EXPECT_LE(made, UpstreamStates::kMaxInstances + 1);
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
