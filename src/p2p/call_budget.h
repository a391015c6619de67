// CallBudget: how much one address may ask of a loop in a second. Pure; one per loop.
//
// A call costs one, and one more for each 512 bytes of its body: about 32 µs of a processor each
// (bench/macro/tracker.py). A node makes a few calls a second, and 1,500 in these units while it tells a tracker of all
// it holds; nodes behind one address share its budget.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "shoal/base/clock.h"

namespace shoal::p2p {

class CallBudget {
 public:
  static constexpr std::uint64_t kEachSecond = 20'000;

  // False: not this one, and no other before the second is over.
  [[nodiscard]] bool take(const std::string& ip, std::size_t body, base::SteadyTime now) {
    if (now - began_ >= std::chrono::seconds(1)) {
      spent_.clear();
      began_ = now;
    }
    std::uint64_t& spent = spent_[ip];
    if (spent >= kEachSecond) return false;
    spent += 1 + body / 512;
    return true;
  }

 private:
  base::SteadyTime began_{};
  std::unordered_map<std::string, std::uint64_t> spent_;  // by address
};

}  // namespace shoal::p2p
