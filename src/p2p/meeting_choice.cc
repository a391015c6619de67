#include "meeting_choice.h"

#include <algorithm>
#include <array>

namespace shoal::p2p {
namespace {

// Fixed, so that all are as frequent as each other: nobody is called much more often than others. Near ones are close
// together, so that whoever comes last has neighbours enough in a site of twenty, too.
constexpr std::array<std::size_t, 13> kDistances{1, 2, 4, 7, 11, 16, 30, 75, 200, 500, 1'300, 3'500, 9'000};

}  // namespace

std::vector<std::size_t> told_of(std::size_t earlier, std::size_t most) {
  std::vector<std::size_t> told;
  if (earlier <= most) {
    for (std::size_t i = earlier; i > 0; --i) told.push_back(i - 1);
    return told;
  }
  for (const auto distance : kDistances) {
    if (distance > earlier || told.size() == most) break;
    told.push_back(earlier - distance);
  }
  return told;
}

std::uint32_t free_rank(const std::vector<std::uint32_t>& ranks) {
  std::vector<bool> taken(ranks.size());
  for (const auto rank : ranks) {
    if (rank < taken.size()) taken[rank] = true;
  }
  return static_cast<std::uint32_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
}

std::uint32_t sharing(const std::vector<std::uint32_t>& ranks) {
  if (ranks.empty()) return 0;
  return std::min<std::uint32_t>(*std::max_element(ranks.begin(), ranks.end()) + 1, kDirect);
}

Stripe stripe_of(std::uint32_t rank, std::uint32_t of) {
  if (of == 0) return {};
  of = std::min<std::uint32_t>(of, kDirect);
  return {rank % of, of};
}

}  // namespace shoal::p2p
