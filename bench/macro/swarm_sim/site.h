// SimSite: how nodes of a simulated site come to the blob: they ask the product's Tracker, chosen by the product's
// ranking, follow the map of up to three authors, and are told of each other by them, as SiteSupply and SwarmedBlob do.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/p2p/tracker.h"
#include "swarm.h"

namespace shoal::sim {

class SimSite {
 public:
  explicit SimSite(const Options& options);
  void run();

  struct Times {
    double came = 0, complete = -1;
  };
  [[nodiscard]] const std::vector<Times>& times() const { return times_; }  // of those that came for it
  [[nodiscard]] const Swarm& swarm() const { return swarm_; }
  [[nodiscard]] double upstream_bytes() const { return upstream_bytes_; }
  [[nodiscard]] double seeds_sent() const;
  [[nodiscard]] double herd_up() const;  // of all that wanted it
  [[nodiscard]] std::uint64_t wants() const { return wants_; }
  [[nodiscard]] std::uint64_t announces() const { return announces_; }
  [[nodiscard]] std::uint32_t fetchers() const { return fetchers_; }  // that held the lease
  [[nodiscard]] std::uint32_t alone() const { return alone_; }        // that no tracker would hear
  [[nodiscard]] std::uint32_t refused() const { return refused_; }    // by an author that had followers enough
  [[nodiscard]] double connections() const;                           // of a node, in the middle of all
  [[nodiscard]] double seed_connections() const;
  [[nodiscard]] double end() const { return now_; }

 private:
  struct Author {
    std::uint32_t node, rank;
  };
  struct Node {
    std::vector<std::uint64_t> seen;  // of each tracker
    std::vector<Author> authors;
    std::vector<std::uint32_t> answers;    // authors that are still to answer
    std::vector<std::uint32_t> followers;  // of its map, in the order in which they came
    std::uint32_t joined = 0;
    bool fetches = false, whole = false, told = false;
  };
  [[nodiscard]] p2p::NodeInfo info(std::uint32_t node) const;
  [[nodiscard]] std::uint32_t number(const p2p::NodeInfo& node) const;
  [[nodiscard]] base::SteadyTime steady() const;
  void on(const Event& event);
  void ask(std::uint32_t node);
  void follow(std::uint32_t node, const p2p::Follow& advice);
  void answer(std::uint32_t author, std::uint32_t node);
  void meet(std::uint32_t node);
  void fetch(std::uint32_t node);
  void upstream(std::uint32_t node, std::uint32_t piece);
  void map_frame(std::uint32_t node);
  void announce(std::uint32_t node, bool again);
  void complete(std::uint32_t node);

  const Options options_;
  const base::Digest digest_;
  EventQueue events_;
  Swarm swarm_;
  std::vector<std::unique_ptr<p2p::Tracker>> trackers_;  // of the first nodes that want it
  std::vector<std::size_t> order_;                       // of trackers, for the digest
  std::vector<Node> nodes_;                              // seeds first
  std::vector<Times> times_;
  std::vector<std::vector<std::uint32_t>> calls_;  // peers to connect to, of a node
  double now_ = 0, upstream_free_ = 0, upstream_bytes_ = 0;
  std::vector<std::uint32_t> gathered_;  // pieces from upstream that the map does not tell yet
  double framed_ = 0;                    // when it last told of some
  std::uint64_t wants_ = 0, announces_ = 0;
  std::uint32_t fetchers_ = 0, alone_ = 0, refused_ = 0, left_;
};

}  // namespace shoal::sim
