// What a run of swarm_sim is about. Rates are bytes a second, times seconds.
#pragma once

#include <cstdint>
#include <string>

#include "meeting_choice.h"

namespace shoal::sim {

struct Options {
  std::uint64_t seed = 1;
  std::uint32_t nodes = 100;  // that want the blob; seeds come on top
  std::uint64_t size = 1'000'000'000;
  std::uint32_t seeds = 1;  // nodes that have it; 0: cold, it comes through `uplink`
  double uplink = 0;
  double up = 125e6, down = 125e6;  // of a node
  double seed_up = 0;               // of a seed; 0: as the others
  double slow_share = 0;            // of the nodes that have
  double slow_up = 12.5e6;          // ... this instead of `up`
  double latency = 0.00025;         // one way
  double spread = 0.2;              // all come within that time
  std::uint32_t trackers = 3;
  std::uint32_t max_nodes = 16'384;  // of a tracker

  // The product's figures, to be varied. window, told, takers: swarmed_blob.cc; connections: swarm.h.
  std::uint32_t connections = p2p::kShareConnections;
  std::uint32_t window = 128;
  std::uint32_t told = p2p::kToldPeers;
  std::uint32_t takers = 20'000;
  std::uint32_t piece = 0;  // bytes; 0: piece_length_for()
  bool stripes = true;
  bool hold_seeds = true;                         // what a complete seed has is held back, too
  std::uint32_t seed_connections = p2p::kDirect;  // of who has all or fetches

  // The model's. A request asks for `unit` bytes; more than 16 KiB stands for several blocks that go together.
  std::uint32_t unit = 0;  // 0: 16 KiB, or a 64th of a piece
  double limit = 3'600;    // of simulated time
  bool tenths = false;     // print when each tenth of the blob came
};

// Exits with a word about how to call it, if the arguments make no sense.
[[nodiscard]] Options parse(int argc, char** argv);

}  // namespace shoal::sim
