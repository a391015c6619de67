#include "fresh_pieces.h"

#include <algorithm>
#include <utility>

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kWindowLag = 4;  // own pieces, for what is on its way from others
constexpr int kPiecesOfSilence = 8;      // in the time of so many something should have come

// The first piece is everybody's: clients wait for it.
bool is_own(std::uint32_t piece, Stripe stripe) {
  return piece == 0 || stripe.of < 2 || piece % stripe.of == stripe.rank;
}

// Whose it is if its owner does not bring it: each of the others in turn.
bool is_deputy(std::uint32_t piece, Stripe stripe) {
  if (stripe.of < 2) return false;
  return (piece + 1 + piece / stripe.of % (stripe.of - 1)) % stripe.of == stripe.rank;
}

}  // namespace

void FreshPieces::follow(const std::string& author, Stripe stripe) {
  const std::lock_guard lock(mutex_);
  if (authors_.size() >= kMostAuthors && authors_.count(author) == 0) authors_.clear();  // most of them are gone
  authors_[author] = stripe;
}

void FreshPieces::forget(const std::string& author) {
  const std::lock_guard lock(mutex_);
  authors_.erase(author);
}

void FreshPieces::forget_all() {
  const std::lock_guard lock(mutex_);
  authors_.clear();
}

void FreshPieces::set_reader(std::uint32_t reader) {
  const std::lock_guard lock(mutex_);
  reader_ = reader;
}

std::optional<FreshRule> FreshPieces::rule(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = authors_.find(node);
  if (found == authors_.end()) return std::nullopt;
  return FreshRule{found->second, reader_};
}

bool HeldBack::said(std::uint32_t piece, const FreshRule& rule, base::SteadyTime now) {
  auto& it = pieces_[piece];
  const bool heard = it.state == State::asked || it.state == State::heard;
  if (!heard && !is_own(piece, rule.stripe)) {
    hold(it, true, now);
    return true;
  }
  if (!heard) expect(it);
  it.state = State::heard;
  return false;
}

void HeldBack::said_to_have(std::uint32_t piece, base::SteadyTime now) { hold(pieces_[piece], false, now); }

void HeldBack::hold(Piece& piece, bool fresh, base::SteadyTime now) {
  if (first_word_ == base::SteadyTime{}) first_word_ = last_arrival_ = now;
  if (piece.state != State::unsaid) return;
  piece.state = State::held;
  piece.fresh = fresh;
  piece.since = now;
}

void HeldBack::arrived(std::uint32_t piece, base::SteadyTime now) {
  last_arrival_ = now;
  ++arrivals_;
  pace_.arrived(piece, now);
  if (!std::exchange(pieces_[piece].coming, false)) return;
  --coming_;
  ++arrived_;
}

void HeldBack::expect(Piece& piece) {
  if (!std::exchange(piece.coming, true)) ++coming_;
}

std::vector<std::uint32_t> HeldBack::wanted(const FreshRule& rule, const Is& good, base::SteadyTime now) {
  std::vector<std::uint32_t> list;
  const auto [rank, of] = rule.stripe;
  if (rank != stripe_.rank || of != stripe_.of) {
    stripe_ = rule.stripe;
    next_ = of < 2 ? 0 : rank;
    own_missing_ = next_;
    helped_ = 0;
    pace_.begin(stripe_, now);
    behind_.assign(of, std::nullopt);
  }
  const auto look = [&](std::uint32_t piece) {
    auto& it = pieces_[piece];
    if (it.state != State::held || good(piece)) return;
    it.state = State::asked;
    expect(it);
    list.push_back(piece);
  };
  look(0);
  const auto heard = std::min(kHeard, kHeardFirst + arrived_);
  for (; coming_ < heard && next_ < pieces_.size(); next_ += of < 2 ? 1 : of) look(next_);
  return list;
}

bool HeldBack::own_is_here(const Is& good) {
  if (stripe_.of < 2) return false;
  while (own_missing_ < pieces_.size() && good(static_cast<std::uint32_t>(own_missing_))) own_missing_ += stripe_.of;
  return own_missing_ >= pieces_.size();
}

// From the end, which their owners come to last; each piece by one helper. Of a stripe with little left its owner has
// asked for all.
std::vector<std::uint32_t> HeldBack::help(const Is& good, const Is& elsewhere) {
  std::vector<std::uint32_t> list;
  if (!own_is_here(good)) return list;
  std::vector<std::uint32_t> left(stripe_.of, UINT32_MAX);
  const auto worth_it = [&](std::uint32_t stripe) {
    if (left[stripe] == UINT32_MAX) {
      left[stripe] = 0;
      for (std::uint64_t at = stripe; at < pieces_.size(); at += stripe_.of) {
        const auto piece = static_cast<std::uint32_t>(at);
        if (!good(piece) && !elsewhere(piece)) ++left[stripe];
      }
    }
    return left[stripe] >= kWorthHelp;
  };
  for (; coming_ < kHelp && helped_ < pieces_.size(); ++helped_) {
    const auto piece = static_cast<std::uint32_t>(pieces_.size()) - 1 - helped_;
    auto& it = pieces_[piece];
    if (it.state != State::held || it.fresh || !is_deputy(piece, stripe_) || good(piece) || elsewhere(piece)) continue;
    if (!worth_it(piece % stripe_.of)) continue;
    it.state = State::asked;
    expect(it);
    list.push_back(piece);
  }
  return list;
}

std::vector<std::uint32_t> HeldBack::orphans(const FreshRule& rule, const Is& good, const Is& elsewhere,
                                             base::SteadyTime now) {
  std::vector<std::uint32_t> list;
  ask_for_stripes_behind(good, now, list);
  auto first = rule.reader;
  while (first < pieces_.size() && good(first)) ++first;
  if (std::exchange(missing_, first) != first) missing_since_ = now;
  using Time = base::SteadyTime::duration;
  const Time each = (last_arrival_ - first_word_) / std::max(arrivals_, 1U);
  const auto nothing_came = std::clamp<Time>(each * kPiecesOfSilence, kNothingCame, kMostPatience);
  const auto window = stripe_.of < 2 ? Time{} : pace_.time_of(kWindow / stripe_.of + kWindowLag);
  const auto patience = std::clamp<Time>(window, kStillMissing, kMostPatience);
  const bool silent = now - last_arrival_ >= nothing_came;
  const bool stuck = silent || now - missing_since_ >= patience;
  const std::uint64_t next = stuck ? std::uint64_t{kNext} << std::min(2 * stuck_, 32U) : 0;
  stuck_ = stuck ? stuck_ + 1 : stuck_ - std::min(stuck_, 1U);
  const bool alone = silent && own_is_here(good);  // nobody brings what is not ours
  const auto end =
      alone ? pieces_.size() : std::min<std::uint64_t>(first + std::max<std::uint64_t>(kWindow, next), pieces_.size());
  for (std::uint32_t piece = first; piece < end && list.size() < kMostAtOnce; ++piece) {
    auto& it = pieces_[piece];
    if (it.state != State::held || good(piece)) continue;
    if (piece - first >= next && !(alone && !elsewhere(piece))) {
      const auto waited = now - it.since;
      if (!it.fresh || waited < kDeputy || elsewhere(piece)) continue;
      if (waited < kAll && rule.stripe.of > 1 && !is_deputy(piece, rule.stripe)) continue;
    }
    it.state = State::asked;
    list.push_back(piece);
  }
  return list;
}

void HeldBack::ask_for_stripes_behind(const Is& good, base::SteadyTime now, std::vector<std::uint32_t>& list) {
  for (std::uint32_t stripe = 0; stripe < behind_.size(); ++stripe) {
    auto& since = behind_[stripe];
    const bool behind = pace_.behind(stripe, now);
    if (!behind) since.reset();  // its owner goes on
    if (!behind) continue;
    if (!since) since = now;
    for (std::uint64_t at = stripe; at < pieces_.size() && list.size() < kMostAtOnce; at += stripe_.of) {
      const auto piece = static_cast<std::uint32_t>(at);
      auto& it = pieces_[piece];
      if (it.state != State::held || it.fresh || good(piece)) continue;
      if (now - *since < kBehind && !is_deputy(piece, stripe_)) continue;
      it.state = State::asked;
      list.push_back(piece);
    }
  }
}

}  // namespace shoal::p2p
