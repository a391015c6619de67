#include "swarm.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "piece_choice.h"

namespace shoal::sim {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

base::SteadyTime steady(double now) {
  return base::SteadyTime(std::chrono::hours(1)) +
         std::chrono::duration_cast<base::SteadyTime::duration>(std::chrono::duration<double>(now));
}

constexpr std::uint32_t kBlock = 16 * 1024;
constexpr std::uint32_t kQueue = 4 * kBlock;         // SwarmOptions::requests_served
constexpr std::uint32_t kStreamQueue = 16 * kBlock;  // what is on its way in a TCP connection
constexpr std::uint32_t kWindowStep = 8;             // swarmed_blob.cc
constexpr double kPartialBytes = 2'048.0 * kBlock;   // libtorrent: beyond, begun pieces come first
constexpr double kTickEvery = 1;                     // libtorrent's, of plugins
constexpr std::uint32_t kUnitsOfPiece = 64;          // bits of Piece::got

std::uint32_t unit_for(const Options& options, std::uint32_t piece_length) {
  const auto least = std::max(kBlock, piece_length / kUnitsOfPiece);
  return std::clamp(options.unit, least, piece_length);
}

}  // namespace

Swarm::Swarm(const Options& options, EventQueue& events, std::function<void(std::uint32_t, double)> complete)
    : options_(options),
      events_(events),
      complete_(std::move(complete)),
      piece_length_(options.piece != 0 ? options.piece : p2p::piece_length_for(options.size)),
      pieces_(static_cast<std::uint32_t>((options.size + piece_length_ - 1) / piece_length_)),
      words_((pieces_ + 63) / 64),
      unit_(unit_for(options, piece_length_)),
      queue_(std::max(kQueue / unit_, 1U)),
      out_(pieces_),
      state_(options.seed * 0x9e3779b97f4a7c15ULL + 1) {}

std::uint32_t Swarm::random(std::uint32_t below) {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return static_cast<std::uint32_t>((state_ >> 32) * below >> 32);
}

std::uint32_t Swarm::add(double up, double down) {
  nodes_.push_back({.up = up, .down = down, .missing = pieces_});
  table_.resize(table_.size() + pieces_);
  order_.resize(table_.size());
  for (auto* words : {&have_, &full_, &begun_}) words->resize(words->size() + words_);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void Swarm::fill(std::uint32_t node) {
  for (std::uint32_t i = 0; i < pieces_; ++i) row(have_, node)[i / 64] |= 1ULL << (i % 64);
  nodes_[node].missing = 0;
  nodes_[node].takes = false;
}

void Swarm::take_no_more(std::uint32_t node) { nodes_[node].takes = false; }

double Swarm::bytes_of(std::uint32_t piece) const {
  return static_cast<double>(
      std::min<std::uint64_t>(piece_length_, options_.size - std::uint64_t{piece} * piece_length_));
}

std::uint32_t Swarm::units_of(std::uint32_t piece) const {
  return (static_cast<std::uint32_t>(bytes_of(piece)) + unit_ - 1) / unit_;
}

double Swarm::bytes_of(std::uint32_t piece, std::uint32_t unit) const {
  return std::min<double>(unit_, bytes_of(piece) - double{1} * unit * unit_);
}

bool Swarm::connect(std::uint32_t a, std::uint32_t b, double now) {
  if (a == b || nodes_[a].left || nodes_[b].left) return false;
  for (const auto node : {a, b}) {
    const auto most = nodes_[node].takes ? options_.connections : options_.seed_connections;
    if (nodes_[node].connections >= most) return false;
  }
  for (const auto index : nodes_[a].halves) {
    if (halves_[index].peer == b && !halves_[index].stream && !halves_[index].closed) return false;
  }
  const auto first = static_cast<std::uint32_t>(halves_.size());
  halves_.push_back({.owner = a, .peer = b, .other = first + 1});
  halves_.push_back({.owner = b, .peer = a, .other = first});
  for (const auto index : {first, first + 1}) {
    const auto [owner, peer] = std::pair(halves_[index].owner, halves_[index].peer);
    nodes_[owner].halves.push_back(index);
    ++nodes_[owner].connections;
    const auto& authors = nodes_[owner].authors;
    if (options_.stripes && std::find(authors.begin(), authors.end(), peer) != authors.end()) {
      hold_back(halves_[index], now);
      events_.add(now + kTickEvery, kTick, index);
      continue;
    }
    if (nodes_[peer].missing == 0 || nodes_[owner].missing == 0) continue;  // seeds are not counted
    for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
      if (!test(have_, peer, piece)) continue;
      ++at(owner, piece).available;
      reorder(owner, piece);
    }
  }
  try_more(first, now);
  try_more(first + 1, now);
  return true;
}

void Swarm::stream(std::uint32_t to, std::uint32_t from, double now) {
  const auto first = static_cast<std::uint32_t>(halves_.size());
  halves_.push_back({.owner = to, .peer = from, .other = first + 1, .stream = true});
  halves_.push_back({.owner = from, .peer = to, .other = first, .closed = true, .stream = true});
  nodes_[to].halves.push_back(first);
  nodes_[from].halves.push_back(first + 1);
  try_more(first, now);
}

void Swarm::leave(std::uint32_t node) {
  nodes_[node].left = true;
  for (const auto index : nodes_[node].halves) {
    if (halves_[index].stream) continue;  // what was begun is served to its end
    for (const auto side : {index, halves_[index].other}) {
      if (!std::exchange(halves_[side].closed, true)) --nodes_[halves_[side].owner].connections;
    }
  }
}

void Swarm::place(std::uint32_t node, p2p::Stripe stripe) {
  auto& it = nodes_[node];
  it.stale = it.stale || it.stripe.rank != stripe.rank || it.stripe.of != stripe.of;
  it.stripe = stripe;
}

void Swarm::follow(std::uint32_t node, std::uint32_t author) { nodes_[node].authors.push_back(author); }

// As PeerProof does: what the author has is heard by and by.
void Swarm::hold_back(Half& half, double now) {
  half.held = std::make_unique<Held>(Held{p2p::HeldBack(pieces_), Words(words_)});
  for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
    if (test(have_, half.peer, piece)) half.held->back.said_to_have(piece, steady(now));
  }
  hear(half, half.held->back.wanted(
                 rule(half), [&](auto piece) { return test(have_, half.owner, piece); }, steady(now)));
}

void Swarm::hear(Half& half, const std::vector<std::uint32_t>& pieces) {
  for (const auto piece : pieces) {
    half.held->heard[piece / 64] |= 1ULL << (piece % 64);
    ++at(half.owner, piece).available;
    reorder(half.owner, piece);
  }
}

p2p::HeldBack::Is Swarm::elsewhere(std::uint32_t index) {
  return [this, index](std::uint32_t piece) {
    const auto& all = nodes_[halves_[index].owner].halves;
    return std::any_of(all.begin(), all.end(), [&](auto other) {
      return other != index && !halves_[other].closed && test(have_, halves_[other].peer, piece);
    });
  };
}

void Swarm::tick(std::uint32_t index, double now) {
  auto& half = halves_[index];
  if (half.closed || nodes_[half.owner].missing == 0) return;
  const auto good = [&](std::uint32_t piece) { return test(have_, half.owner, piece); };
  hear(half, half.held->back.wanted(rule(half), good, steady(now)));
  hear(half, half.held->back.orphans(rule(half), good, elsewhere(index), steady(now)));
  try_more(index, now);
  events_.add(now + kTickEvery, kTick, index);
}

void Swarm::charge(std::uint32_t node, double now, double bytes) {
  auto& it = nodes_[node];
  it.up_free = std::max(now, it.up_free) + bytes / it.up;
}

// What the product wishes, as it would tell libtorrent.
void Swarm::refresh(std::uint32_t node) {
  auto& it = nodes_[node];
  it.stale = false;
  p2p::PieceWish wish;
  wish.pieces = pieces_;
  if (options_.stripes) {
    wish.rank = it.stripe.rank;
    wish.of = it.stripe.of;
  }
  wish.reader = it.windowed;
  wish.ahead = options_.window;
  const auto priorities = p2p::priorities(wish);
  for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
    at(node, piece).priority = priorities[piece];
    reorder(node, piece);
  }
}

// libtorrent 2.0's order of pieces, lowest first: how many have it (seeds aside) times how little it matters; begun
// ones before others; by chance among equals.
void Swarm::reorder(std::uint32_t node, std::uint32_t piece) {
  auto& it = at(node, piece);
  const std::uint32_t rank = (it.available + 1U) * (8U - it.priority) * 3 - (it.asked > 0 ? 3 : 2);
  const std::uint32_t chance = (piece * 2'654'435'761U ^ node * 2'246'822'519U) * 3'266'489'917U >> 24;
  order_[std::size_t{node} * pieces_ + piece] = rank << 8 | chance;
}

void Swarm::try_more(std::uint32_t index, double now) {
  auto& half = halves_[index];
  const auto& owner = nodes_[half.owner];
  if (half.closed || !owner.takes || owner.missing == 0) return;
  const auto most = half.stream ? std::max(kStreamQueue / unit_, 1U) : queue_;
  while (half.out < most && ask_one(half, index, now)) {
  }
}

bool Swarm::ask_one(Half& half, std::uint32_t index, double now) {
  const auto node = half.owner;
  auto& owner = nodes_[node];
  if (owner.stale) refresh(node);
  const auto piece = half.stream ? choose_in_order(half) : choose(half);
  if (piece == kNone) {
    // Endgame: all is asked for, so ask somebody else, too; one request at a time.
    if (half.stream || half.out > 0 || owner.asked_all < owner.missing) return false;
    const auto again = choose_again(half);
    if (again == kNone) return false;
    auto& it = at(node, again);
    const auto units = units_of(again);
    while (it.asked_again < units && (it.got >> it.asked_again & 1) != 0) ++it.asked_again;
    if (it.asked_again == units) return false;
    request(half, index, again, it.asked_again++, now);
    return true;
  }
  auto& it = at(node, piece);
  const auto bit = 1ULL << (piece % 64);
  const auto unit = it.asked++;
  if (unit == 0) {
    row(begun_, node)[piece / 64] |= bit;
    ++owner.partial;
    reorder(node, piece);
  }
  if (it.asked == units_of(piece)) {
    row(begun_, node)[piece / 64] &= ~bit;
    row(full_, node)[piece / 64] |= bit;
    --owner.partial;
    if (++owner.asked_all == owner.missing) owner.ending = true;
  }
  request(half, index, piece, unit, now);
  return true;
}

std::uint32_t Swarm::choose(const Half& half) {
  const auto node = half.owner;
  const auto* theirs = row(have_, half.peer);
  const auto* ours = row(have_, node);
  const auto* full = row(full_, node);
  const auto* begun = row(begun_, node);
  const auto* orders = &order_[std::size_t{node} * pieces_];
  const auto& owner = nodes_[node];
  const bool crowded =
      owner.partial * double{1} * piece_length_ > kPartialBytes || owner.partial > owner.connections * 3 / 2;
  for (const bool only_begun : {true, false}) {
    if (only_begun && !crowded) continue;
    std::uint32_t best = kNone, order = UINT32_MAX;
    for (std::uint32_t w = 0; w < words_; ++w) {
      auto left = theirs[w] & ~ours[w] & ~full[w];
      if (half.held) left &= half.held->heard[w];
      if (only_begun) left &= begun[w];
      for (; left != 0; left &= left - 1) {
        const auto piece = w * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
        if (orders[piece] < order) order = orders[best = piece];
      }
    }
    if (best != kNone) return best;
  }
  return kNone;
}

std::uint32_t Swarm::choose_in_order(const Half& half) {
  for (std::uint32_t w = 0; w < words_; ++w) {
    const auto left = row(have_, half.peer)[w] & ~row(have_, half.owner)[w] & ~row(full_, half.owner)[w];
    if (left != 0) return w * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
  }
  return kNone;
}

std::uint32_t Swarm::choose_again(const Half& half) {
  std::uint32_t chosen = kNone, seen = 0;
  for (std::uint32_t w = 0; w < words_; ++w) {
    auto left = row(have_, half.peer)[w] & ~row(have_, half.owner)[w] & row(full_, half.owner)[w];
    if (half.held) left &= half.held->heard[w];
    for (; left != 0; left &= left - 1) {
      const auto piece = w * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
      if (at(half.owner, piece).asked_again < units_of(piece) && random(++seen) == 0) chosen = piece;
    }
  }
  return chosen;
}

void Swarm::request(Half& half, std::uint32_t index, std::uint32_t piece, std::uint32_t unit, double now) {
  ++half.out;
  auto& peer = nodes_[half.peer];
  const double bytes = bytes_of(piece, unit);
  peer.up_free = std::max(now + options_.latency, peer.up_free) + bytes / peer.up;
  peer.sent += bytes;
  events_.add(peer.up_free + options_.latency, kArrived, index, piece, unit);
}

void Swarm::on(const Event& event) {
  if (event.kind == kTick) return tick(event.who, event.at);
  if (event.kind == kDone) return done(event);
  auto& node = nodes_[halves_[event.who].owner];
  node.down_free = std::max(event.at, node.down_free + bytes_of(event.piece, event.unit) / node.down);
  if (node.down_free <= event.at) return done(event);
  events_.add(node.down_free, kDone, event.who, event.piece, event.unit);
}

void Swarm::done(const Event& event) {
  const auto node = halves_[event.who].owner;
  --halves_[event.who].out;
  auto& it = at(node, event.piece);
  const auto bit = 1ULL << event.unit;
  if ((it.got & bit) != 0 || test(have_, node, event.piece)) {
    twice_ += bytes_of(event.piece, event.unit);
  } else {
    it.got |= bit;
    if (static_cast<std::uint32_t>(std::popcount(it.got)) == units_of(event.piece)) has(node, event.piece, event.at);
  }
  try_more(event.who, event.at);
  end_game(node, event.at);
}

void Swarm::end_game(std::uint32_t node, double now) {
  if (!std::exchange(nodes_[node].ending, false)) return;
  for (const auto index : nodes_[node].halves) try_more(index, now);
}

void Swarm::bring(std::uint32_t node, std::uint32_t piece, double now) { has(node, piece, now); }

void Swarm::has(std::uint32_t node, std::uint32_t piece, double now) {
  auto& it = nodes_[node];
  const auto bit = 1ULL << (piece % 64);
  row(have_, node)[piece / 64] |= bit;
  if ((row(full_, node)[piece / 64] & bit) != 0) --it.asked_all;
  if ((row(begun_, node)[piece / 64] & bit) != 0) --it.partial;
  row(begun_, node)[piece / 64] &= ~bit;
  --it.missing;
  if (it.missing > 0 && it.asked_all == it.missing) it.ending = true;
  const auto note = [this, now](std::vector<double>& tenths, std::uint32_t count) {
    while (count >= std::max<std::size_t>(1, tenths.size() * pieces_ / 10) && tenths.size() < 11) tenths.push_back(now);
  };
  note(it.tenths, pieces_ - it.missing);
  if (it.takes && !out_[piece]) {
    out_[piece] = true;
    note(tenths_out_, ++out_count_);
  }
  while (it.prefix < pieces_ && test(have_, node, it.prefix)) ++it.prefix;
  if (it.prefix - it.windowed >= std::max(kWindowStep, pieces_ / 128)) {
    it.windowed = it.prefix;
    it.stale = true;
  }
  const bool whole = it.missing == 0;
  for (std::size_t i = 0; i < nodes_[node].halves.size(); ++i) {
    const auto own = nodes_[node].halves[i];
    if (auto& held = halves_[own].held; held && !whole) {
      held->back.arrived(piece, steady(now));
      const auto good = [&](std::uint32_t p) { return test(have_, node, p); };
      hear(halves_[own], held->back.wanted(rule(halves_[own]), good, steady(now)));
      hear(halves_[own], held->back.help(good, elsewhere(own)));
    }
    const auto other = halves_[own].other;
    auto& half = halves_[other];
    if (half.closed) continue;
    const auto peer = half.owner;
    if (half.held) {
      if (!half.held->back.said(piece, rule(half), steady(now))) hear(half, {piece});
    } else if (!half.stream && nodes_[peer].missing > 0) {
      ++at(peer, piece).available;
      reorder(peer, piece);
      for (std::uint32_t p = 0; whole && p < pieces_; ++p) {  // it is a seed now, and not counted any more
        --at(peer, p).available;
        reorder(peer, p);
      }
    }
    if (!test(have_, peer, piece)) try_more(other, now);
  }
  if (whole) complete_(node, now);
}

}  // namespace shoal::sim
