// ClientsFirst: what is left for neighbours of a rate that clients come first in. Pure.
//
// Several connections to neighbours would take the uplink from one client's. So what clients got lately, and an eighth
// of the rate on top, is kept for them: if they could take more they do, and the next look finds them faster, until
// neighbours have a twentieth of the rate. If they cannot, no more than that eighth lies idle.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "shoal/base/clock.h"

namespace shoal::p2p {

class ClientsFirst {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{200};
  static constexpr std::uint64_t kNobody = 100;  // a client rate of less than this part of the rate does not count

  // `rate`: bytes a second for neighbours and clients together, 0 for no limit. `sent`: bytes that clients got so far.
  [[nodiscard]] std::uint64_t left(std::uint64_t rate, std::uint64_t sent, base::SteadyTime now) {
    if (rate == 0) return 0;
    if (looked_ == base::SteadyTime{} || sent < sent_) look(sent, now, 0);
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - looked_);
    if (since >= kLookEvery) look(sent, now, (sent - sent_) * 1'000 / static_cast<std::uint64_t>(since.count()));
    const std::uint64_t least = rate / 20;
    if (clients_ < rate / kNobody) return rate;
    const std::uint64_t kept = clients_ + rate / 8;
    return kept + least >= rate ? least : rate - kept;
  }

 private:
  void look(std::uint64_t sent, base::SteadyTime now, std::uint64_t rate) {
    sent_ = sent;
    looked_ = now;
    clients_ = rate > clients_ ? (clients_ + rate) / 2 : clients_ - (clients_ - rate) / 8;
  }
  base::SteadyTime looked_{};
  std::uint64_t sent_ = 0;
  // Bytes a second. A client is given a window (1 MiB) at a time, so one look finds twice its rate and the next one
  // nothing: what rose goes by an eighth a look (half of it in a second), else neighbours would take every gap between
  // two windows.
  std::uint64_t clients_ = 0;
};

}  // namespace shoal::p2p
