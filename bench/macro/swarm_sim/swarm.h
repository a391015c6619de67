// Swarm: the transfers of a simulated site. What BitTorrent does is a model: short request queues, everybody unchoked,
// libtorrent's order of pieces (below), its limit on partial pieces, its endgame. What the product decides is not:
// which pieces matter to a node is priorities() of src/p2p/piece_choice.h.
//
// A link sends first what was asked first; a request that is out is not taken back. A downlink passes on what comes as
// fast as it may. Hashing, disks and processors cost nothing; nobody lies, nothing is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "events.h"
#include "fresh_pieces.h"
#include "options.h"
#include "shoal/p2p/share.h"

namespace shoal::sim {

enum Kind : std::uint32_t {
  kArrived,
  kDone,
  kTick,
  kJoin,
  kAsk,
  kMapAnswer,
  kConnect,
  kUpstream,
  kMapFrame,
  kAnnounce,
  kLeave
};

class Swarm {
 public:
  // `complete` runs when a node has all of it.
  Swarm(const Options& options, EventQueue& events, std::function<void(std::uint32_t, double)> complete);

  [[nodiscard]] std::uint32_t add(double up, double down);  // a node
  void fill(std::uint32_t node);                            // it has everything
  void take_no_more(std::uint32_t node);                    // from peers
  // False: one of them has as many connections as it may, or they are connected.
  bool connect(std::uint32_t a, std::uint32_t b, double now);
  void stream(std::uint32_t to, std::uint32_t from, double now);  // by HTTP, in order, apart from the swarm
  void leave(std::uint32_t node);
  void place(std::uint32_t node, p2p::Stripe stripe);
  void follow(std::uint32_t node, std::uint32_t author);            // before they are connected
  void bring(std::uint32_t node, std::uint32_t piece, double now);  // from upstream
  void charge(std::uint32_t node, double now, double bytes);        // sends something else
  void on(const Event& event);                                      // kArrived, kDone, kTick

  [[nodiscard]] bool complete(std::uint32_t node) const { return nodes_[node].missing == 0; }
  [[nodiscard]] double up(std::uint32_t node) const { return nodes_[node].up; }
  [[nodiscard]] double sent(std::uint32_t node) const { return nodes_[node].sent; }
  // When a node had so many tenths of it, and when so many tenths had left the seeds (or the fetcher) at all.
  [[nodiscard]] const std::vector<double>& tenths(std::uint32_t node) const { return nodes_[node].tenths; }
  [[nodiscard]] const std::vector<double>& tenths_out() const { return tenths_out_; }
  [[nodiscard]] double twice() const { return twice_; }  // bytes that came to nodes that had them
  [[nodiscard]] std::uint32_t connections(std::uint32_t node) const { return nodes_[node].connections; }
  [[nodiscard]] std::uint32_t pieces() const { return pieces_; }
  [[nodiscard]] std::uint32_t piece_length() const { return piece_length_; }
  [[nodiscard]] std::uint32_t unit() const { return unit_; }
  [[nodiscard]] double bytes_of(std::uint32_t piece) const;

 private:
  using Words = std::vector<std::uint64_t>;
  struct Held {  // of a half whose peer is its owner's author
    p2p::HeldBack back;
    Words heard;
  };
  struct Half {  // of a connection: what `owner` asks of `peer`
    std::uint32_t owner, peer, other;
    std::uint32_t out = 0;  // requests
    bool closed = false;
    bool stream = false;
    std::unique_ptr<Held> held = nullptr;
  };
  struct Node {
    double up, down;
    double up_free = 0, down_free = 0;  // when what was asked so far is sent, or taken in
    double sent = 0;
    std::uint32_t missing, asked_all = 0;  // pieces; those of them of which everything is asked for
    std::uint32_t partial = 0;             // pieces that are begun, with something left to ask for
    std::uint32_t prefix = 0, windowed = 0;
    p2p::Stripe stripe = {};
    std::uint32_t connections = 0;
    bool takes = true, stale = true, ending = false, left = false;
    std::vector<std::uint32_t> halves = {}, authors = {};
    std::vector<double> tenths = {};  // the first piece, a tenth, two tenths...
  };
  struct Piece {
    std::uint64_t got = 0;  // units
    std::uint16_t available = 0;
    std::uint8_t asked = 0, asked_again = 0, priority = 0;
  };

  [[nodiscard]] Piece& at(std::uint32_t node, std::uint32_t piece) {
    return table_[std::size_t{node} * pieces_ + piece];
  }
  [[nodiscard]] std::uint64_t* row(Words& words, std::uint32_t node) { return &words[std::size_t{node} * words_]; }
  [[nodiscard]] bool test(Words& words, std::uint32_t node, std::uint32_t piece) {
    return (row(words, node)[piece / 64] >> (piece % 64) & 1) != 0;
  }
  [[nodiscard]] std::uint32_t units_of(std::uint32_t piece) const;
  [[nodiscard]] double bytes_of(std::uint32_t piece, std::uint32_t unit) const;
  void refresh(std::uint32_t node);
  void reorder(std::uint32_t node, std::uint32_t piece);
  void try_more(std::uint32_t half, double now);
  [[nodiscard]] bool ask_one(Half& half, std::uint32_t index, double now);
  [[nodiscard]] std::uint32_t choose(const Half& half);
  [[nodiscard]] std::uint32_t choose_in_order(const Half& half);
  [[nodiscard]] std::uint32_t choose_again(const Half& half);
  void request(Half& half, std::uint32_t index, std::uint32_t piece, std::uint32_t unit, double now);
  void done(const Event& event);
  [[nodiscard]] p2p::FreshRule rule(const Half& half) const {
    return {nodes_[half.owner].stripe, nodes_[half.owner].prefix};
  }
  void hold_back(Half& half, double now);
  void hear(Half& half, const std::vector<std::uint32_t>& pieces);
  [[nodiscard]] p2p::HeldBack::Is elsewhere(std::uint32_t index);
  void tick(std::uint32_t index, double now);
  void has(std::uint32_t node, std::uint32_t piece, double now);
  void end_game(std::uint32_t node, double now);
  std::uint32_t random(std::uint32_t below);

  const Options& options_;
  EventQueue& events_;
  const std::function<void(std::uint32_t, double)> complete_;
  const std::uint32_t piece_length_, pieces_, words_, unit_, queue_;
  std::vector<Node> nodes_;
  std::vector<Half> halves_;
  std::vector<Piece> table_;
  std::vector<std::uint32_t> order_;  // of each piece of each node, lowest first; apart, for choose() reads them all
  Words have_, full_, begun_;
  std::vector<bool> out_;  // pieces that anybody got from another
  std::uint32_t out_count_ = 0;
  std::vector<double> tenths_out_;
  double twice_ = 0;
  std::uint64_t state_;
};

}  // namespace shoal::sim
