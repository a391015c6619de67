// RequestDepth: how many blocks a peer may ask of us at a time (reqq, BEP 10). Pure; one of each connection.
//
// A short queue is what makes a seed send each piece once: what was asked of it early is asked of others as well. But
// one that holds less than what goes out until the peer's next request is here runs dry: with 4 blocks and the rate of
// a loopback both ends wake up for nearly every block. So it grows with the rate, to what goes out in kSpan; on slow
// links it stays as it is at first. It doubles and halves, so that it is not said again often: to the peer each time is
// a handshake (PeerConduct).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "shoal/base/clock.h"

namespace shoal::p2p {

class RequestDepth {
 public:
  static constexpr unsigned kFirst = 4;  // blocks. Measured: 3 starves, 8 costs a herd a few per cent of its time
  static constexpr unsigned kMost = 32;
  static constexpr std::chrono::microseconds kSpan{2'000};
  static constexpr std::chrono::milliseconds kLook{20};
  static constexpr unsigned kMostChanges = 16;  // of a connection: one that goes up and down is left as it is

  // So many bytes have gone to it. The new depth, if it is another.
  [[nodiscard]] std::optional<unsigned> sent(std::uint64_t bytes, base::SteadyTime now) {
    if (began_ == base::SteadyTime{}) began_ = now;
    bytes_ += bytes;
    const auto passed = std::chrono::duration<double>(now - began_).count();
    if (now - began_ < kLook) return std::nullopt;
    const double blocks =
        static_cast<double>(bytes_) / passed * std::chrono::duration<double>(kSpan).count() / (16 * 1024);
    began_ = now;
    bytes_ = 0;
    const unsigned before = depth_;
    if (changes_ >= kMostChanges) return std::nullopt;
    if (depth_ < kMost && blocks >= 2 * depth_)
      depth_ *= 2;
    else if (depth_ > kFirst && blocks * 4 < depth_)
      depth_ /= 2;
    if (depth_ == before) return std::nullopt;
    ++changes_;
    return depth_;
  }

 private:
  base::SteadyTime began_{};
  std::uint64_t bytes_ = 0;
  unsigned depth_ = kFirst;
  unsigned changes_ = 0;
};

}  // namespace shoal::p2p
