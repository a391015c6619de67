#include "shoal/mirror/origins.h"

#include <algorithm>

namespace shoal::mirror {

void Origins::extend(std::uint64_t end, Origin from) {
  if (end <= this->end()) return;
  if (!runs_.empty() && runs_.back().from == from) {
    runs_.back().end = end;
  } else {
    runs_.push_back({end, from});
  }
}

// f(bytes, from) for each run's part of the range.
template <class F>
void Origins::each(base::ByteRange range, F f) const {
  auto run = std::upper_bound(runs_.begin(), runs_.end(), range.begin,
                              [](std::uint64_t position, const Run& r) { return position < r.end; });
  for (auto position = range.begin; run != runs_.end() && position < range.end; ++run) {
    const auto end = std::min(run->end, range.end);
    f(end - position, run->from);
    position = end;
  }
}

void Origins::append(const Origins& other, base::ByteRange range) {
  other.each(range, [this](std::uint64_t bytes, Origin from) { extend(end() + bytes, from); });
}

BytesFrom Origins::count(base::ByteRange range) const {
  BytesFrom sums;
  each(range, [&sums](std::uint64_t bytes, Origin from) {
    switch (from) {
      case Origin::disk: sums.disk += bytes; break;
      case Origin::upstream: sums.upstream += bytes; break;
      case Origin::swarm: sums.swarm += bytes; [[fallthrough]];
      case Origin::neighbour: sums.neighbours += bytes; break;
    }
  });
  return sums;
}

}  // namespace shoal::mirror
