#include "report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "svg.h"

namespace shoal::bench {
namespace {

using nlohmann::json;

PullRound round(double seconds, std::uint64_t first_byte) {
  PullRound made;
  made.clients = 2;
  made.finished = 2;
  made.seconds = seconds;
  made.bytes = 2 * 1'000'100;
  made.requests = 8;
  made.connections = 3;
  made.cpu_seconds = 0.001;
  made.blobs.resize(2);
  for (int i = 0; i < 2; ++i) {
    made.pull.record(static_cast<std::uint64_t>(seconds * 1e9));
    made.first_byte.record(first_byte + static_cast<std::uint64_t>(i));
    made.whole.record(5 * first_byte);
    made.blobs[1].first_byte.record(first_byte);
    made.blobs[1].whole.record(5 * first_byte);
  }
  made.sources[static_cast<std::size_t>(Source::cache)] = made.bytes;
  return made;
}

RateRound rates(std::uint64_t base) {
  RateRound made;
  made.rate = 500;
  made.due = 1000;
  made.answered = 1000;
  made.seconds = 2;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    made.response.record(base + i * 1000);
    made.service.record(base + i * 500);
    made.lateness.record(1000);
  }
  return made;
}

Report report() {
  Report made;
  made.version = "0";
  made.started = "2026-01-01T00:00:00Z";
  made.profile = "containerd";
  made.mode = "warm";
  made.targets = {"http://a/x:1", "http://b/<x>&:1"};
  made.blobs = {{"sha256:config", "c", 100, true}, {"sha256:layer", "l", 1'000'000, false}};
  made.image_bytes = 1'000'100;
  made.rounds = 3;
  PullCell a{0, 2, {}}, b{1, 2, {}};
  for (const double load : {1.0, 1.5, 0.8}) {
    a.rounds.push_back(round(0.010 * load, 400'000));
    b.rounds.push_back(round(0.020 * load, 800'000));
  }
  made.pulls = {a, b};
  made.rates = {{0, 500, {rates(100'000), rates(120'000)}}, {1, 500, {rates(300'000), rates(350'000)}}};
  made.problems = {"something \"quoted\" & <odd>"};
  return made;
}

TEST(BenchReport, SumsAreThoseOfTheRounds) {
  const auto total = report().pulls[0].total();
  EXPECT_EQ(total.bytes, 6U * 1'000'100);
  EXPECT_EQ(total.finished, 6U);
  EXPECT_EQ(total.requests, 24U);
  EXPECT_NEAR(total.seconds, 0.033, 1e-9);
  EXPECT_EQ(total.first_byte.count(), 6U);
  EXPECT_EQ(total.blobs[1].whole.count(), 6U);
}

TEST(BenchReport, TargetsAreComparedWithTheFirstInPairsOfRounds) {
  const auto comparisons = report().comparisons();
  ASSERT_EQ(comparisons.size(), 5U);
  EXPECT_EQ(comparisons[0].what, "bytes/s");
  EXPECT_TRUE(comparisons[0].more_is_better);
  EXPECT_NEAR(comparisons[0].ratio->ratio, 0.5, 1e-9);
  EXPECT_NEAR(comparisons[0].ratio->high, 0.5, 1e-9);  // the load was the same for both
  EXPECT_NEAR(comparisons[1].ratio->ratio, 2, 0.01);
  EXPECT_EQ(comparisons[3].what, "manifest p50");
  EXPECT_EQ(comparisons[4].what, "manifest p99");
  EXPECT_EQ(comparisons[4].where, "500/s");
}

TEST(BenchReport, VerdictOnFewRoundsIsThatTheyAreFew) {
  const auto verdict = [](const Ratio& ratio, bool more_is_better = true) {
    return Comparison{0, "", "", more_is_better, ratio}.verdict();
  };
  EXPECT_EQ(Comparison{}.verdict(), "an interval takes two rounds");
  EXPECT_EQ(verdict({1.5, 0.1, 30, 2}), "too few rounds to tell");
  EXPECT_EQ(verdict({1.5, 0.9, 2, 9}), "no difference shown");
  EXPECT_EQ(verdict({1.5, 1.4, 1.6, 2}), "better");
  EXPECT_EQ(verdict({1.5, 1.4, 1.6, 9}, false), "worse");
}

TEST(BenchReport, JsonHasTheFiguresAndTheirUnitsHold) {
  const auto parsed = json::parse(to_json(report()));
  EXPECT_EQ(parsed["schema"], 1);
  EXPECT_EQ(parsed["targets"].size(), 2U);
  const auto& cell = parsed["pulls"][1];
  EXPECT_EQ(cell["target"], 1);
  EXPECT_EQ(cell["bytes"], 6 * 1'000'100);
  EXPECT_EQ(cell["rounds"].size(), 3U);
  EXPECT_NEAR(cell["bytes_per_second"].get<double>(), 6 * 1'000'100 / 0.066, 1);
  EXPECT_EQ(cell["sources"]["cache"], 6 * 1'000'100);
  EXPECT_EQ(cell["layers"][1]["digest"], "sha256:layer");
  EXPECT_NEAR(cell["client_cpu_seconds_per_gigabyte"].get<double>(), 0.003 / 0.0060006, 1e-6);
  EXPECT_EQ(parsed["manifests"][0]["due"], 2000);
  EXPECT_LE(parsed["manifests"][0]["response"]["p50"], parsed["manifests"][0]["response"]["p99"]);
  EXPECT_EQ(parsed["complete"], true);
  EXPECT_EQ(parsed["problems"].size(), 1U);
}

TEST(BenchReport, TheTableNamesBothTargetsAndTheRatio) {
  const auto text = to_table(report());
  for (const char* part : {"A  http://a/x:1", "B  http://b/<x>&:1", "0.500 (0.500 to 0.500)", "worse", "100 % cache",
                           "problem: something", "manifests, "}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(BenchReport, ThePageEscapesWhatItShowsAndLoadsNothing) {
  const auto page = to_html(report());
  EXPECT_NE(page.find("&lt;odd&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<odd>"), std::string::npos);
  EXPECT_EQ(page.find("<x>"), std::string::npos);
  for (const char* part : {"<script", "src=", "@import", "url(", "<link"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(page.find("role=\"img\""), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf\""), std::string::npos);
}

TEST(BenchReport, OneThatEndedAtOnceHasAllThreeForms) {
  Report made;
  made.targets = {"http://a/x:1"};
  made.ended = "interrupted";
  EXPECT_NE(to_table(made).find("http://a/x:1"), std::string::npos);
  EXPECT_EQ(json::parse(to_json(made))["complete"], false);
  EXPECT_NE(to_html(made).find("</html>"), std::string::npos);
}

TEST(BenchSvg, TicksAreRoundAndHoldTheValues) {
  const auto linear = ticks_to(7.3e9, &rate_text);
  EXPECT_EQ(linear.front().at, 0);
  EXPECT_GE(linear.back().at, 7.3e9);
  EXPECT_EQ(linear[1].text, "2.00 GB/s");
  const auto log = log_ticks(230'000, 47'000'000, &time_text);
  EXPECT_LE(log.front().at, 230'000);
  EXPECT_GE(log.back().at, 47'000'000);
  EXPECT_EQ(log.front().text, "200 us");
  EXPECT_EQ(log.back().text, "50.00 ms");
  EXPECT_GE(log_ticks(5, 5, &time_text).size(), 2U);
}

TEST(BenchSvg, WordsAreShort) {
  EXPECT_EQ(time_text(1'500'000), "1.50 ms");
  EXPECT_EQ(time_text(250'000'000), "250 ms");
  EXPECT_EQ(time_text(12'000), "12 us");
  EXPECT_EQ(size_text(64 << 20), "64.0 MiB");
  EXPECT_EQ(rate_text(1.25e9), "1.25 GB/s");
  BytesBySource sources{};
  EXPECT_EQ(sources_text(sources), "nothing came");
  sources[static_cast<std::size_t>(Source::upstream)] = 1;
  sources[static_cast<std::size_t>(Source::cache)] = 3;
  EXPECT_EQ(sources_text(sources), "75 % cache, 25 % upstream");
}

}  // namespace
}  // namespace shoal::bench
