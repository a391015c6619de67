// The section `notifications`, and what a reload makes of it.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "reload.h"
#include "settings_text.h"
#include "support/temp_dir.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;
using obs::EventKind;

std::string endpoint(const std::string& keys) { return "notifications: {endpoints: {ci: {" + keys + "}}}"; }
const std::string kUrl = "url: \"http://127.0.0.1:9/hook\"";

bool has(const notify::EndpointOptions& endpoint, EventKind kind) {
  return endpoint.kinds[static_cast<std::size_t>(kind)];
}

TEST(NotifySettings, NothingIsToldByDefault) {
  const auto loaded = load("");
  ASSERT_TRUE(loaded.settings);
  EXPECT_TRUE(loaded.settings->notifications.endpoints.empty());
  EXPECT_FALSE(loaded.settings->notifications.source.empty());
}

// Which Linux calls "(none)". A name is a thread's own, so that no other test sees this one's.
TEST(NotifySettings, AMachineWithoutANameIsNoReasonNotToStart) {
  bool renamed = false;
  std::optional<LoadedSettings> loaded;
  std::thread([&] {
    renamed = ::unshare(CLONE_NEWUTS) == 0 && ::sethostname("(none)", 6) == 0;
    loaded = load("");
  }).join();
  if (!renamed) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(loaded->settings) << all(loaded->errors);
  EXPECT_EQ(loaded->settings->notifications.source, "shoal");
}

TEST(NotifySettings, AnEndpointHasDefaultsForAllButItsUrl) {
  const auto loaded = load(endpoint(kUrl));
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& ci = loaded.settings->notifications.endpoints.at(0);
  EXPECT_EQ(ci.name, "ci");
  EXPECT_EQ(ci.url, "http://127.0.0.1:9/hook");
  EXPECT_EQ(ci.format, notify::Format::distribution);
  EXPECT_EQ(ci.batch, 50U);
  EXPECT_TRUE(has(ci, EventKind::push) && has(ci, EventKind::mount) && has(ci, EventKind::pull) &&
              has(ci, EventKind::remove));
  EXPECT_FALSE(has(ci, EventKind::fill) || has(ci, EventKind::evict) || ci.blobs);
  EXPECT_EQ(ci.queue_bytes, 64ULL << 20);
}

TEST(NotifySettings, EveryKeyArrives) {
  const test::TempDir dir;
  std::ofstream(dir.file("token")) << "Bearer x\n";
  std::ofstream(dir.file("key")) << "hmac\n";
  const auto loaded = load(endpoint(
      kUrl +
      ", format: cloudevents, events: [fill, evict], blobs: true, repositories: [\"a/**\"], batch: 7, timeout: 2s, "
      "backoff: 3s, max_backoff: 4s, retry_for: 5h, retries: 6, queue_size: 1MiB, dead_letters: 9, "
      "tls_verify: false, headers: {X-A: b}, header_files: {Authorization: " +
      dir.file("token") + "}, secret_file: " + dir.file("key")));
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& ci = loaded.settings->notifications.endpoints.at(0);
  EXPECT_EQ(ci.format, notify::Format::cloudevents);
  EXPECT_FALSE(has(ci, EventKind::push));
  EXPECT_TRUE(has(ci, EventKind::fill) && has(ci, EventKind::evict) && ci.blobs);
  EXPECT_EQ(ci.repositories, std::vector<std::string>{"a/**"});
  EXPECT_EQ(ci.batch, 7U);
  EXPECT_EQ(ci.timeout, 2s);
  EXPECT_EQ(ci.backoff, 3s);
  EXPECT_EQ(ci.max_backoff, 4s);
  EXPECT_EQ(ci.retry_for, 5h);
  EXPECT_EQ(ci.retries, 6U);
  EXPECT_EQ(ci.queue_bytes, 1ULL << 20);
  EXPECT_EQ(ci.dead_letters, 9U);
  EXPECT_FALSE(ci.tls.verify);
  const decltype(ci.headers) headers{{"X-A", "b"}, {"Authorization", "Bearer x"}};
  EXPECT_EQ(ci.headers, headers);
  EXPECT_EQ(ci.secret, "hmac");
  const auto text = settings_text(loaded.values);
  EXPECT_EQ(text.find("Bearer"), std::string::npos);
  EXPECT_EQ(text.find("hmac"), std::string::npos);
  const auto again = load(text);
  ASSERT_TRUE(again.settings) << text << all(again.errors);
  EXPECT_EQ(again.values.size(), loaded.values.size());
}

TEST(NotifySettings, MistakesAreSaid) {
  const std::pair<std::string, const char*> cases[] = {
      {endpoint("format: distribution"), "needs one of url"},
      {endpoint(kUrl + ", url_env: X"), "needs one of url"},
      {endpoint("url: \"ftp://x/\""), "must begin with http"},
      {endpoint("url: \"http://u:p@x/\""), "must not hold credentials"},
      {endpoint("url: \"http://x/?key=1\""), "url_file"},
      {endpoint(kUrl + ", events: []"), "names none"},
      {endpoint(kUrl + ", events: [pushes]"), "is none of push"},
      {endpoint(kUrl + ", repositories: [\"a[\"]"), "repositories"},
      {endpoint(kUrl + ", headers: {Authorization: x}"), "is a secret"},
      {endpoint(kUrl + ", headers: {Content-Length: \"1\"}"), "not yours to set"},
      {endpoint(kUrl + ", headers: {\"a b\": x}"), "no name of a header"},
      {endpoint(kUrl + ", header_files: {X-A: /no/such/file}"), "/no/such/file"},
      {endpoint(kUrl + ", secret_file: /no/such/file"), "/no/such/file"},
      {endpoint(kUrl + ", ca_file: /no/such/file"), "/no/such/file"},
      {endpoint(kUrl + ", backoff: 10s, max_backoff: 1s"), "less than backoff"},
      {endpoint(kUrl + ", queue_size: 1KiB"), "queue_size"},
      {endpoint(kUrl + ", batch: 0"), "batch"},
      {"notifications: {endpoints: {\"A/b\": {" + kUrl + "}}}", "no name of an endpoint"},
      {"notifications: {source: \"a b\"}", "host name"},
  };
  for (const auto& [yaml, what] : cases) {
    const auto loaded = load(yaml);
    EXPECT_FALSE(loaded.settings) << yaml;
    EXPECT_NE(all(loaded.errors).find(what), std::string::npos) << yaml << "\n" << all(loaded.errors);
  }
}

TEST(NotifySettings, AReloadAppliesEverythingAndNoticesNewSecrets) {
  const test::TempDir dir;
  std::ofstream(dir.file("key")) << "one";
  const auto yaml = endpoint(kUrl + ", secret_file: " + dir.file("key"));
  const auto before = load(yaml);
  std::ofstream(dir.file("key")) << "two";
  EXPECT_EQ(compare(before, load(yaml)).applicable, std::vector<std::string>{"notifications.endpoints.ci.secrets"});
  const auto gone = compare(before, load(""));
  EXPECT_FALSE(gone.applicable.empty());
  EXPECT_TRUE(gone.needs_restart.empty());
}

}  // namespace
}  // namespace shoal::app
