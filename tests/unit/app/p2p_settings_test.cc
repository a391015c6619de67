// The section p2p, and rates by the time of the week: what is refused, and where it says so.
#include <gtest/gtest.h>

#include "reload.h"
#include "settings_text.h"

namespace shoal::app {
namespace {

std::string site(const std::string& more) {
  return "server: {tls: {cert: a.pem, key: a.key}}\n"
         "p2p:\n"
         "  enabled: true\n"
         "  secret_file: /s\n"
         "  allow: [10.0.0.0/8]\n" +
         more;
}

TEST(P2pSettings, TrackersThatMakeSense) {
  const auto loaded = load_without_secrets(site(
      "  trackers: [\"10.0.0.1:5000\", \"[fd00::1]:5000\", a.lan:1, \"http://a.lan:5000\", \"https://10.0.0.1:5000\", "
      "\"dns:shoal.lan:5000\", \"file:/etc/shoal/trackers\"]\n"));
  ASSERT_TRUE(loaded.settings) << all(loaded);
  EXPECT_EQ(loaded.settings->p2p.trackers.size(), 7U);
}

TEST(P2pSettings, TrackersThatMakeNoneAreToldWithTheirLine) {
  for (const auto* entry : {"10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "a b:5000", "http://a.lan",
                            "http://a.lan:5000/", "ftp://a:5000", "http://user@a.lan:5000", "dns:shoal.lan",
                            "dns:", "dns:http://a.lan:5000", "file:", "file:trackers", "fd00::1", "", ":5000"}) {
    const auto loaded = load_without_secrets(site("  trackers: [\"10.0.0.1:5000\", \"" + std::string(entry) + "\"]\n"));
    EXPECT_FALSE(loaded.settings) << entry;
    EXPECT_EQ(all(loaded).find("shoal.yml:6: p2p.trackers: "), 0U) << entry << ": " << all(loaded);
  }
}

TEST(P2pSettings, StallTimeoutThatIsTooShortForASwarmIsWarnedOf) {
  const auto warned = [](const std::string& more) {
    return all(load_without_secrets(site("  trackers: [\"10.0.0.1:5000\"]\n" + more)).warnings);
  };
  EXPECT_EQ(warned("  stall_timeout: 2s\n").find("shoal.yml:7: p2p.stall_timeout: is shorter than"), 0U);
  EXPECT_EQ(warned("  stall_timeout: 2s\n  swarm: false\n"), "");
  EXPECT_EQ(warned("  stall_timeout: 4s\n"), "");
}

TEST(P2pSettings, CertificatesNeedAllOfTheirParts) {
  EXPECT_TRUE(load_without_secrets(
                  site("  client_cert: c\n  client_key: k\n  ca_file: ca\n  trackers: [\"a:1\", \"https://a:1\"]\n"))
                  .settings->p2p.certificates());
  struct Case {
    const char* more;
    const char* says;
  } cases[] = {
      {"  client_cert: c\n", "shoal.yml:6: p2p.client_cert: needs client_key"},
      {"  client_key: k\n", "shoal.yml:6: p2p.client_key: needs client_cert"},
      {"  client_cert: c\n  client_key: k\n", "shoal.yml:6: p2p.client_cert: needs ca_file"},
      {"  client_cert: c\n  client_key: k\n  ca_file: ca\n  url: \"http://a:1\"\n", "shoal.yml:9: p2p.url: must begin"},
      {"  client_cert: c\n  client_key: k\n  ca_file: ca\n  trackers: [\"http://a:1\"]\n",
       "shoal.yml:9: p2p.trackers: \"http://a:1\" is not https"},
  };
  for (const auto& c : cases) {
    const auto loaded = load_without_secrets(site(c.more));
    EXPECT_FALSE(loaded.settings) << c.more;
    EXPECT_NE(all(loaded).find(c.says), std::string::npos) << all(loaded);
  }
  const auto plain = load_without_secrets(
      "p2p: {enabled: true, secret_file: s, allow: [10.0.0.0/8], ca_file: ca, client_cert: c, "
      "client_key: k}");
  EXPECT_NE(all(plain).find("needs server.tls.cert"), std::string::npos) << all(plain);
}

TEST(P2pSettings, CertificateFilesThatCannotBeUsedAreErrorsWhereTheyAreRead) {
  const auto loaded = load(site("  client_cert: /no/such.pem\n  client_key: k\n  ca_file: ca\n"));
  EXPECT_NE(all(loaded).find("shoal.yml:6: p2p.client_cert: TLS certificate /no/such.pem"), std::string::npos)
      << all(loaded);
}

TEST(P2pSettings, WindowsOfRates) {
  const auto loaded = load_without_secrets(
      "p2p: {upload_rate: 1MiB, windows: [\"mon-fri 08:00-18:00 upload=2MiB download=0\", \"daily 22:00-06:00 "
      "download=64KiB\"]}\n"
      "upstreams: {r.io: {max_rate: 10MiB, windows: [\"sat,sun 00:00-24:00 max_rate=0\"]}}\n"
      "default_upstream: r.io\n");
  ASSERT_TRUE(loaded.settings) << all(loaded);
  const auto& plan = loaded.settings->p2p.swarm.rates;
  EXPECT_EQ(plan.at({0, 9 * 60}), (p2p::Rates{2 << 20, 0}));
  EXPECT_EQ(plan.at({0, 20 * 60}), (p2p::Rates{1 << 20, 0}));
  EXPECT_EQ(plan.at({0, 23 * 60}), (p2p::Rates{1 << 20, 64 << 10}));
  const auto& upstream = loaded.settings->upstreams.front();
  EXPECT_EQ(upstream::rate_at(upstream, {4, 0}), 10U << 20);
  EXPECT_EQ(upstream::rate_at(upstream, {5, 0}), 0U);
}

TEST(P2pSettings, WhatIsNoWindowOrNoRateIsToldWithItsLine) {
  for (const auto* window :
       {"daily 08:00-09:00", "daily", "", "daily 08:00-09:00 upload", "daily 08:00-09:00 upload=x",
        "daily 08:00-09:00 upload=1KiB", "daily 08:00-09:00 max_rate=1MiB", "daily 08:00-09:00 upload=1MiB upload=2MiB",
        "daily 08:00-09:00  upload=1MiB", "noday 08:00-09:00 upload=1MiB"}) {
    const auto loaded = load_without_secrets("p2p:\n  windows: [\"" + std::string(window) + "\"]\n");
    EXPECT_FALSE(loaded.settings) << window;
    EXPECT_EQ(all(loaded).find("shoal.yml:2: p2p.windows: "), 0U) << window << ": " << all(loaded);
  }
  EXPECT_NE(all(load_without_secrets("p2p:\n  upload_rate: 1KiB\n")).find("shoal.yml:2: p2p.upload_rate: "),
            std::string::npos);
  EXPECT_NE(all(load_without_secrets("p2p:\n  download_rate: 1KiB\n")).find("shoal.yml:2: p2p.download_rate: "),
            std::string::npos);
  const auto upstream = load_without_secrets(
      "upstreams:\n  r.io:\n    max_rate: 1KiB\n    windows: [\"daily 08:00-09:00 upload=1MiB\"]\n");
  EXPECT_NE(all(upstream).find("shoal.yml:3: upstreams.r.io.max_rate: "), std::string::npos) << all(upstream);
  EXPECT_NE(all(upstream).find("shoal.yml:4: upstreams.r.io.windows: "), std::string::npos) << all(upstream);
}

TEST(P2pSettings, RatesApplyWithoutARestartAndTheRestWaits) {
  const auto running = load_without_secrets("p2p: {upload_rate: 1MiB, zone: a}");
  auto next = load_without_secrets("p2p: {upload_rate: 2MiB, zone: b, windows: [\"daily 08:00-09:00 upload=3MiB\"]}");
  const auto changes = compare(running, next);
  EXPECT_EQ(changes.applicable, (std::vector<std::string>{"p2p.upload_rate", "p2p.windows"}));
  EXPECT_EQ(changes.needs_restart, std::vector<std::string>{"p2p.zone"});
  const auto now = in_force(running, std::move(next));
  const auto& p2p = now.loaded.settings->p2p;
  EXPECT_EQ(p2p.zone, "a");
  EXPECT_EQ(p2p.swarm.rates.otherwise.upload, 2U << 20);
  EXPECT_EQ(p2p.swarm.rates.windows.size(), 1U);
}

}  // namespace
}  // namespace shoal::app
