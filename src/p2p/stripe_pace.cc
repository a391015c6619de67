#include "stripe_pace.h"

namespace shoal::p2p {

void StripePace::begin(Stripe own, base::SteadyTime now) {
  own_ = own;
  arrivals_ = 0;
  last_.assign(own.of, Last{now, 0});
  own_pieces_ = 0;
}

void StripePace::arrived(std::uint32_t piece, base::SteadyTime now) {
  if (own_.of < 2) return;
  last_[piece % own_.of] = Last{now, ++arrivals_};
  if (piece % own_.of == own_.rank && own_pieces_++ == 0) first_own_ = now;
}

bool StripePace::behind(std::uint32_t stripe, base::SteadyTime now) const {
  if (own_.of < 2 || stripe == own_.rank) return false;
  const auto& last = last_[stripe];
  return now - last.at >= kLeast && arrivals_ - last.number >= std::uint64_t{kPieces} * (own_.of - 1);
}

base::SteadyTime::duration StripePace::time_of(std::uint32_t pieces) const {
  if (own_.of < 2 || own_pieces_ < kPieces) return {};
  return (last_[own_.rank].at - first_own_) / (own_pieces_ - 1) * pieces;
}

}  // namespace shoal::p2p
