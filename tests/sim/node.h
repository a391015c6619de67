// Node: one Shoal node of the simulated site: the product's Mirror, Site, shelf and handler over a store in memory, on
// the simulated network. What survives a life (its id, its store) is the node's; the rest dies with the life.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "net.h"
#include "registry.h"
#include "shim.h"
#include "shoal/mirror/mirror.h"
#include "shoal/obs/metrics.h"
#include "shoal/p2p/site.h"
#include "support/memory_store.h"
#include "wire.h"

namespace shoal::sim {

inline constexpr const char* kSecret = "the secret of a simulated site";

struct SitePlan {
  int nodes = 5;
  int trackers = 2;  // the first so many
  bool trust_domain = false;
  std::vector<std::string> zones;  // by node; may be shorter
};

class Node {
 public:
  Node(World& world, Net& net, Wire& wire, Upstream& upstream, const SitePlan& plan, int index);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void start();
  void kill();                                    // at once: nobody is told
  void leave(base::UniqueFunction<void()> gone);  // in order
  [[nodiscard]] bool up() const { return running_ != nullptr; }
  [[nodiscard]] bool leaving() const { return leaving_; }
  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] base::SteadyTime began() const { return began_; }

  [[nodiscard]] mirror::Mirror& mirror();
  [[nodiscard]] p2p::Site& site();
  [[nodiscard]] double metric(const std::string& name, const obs::Labels& labels = {});
  void check_turns();  // what it counted against what upstream and the log saw of it; once a life, at its end
  void check_leases(const std::set<std::string>& blobs);  // at any time
  void check_quiet();                                     // nothing is left of what it did

  SimClock clock;
  SimDisk disk;
  SimLoop loop;
  test::MemoryStore store;
  Ways ways;
  bool swarm = true;
  std::size_t fall_backs = 0;  // in all its lives
  std::size_t deserted = 0;    // turns of its own because it knew nobody

 private:
  struct Running;
  void end();
  World& world_;
  Net& net_;
  Wire& wire_;
  Upstream& upstream_;
  const SitePlan plan_;
  const int index_;
  base::SteadyTime began_{};
  bool leaving_ = false;
  std::unique_ptr<Running> running_;
};

}  // namespace shoal::sim
