// StripePace: which stripes of a blob nobody brings. All of them come at about the same pace; one of which nothing came
// while several pieces of each of the others did has an owner that is silent, or gone. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/p2p/share.h"

namespace shoal::p2p {

class StripePace {
 public:
  static constexpr std::uint32_t kPieces = 4;
  static constexpr std::chrono::milliseconds kLeast{500};

  void begin(Stripe own, base::SteadyTime now);
  void arrived(std::uint32_t piece, base::SteadyTime now);
  [[nodiscard]] bool behind(std::uint32_t stripe, base::SteadyTime now) const;
  // What so many of our own take; 0 while that is not known.
  [[nodiscard]] base::SteadyTime::duration time_of(std::uint32_t pieces) const;

 private:
  struct Last {  // arrival, of a stripe
    base::SteadyTime at{};
    std::uint64_t number = 0;  // of all arrivals
  };
  Stripe own_;
  std::vector<Last> last_;
  std::uint64_t arrivals_ = 0;
  base::SteadyTime first_own_{};
  std::uint32_t own_pieces_ = 0;
};

}  // namespace shoal::p2p
