// Pieces: where the simulated swarms of all nodes find each other: by address, as over TCP.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net.h"

namespace shoal::sim {

class SwarmPort;  // one node's

class Pieces {
 public:
  Pieces(World& world, Net& net);
  ~Pieces();
  [[nodiscard]] static Pieces& current();
  World& world;
  Net& net;
  std::map<int, SwarmPort*> ports;  // by node
  std::map<int, bool> spoils;       // nodes that send other bytes than they have
  std::uint64_t sent = 0;           // pieces
  std::uint64_t failed = 0;         // that did not match
  [[nodiscard]] std::size_t torrents() const;
};

}  // namespace shoal::sim
