// The kinds of trouble, one function each.
#include <algorithm>

#include "simulation.h"

namespace shoal::sim {

// A friend of Simulation, so that the list of faults is one table.
class Trouble {
 public:
  struct Kind {
    const char* name;
    void (Trouble::*plan)();
    bool death;  // costs at most a GET more, no error and no fall-back
    bool mild;   // also during an outage of upstream
  };
  static const std::vector<Kind>& kinds();
  explicit Trouble(Simulation& s) : sim_(s), world_(s.world_) {}
  void plan(const Kind& kind) {
    sim_.say(kind.name);
    (this->*kind.plan)();
  }

 private:
  [[nodiscard]] Node& node(int i) { return *sim_.nodes_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] Millis begin() { return sim_.some_time(2'500, 9'000); }
  [[nodiscard]] Millis end() { return sim_.some_time(9'500, static_cast<int>(kTroubleEnds.count())); }
  [[nodiscard]] int no_tracker() {  // the last node, which is one only where all are
    return sim_.plan_.nodes - 1;
  }
  void preload(int i, bool right);

  void late() {
    const int i = sim_.any_node();
    sim_.tracker_gone_ = sim_.tracker_gone_ || i < sim_.plan_.trackers;
    sim_.node_starts_[static_cast<std::size_t>(i)] = sim_.some_time(3'000, 12'000);
  }
  void leaves() {
    at(begin(), [this_ = &sim_, i = sim_.any_node()] { this_->leave(i); });
  }
  void dies() {
    at(begin(), [this_ = &sim_, i = sim_.any_node()] { this_->kill(i, false); });
  }
  void restarts() {
    at(begin(), [this_ = &sim_, i = sim_.any_node()] { this_->kill(i, true); });
  }
  void fetcher_dies() { sim_.watch_fetcher(1, false); }
  void fetchers_restart() { sim_.watch_fetcher(2, true); }
  void partition();
  void isolated();
  void slow();
  void asymmetric_rates();
  void one_way_calls();
  void one_tracker() { lose_trackers(1); }
  void all_trackers_but_one() { lose_trackers(sim_.plan_.trackers - 1); }
  void all_trackers() { lose_trackers(sim_.plan_.trackers); }
  void lose_trackers(int count);
  void skew() { node(sim_.any_node()).clock.skew = Millis(static_cast<int>(world_.pick(100'000)) - 50'000); }
  void far_skew() { node(sim_.any_node()).clock.skew = Millis(world_.chance(50) ? 400'000 : -400'000); }
  void full_disk() { node(sim_.any_node()).store.fill_up_at(world_.pick(300'000)); }
  void older() {
    auto& old = node(sim_.any_node());
    old.ways.knows_pieces = false;
    old.swarm = false;
  }
  void newer() { node(sim_.any_node()).ways.says_more = true; }
  void wrong_upstream();
  void cut_upstream() {
    at(begin(), [s = &sim_] { s->upstream_->cut_next(1 + static_cast<unsigned>(s->world_.pick(3))); });
  }
  void upstream_down_for_one();
  void upstream_down();
  void false_holder() { preload(no_tracker(), /*right=*/false); }
  void lying_map();
  void spoilt_pieces();
  void spoilt_map_on_the_wire();
  void spoilt_answers_on_the_wire();
  void refusing_holder();

  void at(Millis when, base::UniqueFunction<void()> run) { sim_.at(when, std::move(run)); }
  Simulation& sim_;
  World& world_;
};

const std::vector<Trouble::Kind>& Trouble::kinds() {
  static const std::vector<Kind> all{
      {"a node comes late", &Trouble::late, true, true},
      {"a node leaves", &Trouble::leaves, true, false},
      {"a node dies", &Trouble::dies, true, false},
      {"a node restarts", &Trouble::restarts, true, false},
      {"the fetcher dies", &Trouble::fetcher_dies, true, false},
      {"two fetchers die and restart", &Trouble::fetchers_restart, true, false},
      {"a slow node", &Trouble::slow, true, true},
      {"a node with little upload", &Trouble::asymmetric_rates, true, true},
      {"a clock is a little off", &Trouble::skew, true, true},
      {"a newer version", &Trouble::newer, true, true},
      {"an older version", &Trouble::older, true, true},
      {"the site falls in two", &Trouble::partition, false, false},
      {"a node is cut off", &Trouble::isolated, false, false},
      {"calls one way only", &Trouble::one_way_calls, false, false},
      {"a tracker is lost", &Trouble::one_tracker, false, false},
      {"all trackers but one are lost", &Trouble::all_trackers_but_one, false, false},
      {"all trackers are lost", &Trouble::all_trackers, false, false},
      {"a clock is far off", &Trouble::far_skew, false, false},
      {"a full disk", &Trouble::full_disk, false, false},
      {"wrong bytes from upstream", &Trouble::wrong_upstream, false, false},
      {"upstream cuts answers", &Trouble::cut_upstream, false, false},
      {"upstream is away for one", &Trouble::upstream_down_for_one, false, false},
      {"upstream is away", &Trouble::upstream_down, false, false},
      {"a holder of other bytes", &Trouble::false_holder, false, false},
      {"a false map author", &Trouble::lying_map, false, false},
      {"a node sends spoilt pieces", &Trouble::spoilt_pieces, false, false},
      {"piece maps are spoilt on the wire", &Trouble::spoilt_map_on_the_wire, false, false},
      {"answers are spoilt on the wire", &Trouble::spoilt_answers_on_the_wire, false, false},
      {"a holder that refuses", &Trouble::refusing_holder, false, false},
  };
  return all;
}

// It has the blobs from before the site began.
void Trouble::preload(int i, bool right) {
  sim_.without_client_.insert(i);
  if (!right) sim_.wrong_bytes_ = true;
  for (const auto& image : sim_.images_) {
    for (const auto& digest : image.blobs) {
      auto bytes = sim_.upstream_->blob(digest);
      if (!right) bytes[bytes.size() / 2] ^= 1;
      node(i).store.put_blob(digest, std::move(bytes));
    }
  }
}

void Trouble::partition() {
  const auto cut = [s = &sim_](bool on, unsigned half) {
    s->world_.tell("the site falls {}", on ? "in two" : "together");
    for (int a = 0; a < s->plan_.nodes; ++a) {
      for (int b = a + 1; b < s->plan_.nodes; ++b) {
        if ((half >> a & 1) != (half >> b & 1)) s->net_->cut(a, b, on);
      }
    }
  };
  const auto half = static_cast<unsigned>(world_.pick(1U << sim_.plan_.nodes));
  at(begin(), [cut, half] { cut(true, half); });
  at(end(), [cut, half] { cut(false, half); });
}

void Trouble::isolated() {
  const auto cut = [s = &sim_, i = sim_.any_node()](bool on) {
    s->world_.tell("node {} is {}", i, on ? "cut off" : "back on the network");
    for (int other = 0; other < s->plan_.nodes; ++other) {
      if (other != i) s->net_->cut(i, other, on);
    }
  };
  at(begin(), [cut] { cut(true); });
  at(end(), [cut] { cut(false); });
}

void Trouble::slow() {
  const int i = sim_.any_node();
  auto& host = sim_.net_->host(i);
  host.upload = host.download = 150'000;
  host.latency = std::chrono::milliseconds(40);
  node(i).disk.delay = std::chrono::milliseconds(15);
}

void Trouble::asymmetric_rates() { sim_.net_->host(sim_.any_node()).upload = 100'000; }

void Trouble::one_way_calls() {
  const int from = sim_.any_node();
  const auto calls = world_.chance(50) ? Net::Calls::refused : Net::Calls::swallowed;
  const auto set = [s = &sim_, from](Net::Calls how) {
    s->world_.tell("calls of node {}: {}", from, how == Net::Calls::open ? "open" : "blocked");
    for (int to = 0; to < s->plan_.nodes; ++to) {
      if (to != from) s->net_->set_calls(from, to, how);
    }
  };
  at(begin(), [set, calls] { set(calls); });
  at(end(), [set] { set(Net::Calls::open); });
}

void Trouble::lose_trackers(int count) {
  const auto when = begin();
  for (int i = 0; i < count; ++i) {
    at(when, [s = &sim_, i] { s->kill(i, true); });
  }
}

void Trouble::wrong_upstream() {
  sim_.wrong_bytes_ = true;
  at(Millis(2'500), [s = &sim_] {
    s->world_.tell("upstream sends wrong bytes");
    s->upstream_->set_wrong(true);
  });
  at(sim_.some_time(4'000, 10'000), [s = &sim_] {
    s->world_.tell("upstream sends right bytes");
    s->upstream_->set_wrong(false);
  });
}

void Trouble::upstream_down_for_one() {
  const int i = sim_.any_node();
  const auto how = world_.chance(50) ? Upstream::Path::refused : Upstream::Path::silent;
  at(begin(), [s = &sim_, i, how] { s->upstream_->set_path(i, how); });
  at(end(), [s = &sim_, i] { s->upstream_->set_path(i, Upstream::Path::open); });
}

void Trouble::upstream_down() {
  const auto how = world_.chance(50) ? Upstream::Path::refused : Upstream::Path::silent;
  const auto set = [s = &sim_](Upstream::Path path) {
    s->world_.tell("upstream is {}", path == Upstream::Path::open ? "there" : "away");
    for (int i = 0; i < s->plan_.nodes; ++i) s->upstream_->set_path(i, path);
  };
  at(begin(), [set, how] { set(how); });
  at(end(), [set] { set(Upstream::Path::open); });
}

void Trouble::lying_map() {
  const int i = no_tracker();
  node(i).ways.lies_on_pieces = true;
  sim_.wrong_bytes_ = true;  // what it says and what others have cannot be told apart at once
  if (world_.chance(60)) preload(i, /*right=*/true);
}

void Trouble::spoilt_pieces() {
  const int i = no_tracker();
  sim_.pieces_->spoils[i] = true;
  if (world_.chance(60)) preload(i, /*right=*/true);
}

void Trouble::spoilt_map_on_the_wire() {
  const int i = sim_.any_node();
  if (world_.chance(40)) preload(i, /*right=*/true);
  at(Millis(2'500), [s = &sim_, i] { s->net_->host(i).spoils_maps = true; });
  at(end(), [s = &sim_, i] { s->net_->host(i).spoils_maps = false; });
}

void Trouble::spoilt_answers_on_the_wire() {
  const int i = sim_.any_node();
  at(begin(), [s = &sim_, i] { s->net_->host(i).spoils_answers = true; });
  at(end(), [s = &sim_, i] { s->net_->host(i).spoils_answers = false; });
}

void Trouble::refusing_holder() {
  const int i = no_tracker();
  node(i).ways.refuses_blobs = true;
  preload(i, /*right=*/true);
}

void Simulation::plan_trouble() {
  if (mood_ == Mood::none) return say("no trouble");
  if (mood_ == Mood::outage) say("upstream goes down for good");
  std::vector<const Trouble::Kind*> some;
  for (const auto& kind : Trouble::kinds()) {
    if ((mood_ != Mood::deaths || kind.death) && (mood_ != Mood::outage || kind.mild)) some.push_back(&kind);
  }
  Trouble trouble(*this);
  const auto count = mood_ == Mood::outage ? world_.pick(3) : 1 + world_.pick(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto chosen = world_.pick(some.size());
    trouble.plan(*some[chosen]);
    some.erase(some.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
}

}  // namespace shoal::sim
