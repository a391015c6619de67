// Simulation: one seed: a site, its clients, what goes wrong, and whether everything held.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients.h"
#include "pieces.h"

namespace shoal::sim {

struct Report {
  std::uint64_t seed = 0;
  std::string what;  // the site and its faults, in words
  std::vector<std::string> violations;
  std::uint64_t gets = 0, fall_backs = 0, errors = 0, events = 0, calls = 0, pieces = 0;
  Millis last_client{0};
};

[[nodiscard]] Report simulate(std::uint64_t seed, bool verbose);

class Simulation {
 public:
  Simulation(std::uint64_t seed, bool verbose);
  ~Simulation();
  [[nodiscard]] Report run();

 private:
  friend class Trouble;
  enum class Mood {
    none,    // one GET, no error, no fall-back
    deaths,  // ... and a GET more for each node that goes
    outage,  // upstream goes down for good once one node has everything
    anything,
  };
  // Faults (trouble.cc): chosen from the seed, scheduled, and undone by kTroubleEnds.
  void choose_mood();
  void plan_site();
  void plan_trouble();
  void plan_clients();
  void kill(int node, bool comes_back);
  void leave(int node);
  void start(int node);
  void gone(int node);
  void at(Millis when, base::UniqueFunction<void()> run);
  [[nodiscard]] Millis some_time(int from_ms, int to_ms);
  [[nodiscard]] int any_node() { return static_cast<int>(world_.pick(static_cast<std::uint64_t>(plan_.nodes))); }
  void say(std::string what) { what_ += (what_.empty() ? "" : "; ") + std::move(what); }
  void watch_fetcher(unsigned left, bool comes_back);

  // The checks (checks.cc).
  [[nodiscard]] bool all_served() const;
  [[nodiscard]] std::size_t fall_backs();  // in all lives of all nodes
  void step();                             // a little time, and the checks that hold at any time
  void check_clients();
  void check_upstream();
  void check_rest();

  const std::uint64_t seed_;
  World world_;
  SitePlan plan_;
  std::unique_ptr<Net> net_;
  std::unique_ptr<Wire> wire_;
  std::unique_ptr<Pieces> pieces_;
  std::unique_ptr<Upstream> upstream_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Image> images_;
  std::set<std::string> blobs_;  // of all images
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Millis> client_starts_, node_starts_;
  std::set<int> without_client_;
  std::string what_;
  Mood mood_ = Mood::none;
  unsigned deaths_ = 0;
  unsigned tracker_starts_ = 0;  // later than the site's: it knows nobody, and its own clients do not wait
  bool tracker_gone_ = false;    // for a time, so that nodes may have had nobody to ask
  bool wrong_bytes_ = false;     // some source of bytes is not sound
};

inline constexpr Millis kTroubleEnds{18'000};

}  // namespace shoal::sim
