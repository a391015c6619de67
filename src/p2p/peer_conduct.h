// PeerConduct: does a peer that proved itself keep to what an exchange of pieces needs? Pure; one of each connection.
//
// A bucket that leaks: each message that a peer sends fills it, each block that moves, either way, and each second
// empty it. A node that is in order says a few small messages a block; what libtorrent 2.0.8 would answer without end
// (requests beyond its queue, rejections that are asked for again, choking back and forth) fills it in a moment.
// Besides: libtorrent bounds the blocks that wait for a peer to read, not its other answers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace shoal::p2p {

struct ConductLimits {
  std::uint32_t most = 8'192;  // messages ahead of blocks: a node that joins has up to about 1,000 pieces to tell of
  std::uint32_t each_second = 1'000;
  std::uint32_t each_block = 8;
  std::uint32_t unasked_block = 16;                // counts as so many messages
  std::uint32_t repeated_hello = 512;              // it may be of 1 MiB
  std::size_t most_unread = std::size_t{1} << 20;  // bytes that wait for the peer to read them
};

class PeerConduct {
 public:
  explicit PeerConduct(ConductLimits limits = {}) : limits_(limits) {}

  void message() { ++level_; }
  void unasked_block() { level_ += limits_.unasked_block; }
  void hello() {  // the first one is due
    if (greeted_) level_ += limits_.repeated_hello;
    greeted_ = true;
  }
  void block() { level_ -= std::min(level_, limits_.each_block); }
  void second() { level_ -= std::min(level_, limits_.each_second); }

  [[nodiscard]] bool floods(std::size_t unread) const { return level_ > limits_.most || unread > limits_.most_unread; }

 private:
  const ConductLimits limits_;
  std::uint32_t level_ = 0;
  bool greeted_ = false;
};

}  // namespace shoal::p2p
