// Net: how the nodes reach each other. Links have a rate and a latency; they can be cut for a time (a partition: what
// runs over them stops and goes on later), and calls can be refused or swallowed one way (a firewall).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shoal/http/server.h"
#include "world.h"

namespace shoal::sim {

// One life of a node, from its start to its end.
struct Life {
  int node = kNobody;
  http::Handler* handler = nullptr;
  bool alive = true;
};

class Net {
 public:
  enum class Calls { open, refused, swallowed };
  struct Host {
    std::uint64_t upload = 100'000'000, download = 100'000'000;  // bytes a second
    std::chrono::microseconds latency{500};                      // from it to the switch
    bool spoils_maps = false;                                    // somebody on its wire changes bytes of piece maps
    bool spoils_answers = false;                                 // ... and of what its tracker answers
    std::shared_ptr<Life> life;                                  // null: down
  };
  Net(World& world, int hosts);

  [[nodiscard]] static std::string ip_of(int node) { return base::format("10.0.0.{}", node + 1); }
  [[nodiscard]] static std::string url_of(int node) { return base::format("http://{}:5000", ip_of(node)); }
  [[nodiscard]] int node_at(std::string_view url_or_ip) const;  // kNobody: none of ours

  [[nodiscard]] Host& host(int node) { return hosts_[static_cast<std::size_t>(node)]; }
  [[nodiscard]] int size() const { return static_cast<int>(hosts_.size()); }

  void cut(int a, int b, bool on);
  [[nodiscard]] bool is_cut(int a, int b) const { return pair(a, b).cut || pair(b, a).cut; }
  void set_calls(int from, int to, Calls calls);
  [[nodiscard]] Calls calls(int from, int to) const;
  // Could `from` call `to` at every moment since then?
  [[nodiscard]] bool open_since(int from, int to, base::SteadyTime then) const;
  void note_trouble(int node);  // its host went down, or came up

  // When so many bytes, sent now, are there. Long ones in order between two hosts.
  [[nodiscard]] base::SteadyTime carry(int from, int to, std::uint64_t bytes);
  [[nodiscard]] std::chrono::microseconds latency(int a, int b) { return host(a).latency + host(b).latency; }

 private:
  struct Pair {
    bool cut = false;
    Calls calls = Calls::open;
    base::SteadyTime last_bad{};
    base::SteadyTime last_arrival{};
  };
  [[nodiscard]] const Pair& pair(int from, int to) const {
    return pairs_[static_cast<std::size_t>(from) * hosts_.size() + static_cast<std::size_t>(to)];
  }
  [[nodiscard]] Pair& pair(int from, int to) { return const_cast<Pair&>(std::as_const(*this).pair(from, to)); }
  World& world_;
  std::vector<Host> hosts_;
  std::vector<Pair> pairs_;
  std::vector<base::SteadyTime> sends_until_, takes_until_;
};

}  // namespace shoal::sim
