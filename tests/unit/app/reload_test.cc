#include "reload.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.h"

namespace shoal::app {
namespace {

LoadedSettings load(std::string_view yaml) {
  SettingsSource source;
  source.environment = {};
  auto loaded = load_settings(source, yaml);
  EXPECT_TRUE(loaded.settings) << (loaded.errors.empty() ? "" : loaded.errors.front());
  return loaded;
}

using Keys = std::vector<std::string>;

TEST(Reload, NothingChangedIsNothing) {
  const auto changes = compare(load("log: {level: info}"), load(""));
  EXPECT_EQ(changes.applicable, Keys{});
  EXPECT_EQ(changes.needs_restart, Keys{});
}

TEST(Reload, KeysAreSortedIntoWhatAppliesAndWhatWaits) {
  const auto changes = compare(
      load(""),
      load("server: {loops: 3, drain_timeout: 1s, limits: {headers: 5}}\nstorage: {max_size: 1GiB, scrub_rate: 1MiB}\n"
           "log: {level: debug, access: \"\"}\nmirror: {keep_filling: false}\nhosts: {a.lan: docker.io}"));
  EXPECT_EQ(changes.applicable,
            (Keys{"hosts.a.lan", "log.level", "mirror.keep_filling", "server.drain_timeout", "storage.max_size"}));
  EXPECT_EQ(changes.needs_restart, (Keys{"log.access", "server.limits.headers", "server.loops", "storage.scrub_rate"}));
}

TEST(Reload, UpstreamsThatComeAndGoAreChanges) {
  const auto one = load("upstreams: {docker.io: {}}");
  const auto two = load("upstreams: {docker.io: {}, ghcr.io: {}}");
  EXPECT_FALSE(compare(one, two).applicable.empty());
  EXPECT_FALSE(compare(two, one).applicable.empty());
  EXPECT_TRUE(compare(two, one).needs_restart.empty());
}

TEST(Reload, ANewPasswordInTheSameFileIsAChange) {
  const test::TempDir dir;
  const std::string yaml =
      "upstreams: {a.io: {username: me, password_file: " + dir.file("pass") + "}}\ndefault_upstream: \"\"";
  std::ofstream(dir.file("pass")) << "one";
  const auto before = load(yaml);
  std::ofstream(dir.file("pass")) << "two";
  EXPECT_EQ(compare(before, load(yaml)).applicable, Keys{"upstreams.a.io.credentials"});
}

TEST(Reload, ANewPasswordInTheHtpasswdFileIsAChange) {
  const test::TempDir dir;
  const std::string yaml = "auth: {htpasswd: " + dir.file("users") + "}";
  std::ofstream(dir.file("users")) << "ann:" << *auth::hash_password("one", 4) << "\n";
  const auto before = load(yaml);
  EXPECT_EQ(compare(before, load(yaml)).applicable, Keys{});
  std::ofstream(dir.file("users")) << "ann:" << *auth::hash_password("two", 4) << "\n";
  EXPECT_EQ(compare(before, load(yaml)).applicable, Keys{"auth.users"});
}

TEST(Reload, WhatIsHostedAndWhoMayChangesWithoutARestart) {
  const test::TempDir dir;
  std::ofstream(dir.file("users")) << "ann:" << *auth::hash_password("one", 4) << "\n";
  const auto head = "auth: {htpasswd: " + dir.file("users") + ", rules: [{users: [ann], actions: [";
  const auto changes =
      compare(load(head + "pull]}]}\nhosted: [a]\nregistry: {quotas: {a: 1GiB}, immutable_tags: [a], max_uploads: 5}"),
              load(head + "push]}]}\nhosted: [b]\nregistry: {quotas: {a: 2GiB}, immutable_tags: [b], max_uploads: 6}"));
  EXPECT_EQ(changes.applicable,
            (Keys{"auth.rules.0.actions", "hosted", "registry.immutable_tags", "registry.quotas.a"}));
  EXPECT_EQ(changes.needs_restart, Keys{"registry.max_uploads"});
}

// As `GET /api/v1/config` shows it after a reload.
std::string shown(const LoadedSettings& running, const LoadedSettings& next) {
  const auto result = in_force(running, next);
  return settings_text(result.loaded.values, result.waiting);
}

TEST(Reload, WhatWaitsForARestartIsShownAsItRunsWithANote) {
  const auto running = load("server: {loops: 2}\nlog: {level: info}\nadmin: {hosts: [a.lan]}");
  const auto text = shown(running, load("server: {loops: 3}\nlog: {level: debug}\nadmin: {hosts: [a.lan, \"b: #\"]}"));
  EXPECT_NE(text.find("  loops: 2  # :1; after a restart: 3 (:1)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  level: debug  # :2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  hosts: [\"a.lan\"]  # :3; after a restart: [\"a.lan\", \"b: #\"] (:3)\n"), std::string::npos)
      << text;
  EXPECT_EQ(settings_text(load(text).values).find("after"), std::string::npos) << "still YAML";
}

TEST(Reload, EveryKeyThatNeedsARestartIsShownAsItRuns) {
  const auto running = load("");
  const auto next = load(
      "server: {listen: [\"127.0.0.1:1\"], plain_listen: [\"127.0.0.1:2\"], loops: 7, disk_threads: 9, limits: "
      "{header_bytes: 1KiB, headers: 7, uri_bytes: 1KiB, body_bytes: 1KiB, connections: 7, header_timeout: 7s, "
      "body_timeout: 7s, keep_alive_timeout: 7s, send_timeout: 7s}}\n"
      "storage: {path: /elsewhere, index_size: 1GiB, quarantine_size: 7MiB, fill_max_age: 7h, scrub_rate: 7MiB}\n"
      "registry: {upload_max_age: 7h, max_uploads: 7}\n"
      "admin: {listen: \"127.0.0.1:7\", allow_remote: true, hosts: [x], metrics_on_main: false}\n"
      "log: {format: json, file: /tmp/x, access: \"\", access_format: json}");
  const auto changes = compare(running, next);
  EXPECT_EQ(changes.applicable, Keys{});
  const auto result = in_force(running, next);
  EXPECT_EQ(result.waiting.size(), changes.needs_restart.size());
  EXPECT_EQ(settings_text(result.loaded.values), settings_text(running.values));
  EXPECT_EQ(compare(result.loaded, next).needs_restart, changes.needs_restart) << "the next reload says so again";
  const auto& now = *result.loaded.settings;
  EXPECT_EQ(now.server.disk_threads, running.settings->server.disk_threads);
  EXPECT_EQ(now.storage.path, running.settings->storage.path);
  EXPECT_EQ(now.admin.listen->port, 5001);
}

TEST(Reload, TheBoundsOfTheStoreFollowAndItsPathDoesNot) {
  const auto result = in_force(load(""), load("storage: {path: /elsewhere, max_size: 7GiB, min_free: 7MiB, "
                                              "high_watermark: 70, low_watermark: 7}"));
  const auto& storage = result.loaded.settings->storage;
  EXPECT_EQ(storage.max_size, 7ULL << 30);
  EXPECT_EQ(storage.min_free, 7ULL << 20);
  EXPECT_DOUBLE_EQ(storage.high_watermark, 0.7);
  EXPECT_DOUBLE_EQ(storage.low_watermark, 0.07);
  EXPECT_EQ(storage.path, "/var/lib/shoal");
  EXPECT_EQ(result.waiting.size(), 1U);
}

TEST(Reload, TlsThatIsSwitchedWaitsAsAWhole) {
  LoadedSettings plain = load("");
  LoadedSettings secure = load("");
  secure.settings->server.tls.cert_file = "/etc/tls.pem";
  for (auto& value : secure.values) {
    if (value.key == "server.tls.cert") value.value = "/etc/tls.pem";
    if (value.key == "server.tls.client_auth") value.value = "required";
  }
  for (const auto& [running, next] : {std::pair(&plain, &secure), std::pair(&secure, &plain)}) {
    const Keys keys{"server.tls.cert", "server.tls.client_auth"};
    EXPECT_EQ(compare(*running, *next).needs_restart, keys);
    const auto result = in_force(*running, *next);
    EXPECT_EQ(settings_text(result.loaded.values), settings_text(running->values));
    EXPECT_EQ(result.loaded.settings->server.tls.cert_file, running->settings->server.tls.cert_file);
    EXPECT_EQ(compare(result.loaded, *next).needs_restart, keys) << "the next reload says so again";
  }
  auto renewed = secure;
  for (auto& value : renewed.values) {
    if (value.key == "server.tls.client_auth") value.value = "none";
  }
  EXPECT_EQ(compare(secure, renewed).applicable, Keys{"server.tls.client_auth"});
}

// conf/shoal.yml marks them; a key that is marked and applied, or the other way round, would mislead operators.
TEST(Reload, TheReferenceMarksWhatNeedsARestart) {
  std::ifstream file("conf/shoal.yml");  // CTest runs the tests in the top folder
  ASSERT_TRUE(file.is_open());
  std::string section, subsection;
  bool subsection_marked = false;
  int checked = 0;
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    const auto start = line.find_first_not_of(' ');
    if (colon == line.npos || start == line.npos || line[start] == '#') continue;
    const auto key = line.substr(start, colon - start);
    const bool marked = line.find("# [restart]") != line.npos;
    if (start == 0) {
      section = key;
      continue;
    }
    if (start == 2) {
      subsection = key;
      subsection_marked = marked;
    }
    if (section == "upstreams" || key == "limits") continue;
    const auto path = section + "." + (start == 4 ? subsection + "." : "") + key;
    EXPECT_EQ(needs_restart(path), start == 4 ? subsection_marked : marked) << path;
    ++checked;
  }
  EXPECT_GT(checked, 20);
}

}  // namespace
}  // namespace shoal::app
