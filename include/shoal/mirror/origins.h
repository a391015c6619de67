// Origins: where the bytes of a blob, or of one answer, came from, in their order. A value.
#pragma once

#include <cstdint>
#include <vector>

#include "shoal/base/byte_range.h"

namespace shoal::mirror {

enum class Origin : std::uint8_t { disk, upstream, neighbour, swarm };  // neighbour: over HTTP; disk: here before

struct BytesFrom {
  std::uint64_t disk = 0;
  std::uint64_t upstream = 0;
  std::uint64_t neighbours = 0;  // with those by the swarm
  std::uint64_t swarm = 0;
  friend bool operator==(const BytesFrom&, const BytesFrom&) = default;
};

class Origins {
 public:
  // From where it ended so far up to `end`; nothing, if that is not further.
  void extend(std::uint64_t end, Origin from);
  // As many bytes as that range of the other has.
  void append(const Origins& other, base::ByteRange range);
  void clear() { runs_.clear(); }
  [[nodiscard]] std::uint64_t end() const { return runs_.empty() ? 0 : runs_.back().end; }
  [[nodiscard]] BytesFrom count(base::ByteRange range) const;
  [[nodiscard]] BytesFrom count() const { return count({0, end()}); }

 private:
  struct Run {
    std::uint64_t end;
    Origin from;
  };
  template <class F>
  void each(base::ByteRange range, F f) const;
  std::vector<Run> runs_;  // ascending; neighbours differ
};

}  // namespace shoal::mirror
