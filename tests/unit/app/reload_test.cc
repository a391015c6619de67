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
      load(""), load("server: {loops: 3, drain_timeout: 1s, limits: {headers: 5}}\nstorage: {max_size: 1GiB}\n"
                     "log: {level: debug, access: \"\"}\nmirror: {keep_filling: false}\nhosts: {a.lan: docker.io}"));
  EXPECT_EQ(changes.applicable, (Keys{"hosts.a.lan", "log.level", "mirror.keep_filling", "server.drain_timeout"}));
  EXPECT_EQ(changes.needs_restart, (Keys{"log.access", "server.limits.headers", "server.loops", "storage.max_size"}));
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

TEST(Reload, ValuesInForceKeepWhatWaitsForARestart) {
  const auto running = load("server: {loops: 2}\nlog: {level: info}");
  const auto next = load("server: {loops: 3}\nlog: {level: debug}");
  for (const auto& value : values_in_force(running.values, next.values)) {
    if (value.key == "server.loops") {
      EXPECT_EQ(value.value, "2");
    }
    if (value.key == "log.level") {
      EXPECT_EQ(value.value, "debug");
    }
  }
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
