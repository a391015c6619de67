// A tracker, nodes with short names, and a clock that is set by hand.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shoal/base/format.h"
#include "shoal/p2p/tracker.h"

namespace shoal::p2p {

inline NodeInfo node(int n, std::string zone = "") {
  return {base::format("{:032x}", n), base::format("http://10.0.{}.{}:5000", n / 250, n % 250), std::move(zone), 6881};
}
inline base::Digest blob(int n) { return base::digest_of(base::format("blob {}", n)); }

class TrackerRig {
 public:
  explicit TrackerRig(TrackerOptions options = {}) : tracker(node(1'000'000), options) {}

  void pass(std::chrono::milliseconds time) { now += time; }
  base::Result<Advice> ask(const NodeInfo& who, const base::Digest& digest, const std::vector<NodeInfo>& avoid = {}) {
    Want want{digest, std::nullopt, {}};
    for (const auto& node : avoid) want.avoid.push_back(node.id);
    return tracker.want(who, want, now);
  }
  // In a word: "fetch" (and who has parts), "wait 3000", "follow 1,2 <3> (4,5)": complete, fetcher, partial.
  std::string want(const NodeInfo& who, const base::Digest& digest, const std::vector<NodeInfo>& avoid = {}) {
    const auto advice = ask(who, digest, avoid);
    return advice.ok() ? word(*advice) : std::string(base::to_string(advice.error().kind()));
  }
  AnnounceAnswer announce(Announce announce) {
    announce.seen = seen_[announce.node.id];
    auto answer = tracker.announce(announce, now);
    EXPECT_TRUE(answer.ok());
    if (!answer.ok()) return {};
    seen_[announce.node.id] = answer->version;
    return *answer;
  }
  AnnounceAnswer hello(const NodeInfo& who) { return announce({who, {}, {}, {}}); }
  AnnounceAnswer have(const NodeInfo& who, const base::Digest& digest) { return announce({who, {}, {digest}, {}}); }
  AnnounceAnswer gone(const NodeInfo& who, const base::Digest& digest) { return announce({who, {}, {}, {digest}}); }
  bool renew(const NodeInfo& who, const base::Digest& digest) { return announce({who, {digest}, {}, {}}).lost.empty(); }
  void forget_answers(const NodeInfo& who) { seen_[who.id] = 0; }

  static std::string word(const Advice& advice) {
    if (const auto* fetch = std::get_if<Fetch>(&advice))
      return fetch->partial.empty() ? "fetch" : "fetch " + names(fetch->partial);
    if (const auto* wait = std::get_if<Wait>(&advice)) return base::format("wait {}", wait->again.count());
    const auto& follow = std::get<Follow>(advice);
    std::string text = "follow";
    if (!follow.complete.empty()) text += " " + names(follow.complete);
    if (follow.fetcher) text += " <" + names({*follow.fetcher}) + ">";
    if (!follow.partial.empty()) text += " (" + names(follow.partial) + ")";
    return text;
  }
  static std::string names(const std::vector<NodeInfo>& nodes) {
    std::string text;
    for (const auto& node : nodes)
      text += base::format("{}{}", text.empty() ? "" : ",", std::stoi(node.id, nullptr, 16));
    return text;
  }

  base::SteadyTime now{std::chrono::hours(1)};
  Tracker tracker;

 private:
  std::map<std::string, std::uint64_t> seen_;
};

}  // namespace shoal::p2p
